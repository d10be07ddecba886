//! `contracts check`.

use std::fmt::Write as _;

use clap::Args;
use commerce_contracts::gate::{Allowance, Change, Outcome, allow, compare};
use serde::Serialize;

use crate::baseline::{Comparison, Strictness};
use crate::failure::Failure;
use crate::schema_directory::SchemaDirectory;
use crate::{Answer, COMPATIBLE, Format, INCOMPATIBLE, github};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    comparison: Comparison,
    #[command(flatten)]
    directory: SchemaDirectory,
    #[command(flatten)]
    strictness: Strictness,
    /// Accepts that this contract is gone (`orders.order.placed.v1`): none of its events exists any more.
    #[arg(long, value_name = "CONTRACT")]
    allow_removed: Vec<String>,
    /// Allows what only a person can know (`orders.order.placed.v1:PERSONAL_MARK_LOST`): also SCHEMA_REMOVED and EARLIER_STATE_LOST.
    #[arg(long, value_name = "CONTRACT:RULE")]
    allow: Vec<Allowance>,
    /// Writes what a version was in the baseline into `v<N>.earlier` beside it, so that later changes are compared with it too. Schemas that
    /// the gate of commerce-contracts records need it not.
    #[arg(long)]
    record: bool,
    /// How the answer is written.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Serialize)]
struct Report<'a> {
    against: String,
    compatible: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
    contracts: &'a [Change],
}

pub(crate) fn run(options: &Options) -> Result<Answer, Failure> {
    let mut new = options.directory.read()?;
    let rules = options.strictness.rules();
    let past = options
        .comparison
        .read(&options.directory.path, &new, Some(rules.mode))?;
    if options.record {
        if past.keeps_states {
            return Err(Failure::RecordFromRegistry);
        }
        let recorded = new.keep_earlier(&past.set, &options.directory.path);
        let directory = options.directory.path.display().to_string();
        recorded.map_err(|error| Failure::schemas(&directory, error))?;
    }
    let mut changes = compare(&past.set, &new, rules);
    past.settle(&mut changes);
    if let Some(stale) = allow(&mut changes, &options.allow).pop() {
        return Err(Failure::StaleAllowance(stale));
    }
    let compatible = !changes.iter().any(|change| refused(change, options));
    let text = match options.format {
        Format::Text => text(&changes, options, &past.notes),
        Format::Json => {
            let report = Report {
                against: options.comparison.against.to_string(),
                compatible,
                notes: &past.notes,
                contracts: &changes,
            };
            crate::json(&report)
        }
        Format::Github => {
            let refused = |change: &Change| refused(change, options);
            github::notes(&past.notes)
                + &github::annotations(&changes, &options.directory.path, refused)
        }
    };
    let code = if compatible { COMPATIBLE } else { INCOMPATIBLE };
    Ok(Answer { text, code })
}

fn refused(change: &Change, options: &Options) -> bool {
    match change.outcome {
        Outcome::Incompatible => true,
        Outcome::Removed => !options.allow_removed.contains(&change.contract.to_string()),
        _ => false,
    }
}

fn text(changes: &[Change], options: &Options, notes: &[String]) -> String {
    let mut text = String::new();
    let mut counts = [0_usize; 2];
    for change in changes {
        counts[usize::from(refused(change, options))] += 1;
        let word = match change.outcome {
            Outcome::Unchanged => continue,
            Outcome::Added => "new",
            Outcome::Compatible => "changed, compatible",
            Outcome::Removed if !refused(change, options) => "gone, as allowed",
            Outcome::Removed => "GONE",
            _ => "INCOMPATIBLE",
        };
        let _ = writeln!(text, "{}: {word}", change.contract);
        if change.outcome == Outcome::Incompatible {
            let _ = writeln!(text, "{}", change.explain());
        }
        if change.outcome == Outcome::Removed && refused(change, options) {
            let _ = writeln!(
                text,
                "  Its events may be stored, and others may publish or read them: restore the schema, or, when none exists any more, say so: --allow-removed {}\n",
                change.contract
            );
        }
    }
    for note in notes {
        let _ = writeln!(text, "note: {note}");
    }
    let [fine, refused] = counts;
    let _ = writeln!(
        text,
        "{fine} compatible, {refused} not, against {}",
        options.comparison.against
    );
    text
}
