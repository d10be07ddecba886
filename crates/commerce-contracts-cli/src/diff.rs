//! `contracts diff`.

use std::fmt::Write as _;

use clap::Args;
use commerce_contracts::gate::{Change, FileEdits, Outcome, Rules, compare};
use serde::Serialize;

use crate::baseline::Baseline;
use crate::failure::Failure;
use crate::schema_directory::SchemaDirectory;
use crate::{Answer, COMPATIBLE, Format, INCOMPATIBLE, github};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to compare with: git:REF (the same directory at a commit, branch or tag) or a directory.
    #[arg(long, value_name = "git:REF|DIR")]
    against: Baseline,
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
    let old = options.against.read(&options.directory.path)?;
    let new = options.directory.read()?;
    let mut changes = compare(&old, &new, Rules::default());
    changes.retain(|change| change.outcome != Outcome::Unchanged);
    let text = match options.format {
        Format::Text => text(&changes),
        Format::Json => crate::json(&Report {
            against: options.against.to_string(),
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
