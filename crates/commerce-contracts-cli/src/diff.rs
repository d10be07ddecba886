//! `contracts diff`.

use std::fmt::Write as _;

use clap::Args;
use commerce_contracts::compatibility::Mode;
use commerce_contracts::gate::{Change, FileEdits, Outcome, Rules, compare};
use serde::Serialize;

use crate::baseline::Comparison;
use crate::failure::Failure;
use crate::schema_directory::SchemaDirectory;
use crate::{Answer, COMPATIBLE, Format, INCOMPATIBLE, github};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    comparison: Comparison,
    #[command(flatten)]
    directory: SchemaDirectory,
    /// How the answer is written.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Serialize)]
struct Report<'a> {
    against: String,
    contracts: Vec<&'a Change>,
}

/// Like `diff`: 1 when there is a difference.
pub(crate) fn run(options: &Options) -> Result<Answer, Failure> {
    let new = options.directory.read()?;
    let past = options
        .comparison
        .read(&options.directory.path, &new, None)?;
    // Two states are shown, not what was before them.
    let mut rules = Rules::default();
    rules.mode = Mode::Full;
    let mut changes = compare(&past.set, &new, rules);
    past.settle(&mut changes);
    changes.retain(|change| change.outcome != Outcome::Unchanged);
    let text = match options.format {
        Format::Text => text(&changes),
        Format::Json => crate::json(&Report {
            against: options.comparison.against.to_string(),
            contracts: changes.iter().collect(),
        }),
        Format::Github => github::annotations(&changes, &options.directory.path, |_| false),
    };
    let code = if changes.is_empty() {
        COMPATIBLE
    } else {
        INCOMPATIBLE
    };
    Ok(Answer { text, code })
}

fn text(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let word = match change.outcome {
            Outcome::Added => "new",
            Outcome::Removed => "gone",
            Outcome::Incompatible => "changed, incompatible",
            _ => "changed",
        };
        let _ = writeln!(text, "{}: {word}", change.contract);
        for FileEdits { ending, edits, .. } in &change.edits {
            let _ = writeln!(text, "  v{}.{ending}", change.contract.version);
            for edit in edits {
                let _ = writeln!(text, "    {edit}");
            }
        }
    }
    text
}
