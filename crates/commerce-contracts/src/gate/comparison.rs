//! Two sets of schemas, compared contract by contract.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

use super::edit::{self, Edit};
use super::remedy;
use super::schema_set::{ContractId, RecordedContract, SchemaSet};
use crate::compatibility::json::{self, Policy, Schemas};
use crate::compatibility::{Direction, Finding, Mode, Rule, Verdict, avro};

/// How strictly two states of one version are compared.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// Who must understand whom. The default is [`Mode::Full`].
    pub mode: Mode,
    /// What writers of JSON are taken to write.
    pub policy: Policy,
    /// Whether a person vouches for what could be neither proven nor disproven. The default is no.
    pub allow_unknown: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            mode: Mode::Full,
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
    breaks.extend(json_breaks(old, new, rules));
    breaks.extend(avro_breaks(old, new, rules));
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
            part: Part::Contract,
            rule,
            verdict: Verdict::Incompatible,
            direction: None,
            field: String::new(),
            old: format!("/x-contract/{what}"),
            new: format!("/x-contract/{what}"),
            who,
            why: match new {
                Some(new) => format!("The {what} was {old:?} and is {new:?}."),
                None => format!("The {what} was {old:?} and is not told any more."),
            },
            counterexample: None,
            remedy: Some(remedy.to_owned()),
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
        rule: "SCHEMA_REMOVED",
        verdict: Verdict::Incompatible,
        direction: None,
        field: String::new(),
        old: String::new(),
        new: String::new(),
        who: "Whoever writes or reads the event by this schema has none any more.",
        why: format!("The {part} schema is gone."),
        counterexample: None,
        remedy: Some("restore the schema".to_owned()),
    }
}

impl Change {
    /// The report about an incompatible change, or the edits of a compatible one, for people.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let ContractId { name, version } = &self.contract;
        if !self.edits.is_empty() {
            writeln!(text, "  What changed (- recorded, + now):")?;
        }
        let mut files = self.edits.iter().peekable();
        while let Some(FileEdits { ending, edits }) = files.next() {
            write!(text, "    {name}/v{version}.{ending}")?;
            // What is read mostly changes as what is written does.
            if let Some(other) = files.next_if(|other| other.edits == *edits) {
                write!(text, ", v{version}.{}", other.ending)?;
            }
            writeln!(text)?;
            for edit in edits {
                writeln!(text, "      {edit}")?;
            }
        }
        if self.breaks.is_empty() {
            return Ok(());
        }
        writeln!(text, "  Whom it breaks:")?;
        for one in &self.breaks {
            let subject = if one.field.is_empty() {
                "the event".to_owned()
            } else {
                format!("`{}`", one.field)
            };
            let unsure = if one.verdict == Verdict::Unknown {
                ", not certain"
            } else {
                ""
            };
            writeln!(text, "    {subject} ({}, {}{unsure})", one.part, one.rule)?;
            writeln!(text, "      {}", one.who)?;
            writeln!(text, "      {}", one.why)?;
            if let Some(instance) = &one.counterexample {
                writeln!(text, "      For example: {instance}")?;
            }
        }
        writeln!(text, "  What to do:")?;
        let mut told = BTreeSet::new();
        for advice in self.advice() {
            if told.insert(advice.clone()) {
                writeln!(text, "    - {advice}")?;
            }
        }
        let otherwise = if told.is_empty() { "" } else { "or " };
        writeln!(
            text,
            "    - {otherwise}leave version {version} as it was recorded, and publish version {}: a new type with an upcast from this one",
            version.saturating_add(1)
        )
    }

    fn advice(&self) -> impl Iterator<Item = String> {
        let renamed = renamed(&self.edits).map(|(old, new)| {
            format!("when `{new}` is `{old}` under another name in Rust, keep the name on the wire: `#[serde(rename = \"{old}\")]`")
        });
        let of_breaks = self.breaks.iter().filter_map(|one| {
            let remedy = one.remedy.as_ref()?;
            Some(if one.field.is_empty() {
                remedy.clone()
            } else {
                format!("`{}`: {remedy}", one.field)
            })
        });
        renamed.chain(of_breaks).collect::<Vec<_>>().into_iter()
    }
}

/// Properties that came and went in the same object with the same schema.
fn renamed(files: &[FileEdits]) -> impl Iterator<Item = (String, String)> {
    let written = files.iter().filter(|file| file.ending == "json");
    let place = |edit: &Edit| {
        let (parent, name) = edit.pointer.rsplit_once('/')?;
        parent.ends_with("/properties").then(|| {
            (
                parent.to_owned(),
                name.replace("~1", "/").replace("~0", "~"),
            )
        })
    };
    let said = |schema: &Value| {
        let mut schema = schema.clone();
        if let Value::Object(members) = &mut schema {
            members.remove("description");
            members.remove("title");
        }
        schema
    };
    let mut pairs = Vec::new();
    for FileEdits { edits, .. } in written {
        for went in edits.iter().filter(|edit| edit.new.is_none()) {
            for came in edits.iter().filter(|edit| edit.old.is_none()) {
                let (Some((old_parent, old)), Some((new_parent, new))) = (place(went), place(came))
                else {
                    continue;
                };
                if old_parent == new_parent
                    && went.old.as_ref().map(said) == came.new.as_ref().map(said)
                {
                    pairs.push((old, new));
                }
            }
        }
    }
    pairs.into_iter()
}
