//! Two sets of schemas, compared contract by contract.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::edit::{self, Edit};
use super::schema_set::{self, ContractId, RecordedContract, SchemaSet};
use super::{personal, remedy};
use crate::compatibility::json::{self, Policy, Schemas};
use crate::compatibility::{Direction, Finding, Mode, Rule, Verdict, avro};

/// How strictly two states of one version are compared.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// Who must understand whom. The default is [`Mode::FullTransitive`]: also what a version was before counts, for its events are
    /// stored.
    pub mode: Mode,
    /// What writers of JSON are taken to write.
    pub policy: Policy,
    /// Whether a person vouches for what could be neither proven nor disproven. The default is no.
    pub allow_unknown: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            mode: Mode::FullTransitive,
            policy: Policy::default(),
            allow_unknown: false,
        }
    }
}

/// Which part of a contract breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Part {
    /// The JSON Schema.
    JsonSchema,
    /// The Avro schema.
    Avro,
    /// What no schema says: the topic, the ordering key, that the contract exists.
    Contract,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::JsonSchema => "JSON Schema",
            Self::Avro => "Avro",
            Self::Contract => "contract",
        })
    }
}

/// A schema of the contract that was there is not any more.
pub(super) const SCHEMA_REMOVED: &str = "SCHEMA_REMOVED";
/// A field was marked as personal data and is not any more.
const PERSONAL_MARK_LOST: &str = "PERSONAL_MARK_LOST";
/// What the version was is not kept.
const EARLIER_STATE_LOST: &str = "EARLIER_STATE_LOST";

/// One of a contract's schemas is recorded, and another is not.
const SCHEMA_NOT_RECORDED: &str = "SCHEMA_NOT_RECORDED";

/// What a person may know better than any schema tells, and allow: see [`Allowance`](super::Allowance).
pub(super) const ALLOWABLE: [&str; 4] = [
    SCHEMA_REMOVED,
    SCHEMA_NOT_RECORDED,
    PERSONAL_MARK_LOST,
    EARLIER_STATE_LOST,
];

/// One reason why a change must not be released under the same version.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Break {
    /// Which part of the contract.
    pub part: Part,
    /// The stable name of the difference: one of [`Rule`](crate::compatibility::Rule), or of the contract's own (`TOPIC_CHANGED`).
    pub rule: &'static str,
    /// Incompatible, or unknown.
    pub verdict: Verdict,
    /// Which earlier state of the version breaks (`v1.earlier/2`); none for the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Who reads whom there; none where it is not about reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The field, as a person would call it; empty for the whole event.
    pub field: String,
    /// Where in the recorded schema, as a JSON pointer.
    pub old: String,
    /// Where in the new schema, as a JSON pointer.
    pub new: String,
    /// Who breaks.
    pub who: &'static str,
    /// Why.
    pub why: String,
    /// What one side may write and the other refuses: made up, never real data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterexample: Option<Value>,
    /// What helps without a new version; none where nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Break {
    /// Whether a person may allow it, as an [`Allowance`](super::Allowance): it is about what is recorded, and no reader breaks by it.
    pub fn is_allowable(&self) -> bool {
        ALLOWABLE.contains(&self.rule)
    }
}

/// What became of one contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is as it was.
    Unchanged,
    /// It changed, and everybody still understands everybody.
    Compatible,
    /// It changed, and somebody breaks.
    Incompatible,
}

/// What changed in one file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FileEdits {
    /// Its ending: `json`, `read.json` or `avsc`.
    pub ending: &'static str,
    /// Place by place.
    pub edits: Vec<Edit>,
}

/// One contract, before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Which contract.
    pub contract: ContractId,
    /// What became of it.
    pub outcome: Outcome,
    /// What is written differently, file by file.
    pub edits: Vec<FileEdits>,
    /// Why it breaks somebody; empty unless the outcome is incompatible.
    pub breaks: Vec<Break>,
}

/// Compares each contract with its earlier state. What is new or gone is told as that, and left to the caller to judge.
pub fn compare(old: &SchemaSet, new: &SchemaSet, rules: Rules) -> Vec<Change> {
    let ids: BTreeSet<&ContractId> = old.iter().chain(new.iter()).map(|(id, _)| id).collect();
    ids.into_iter()
        .map(|id| match (old.get(id), new.get(id)) {
            (Some(old), Some(new)) => change(id, old, new, rules),
            (before, _) => Change {
                contract: id.clone(),
                outcome: if before.is_some() {
                    Outcome::Removed
                } else {
                    Outcome::Added
                },
                edits: Vec::new(),
                breaks: Vec::new(),
            },
        })
        .collect()
}

fn change(id: &ContractId, old: &RecordedContract, new: &RecordedContract, rules: Rules) -> Change {
    let mut breaks = facts(old, new);
    breaks.extend(marks_lost(old, new));
    breaks.extend(json_breaks(old, new, rules));
    breaks.extend(avro_breaks(old, new, rules));
    if rules.mode.is_transitive() {
        breaks.extend(earlier_breaks(id, old, new, rules, &breaks));
        breaks.extend(forgotten(id, old, new, &breaks));
    }
    let edits = edits(old, new);
    let outcome = if !breaks.is_empty() {
        Outcome::Incompatible
    } else if edits.is_empty() {
        Outcome::Unchanged
    } else {
        Outcome::Compatible
    };
    Change {
        contract: id.clone(),
        outcome,
        edits,
        breaks,
    }
}

/// What earlier states break, beyond what the last one does.
fn earlier_breaks(
    id: &ContractId,
    old: &RecordedContract,
    new: &RecordedContract,
    rules: Rules,
    known: &[Break],
) -> Vec<Break> {
    let same = |one: &Break, other: &Break| {
        (one.part, one.rule, one.direction, &one.field)
            == (other.part, other.rule, other.direction, &other.field)
    };
    let mut compared = vec![old];
    let mut found = Vec::<Break>::new();
    // What the baseline knew, and what came since; the newest first.
    let states = new.earlier.iter().rev().chain(old.earlier.iter().rev());
    for (number, state) in states {
        if compared.iter().any(|known| known.means_the_same(state)) {
            continue;
        }
        compared.push(state);
        // An earlier state without a schema is one from before there was any.
        let breaks = json_breaks(state, new, rules).into_iter();
        for mut one in breaks.chain(avro_breaks(state, new, rules)) {
            if one.rule == SCHEMA_REMOVED
                || known.iter().chain(&found).any(|known| same(known, &one))
            {
                continue;
            }
            one.state = Some(schema_set::state_path(id.version, *number));
            found.push(one);
        }
    }
    found
}

/// What the version was has to stay beside it, or the next change is not compared with it.
fn forgotten(
    id: &ContractId,
    old: &RecordedContract,
    new: &RecordedContract,
    known: &[Break],
) -> Option<Break> {
    let is_gone = |state: &&RecordedContract| !new.has_been(state);
    let states = old.earlier.values().filter(is_gone).count();
    // A change that breaks readers is to be taken back, not to be recorded.
    let is_recordable = known.iter().all(Break::is_allowable);
    if states == 0 && (new.has_been(old) || !is_recordable) {
        return None;
    }
    let folder = format!("v{}.earlier", id.version);
    let why = if states == 0 {
        format!("The version has changed, and what it was is not kept in {folder}.")
    } else {
        format!("{folder} has lost states that the version had.")
    };
    Some(Break {
        state: None,
        remedy: Some(format!(
            "keep what the version was: record the change by the gate (CONTRACTS_BLESS=1), or by `contracts check … --record`, and commit {folder}; \
             what was deleted there, restore"
        )),
        who: "Later changes are not compared with it, so they may break whoever stored or still runs that state.",
        ..of_contract(EARLIER_STATE_LOST, why)
    })
}

/// What was told to be personal data and is not any more.
fn marks_lost(old: &RecordedContract, new: &RecordedContract) -> Vec<Break> {
    let mut breaks = Vec::<Break>::new();
    for (part, of) in [
        (Part::JsonSchema, personal::of_json as fn(&_) -> _),
        (Part::Avro, personal::of_avro),
    ] {
        let states = old.earlier.values().chain([old]).map(of);
        let (Ok(states), Ok(new)) = (states.collect::<Result<Vec<_>, _>>(), of(new)) else {
            breaks.push(Break {
                part,
                verdict: Verdict::Unknown,
                who: "Whoever has to tell, to hide or to erase personal data may miss some.",
                ..of_contract(
                    PERSONAL_MARK_LOST,
                    "The schema has more fields than can be followed, so it is not known whether a mark of personal data was lost."
                        .to_owned(),
                )
            });
            continue;
        };
        let Some(new) = new else { continue };
        for field in personal::lost(states.iter().flatten(), &new) {
            breaks.push(Break {
                part,
                who: "Whoever has to tell, to hide or to erase personal data does not find it any more; stored events still hold it.",
                remedy: Some(
                    "restore the mark `#[event(personal)]` (`\"x-personal\": true` in the schema); only when the field holds nothing about a person, \
                     and never did, allow it"
                        .to_owned(),
                ),
                field,
                ..of_contract(
                    PERSONAL_MARK_LOST,
                    "The field was marked as personal data, and is not any more.".to_owned(),
                )
            });
        }
    }
    breaks
}

fn of_contract(rule: &'static str, why: String) -> Break {
    Break {
        part: Part::Contract,
        rule,
        verdict: Verdict::Incompatible,
        state: None,
        direction: None,
        field: String::new(),
        old: String::new(),
        new: String::new(),
        who: "",
        why,
        counterexample: None,
        remedy: None,
    }
}

fn edits(old: &RecordedContract, new: &RecordedContract) -> Vec<FileEdits> {
    let parts = |contract: &RecordedContract| {
        [
            ("json", contract.on_write.clone()),
            ("read.json", contract.on_read.clone()),
            ("avsc", contract.avro.clone()),
        ]
    };
    let files = parts(old).into_iter().zip(parts(new));
    files
        .filter_map(|((ending, old), (_, new))| {
            let edits = match (old, new) {
                (Some(old), Some(new)) => edit::edits(&old, &new),
                (None, None) => Vec::new(),
                (old, new) => vec![Edit {
                    pointer: String::new(),
                    old,
                    new,
                }],
            };
            (!edits.is_empty()).then_some(FileEdits { ending, edits })
        })
        .collect()
}

/// What no schema says, and consumers rely on all the same. Facts that were never recorded break nobody.
fn facts(old: &RecordedContract, new: &RecordedContract) -> Vec<Break> {
    let changed = |rule, what: &str, old: Option<&str>, new: Option<&str>, who, remedy: &str| {
        let old = old?;
        (new != Some(old)).then(|| Break {
            old: format!("/x-contract/{what}"),
            new: format!("/x-contract/{what}"),
            who,
            remedy: Some(remedy.to_owned()),
            ..of_contract(
                rule,
                match new {
                    Some(new) => format!("The {what} was {old:?} and is {new:?}."),
                    None => format!("The {what} was {old:?} and is not told any more."),
                },
            )
        })
    };
    let topic = changed(
        "TOPIC_CHANGED",
        "topic",
        old.topic(),
        new.topic(),
        "Whoever subscribes to the recorded topic does not see these events any more.",
        "keep the topic; a new version may have another one",
    );
    let key = changed(
        "KEY_CHANGED",
        "key",
        old.key(),
        new.key(),
        "Events that were kept in order are not any more: the old and the new key of one thing differ.",
        "keep the ordering key; a new version may have another one",
    );
    topic.into_iter().chain(key).collect()
}

fn json_breaks(old: &RecordedContract, new: &RecordedContract, rules: Rules) -> Vec<Break> {
    let schemas = |contract: &RecordedContract| {
        Some((contract.schema_on_write()?, contract.schema_on_read()?))
    };
    match (schemas(old), schemas(new)) {
        (Some((old_write, old_read)), Some((new_write, new_read))) => {
            let report = json::check(
                Schemas {
                    on_write: &old_write,
                    on_read: &old_read,
                },
                Schemas {
                    on_write: &new_write,
                    on_read: &new_read,
                },
                rules.mode,
                rules.policy,
            );
            let named = |finding: Finding| {
                let (old, new) = match finding.direction {
                    Direction::Backward => (&old_write, &new_read),
                    Direction::Forward => (&old_read, &new_write),
                };
                broken(Part::JsonSchema, finding, old, new)
            };
            judged(report.into_findings(), rules).map(named).collect()
        }
        (Some(_), None) => vec![gone(Part::JsonSchema)],
        (None, _) => Vec::new(),
    }
}

fn avro_breaks(old: &RecordedContract, new: &RecordedContract, rules: Rules) -> Vec<Break> {
    match (&old.avro, &new.avro) {
        (Some(old), Some(new)) => {
            let findings = avro::check(old, new, rules.mode).into_findings();
            judged(findings, rules)
                .map(|finding| broken(Part::Avro, finding, old, new))
                .collect()
        }
        (Some(_), None) => vec![gone(Part::Avro)],
        (None, _) => Vec::new(),
    }
}

fn judged(findings: Vec<Finding>, rules: Rules) -> impl Iterator<Item = Finding> {
    let allow_unknown = rules.allow_unknown;
    findings
        .into_iter()
        .filter(move |finding| finding.verdict == Verdict::Incompatible || !allow_unknown)
}

fn broken(part: Part, finding: Finding, old: &Value, new: &Value) -> Break {
    let (in_old, in_new) = (
        remedy::field(old, &finding.old),
        remedy::field(new, &finding.new),
    );
    // The side that knows more of the path is the one that has the field.
    let mut field = if in_new.len() >= in_old.len() {
        in_new
    } else {
        in_old
    };
    if finding.rule == Rule::RequiredAttributeAdded
        && let Some(required) = required(&finding, old, new)
    {
        remedy::push(&mut field, required);
    }
    Break {
        part,
        rule: finding.rule.id(),
        verdict: finding.verdict,
        state: None,
        direction: Some(finding.direction),
        field,
        who: remedy::who(finding.direction),
        remedy: remedy::remedy(finding.rule, finding.direction).map(str::to_owned),
        old: finding.old,
        new: finding.new,
        why: finding.message,
        counterexample: finding.counterexample,
    }
}

/// The field that the reader requires: the finding's place is the object, and its message names the field.
fn required<'a>(finding: &Finding, old: &'a Value, new: &'a Value) -> Option<&'a str> {
    let (reader, pointer) = match finding.direction {
        Direction::Backward => (new, &finding.new),
        Direction::Forward => (old, &finding.old),
    };
    let object = reader.pointer(pointer.trim_end_matches("/required"))?;
    let names = object.get("required")?.as_array()?;
    names
        .iter()
        .filter_map(Value::as_str)
        .find(|name| finding.message.contains(&format!("{name:?}")))
}

fn gone(part: Part) -> Break {
    Break {
        part,
        who: "Whoever writes or reads the event by this schema has none any more.",
        remedy: Some("restore the schema".to_owned()),
        ..of_contract(SCHEMA_REMOVED, format!("The {part} schema is gone."))
    }
}

impl Change {
    /// A type has every schema: one that is not recorded beside the others was deleted, and cannot be compared.
    pub(super) fn miss(&mut self, old: &RecordedContract, new: &RecordedContract) {
        for (part, ending, missing) in [
            (
                Part::JsonSchema,
                "json",
                old.on_write.is_none() && new.on_write.is_some(),
            ),
            (Part::Avro, "avsc", old.avro.is_none() && new.avro.is_some()),
        ] {
            if !missing {
                continue;
            }
            self.outcome = Outcome::Incompatible;
            self.breaks.push(Break {
                part,
                who: "Whoever wrote or read the event by the recorded schema is not looked after.",
                remedy: Some(format!(
                    "restore v{}.{ending} as it was committed; only when it never was, allow it",
                    self.contract.version
                )),
                ..of_contract(
                    SCHEMA_NOT_RECORDED,
                    format!("There is no recorded {part} schema beside the other, so nothing is compared with it."),
                )
            });
        }
    }
}
