//! Annotations of GitHub Actions: workflow commands, one a line.

use std::fmt::Write as _;
use std::path::Path;

use commerce_contracts::gate::{Change, FileEdits, Outcome, Part};

/// What is to be known beside the answer.
pub(crate) fn notes(notes: &[String]) -> String {
    let mut text = String::new();
    for note in notes {
        let _ = writeln!(text, "::notice::{}", data(note));
    }
    text
}

/// Errors for what is refused, notices for everything else that changed.
pub(crate) fn annotations(
    changes: &[Change],
    directory: &Path,
    refused: impl Fn(&Change) -> bool,
) -> String {
    let mut text = String::new();
    for change in changes {
        let file = |ending: &str| {
            let name = format!("v{}.{ending}", change.contract.version);
            directory
                .join(&change.contract.name)
                .join(name)
                .display()
                .to_string()
        };
        let mut write = |level: &str, file: &str, message: &str| {
            let _ = writeln!(
                text,
                "::{level} file={},title={}::{}",
                property(file),
                property(&change.contract.to_string()),
                data(message)
            );
        };
        match change.outcome {
            Outcome::Unchanged => {}
            Outcome::Added => write("notice", &file("json"), "New contract."),
            Outcome::Removed => {
                let level = if refused(change) { "error" } else { "notice" };
                write(level, &file("json"), "The contract is gone.");
            }
            Outcome::Incompatible if refused(change) => {
                for one in &change.breaks {
                    let ending = if one.part == Part::Avro {
                        "avsc"
                    } else {
                        "json"
                    };
                    let mut message = String::new();
                    if !one.field.is_empty() {
                        let _ = write!(message, "`{}`: ", one.field);
                    }
                    let _ = write!(message, "{} ({})\n{}", one.why, one.rule, one.who);
                    if let Some(instance) = &one.counterexample {
                        let _ = write!(message, "\nFor example: {instance}");
                    }
                    if let Some(remedy) = &one.remedy {
                        let otherwise = if one.is_allowable() {
                            format!("to allow it: --allow {}:{}", change.contract, one.rule)
                        } else {
                            "or publish a new version".to_owned()
                        };
                        let _ = write!(message, "\nWhat to do: {remedy}; {otherwise}.");
                    }
                    write("error", &file(ending), &message);
                }
            }
            _ => {
                for FileEdits { ending, edits, .. } in &change.edits {
                    let edits: Vec<String> = edits.iter().map(ToString::to_string).collect();
                    write("notice", &file(ending), &edits.join("\n"));
                }
            }
        }
    }
    text
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_end_its_command() {
        assert_eq!(data("50%\nnext"), "50%25%0Anext");
        assert_eq!(property("a:b,c"), "a%3Ab%2Cc");
    }
}
