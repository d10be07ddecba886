#![doc = include_str!("../README.md")]

mod baseline;
mod check;
mod diff;
mod docs;
mod failure;
mod git;
mod github;
mod list;
#[cfg(feature = "registry")]
mod registry;
mod registry_url;
mod schema_directory;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::failure::Failure;

/// Exit codes, for people as for CI.
const COMPATIBLE: u8 = 0;
const INCOMPATIBLE: u8 = 1;
const UNANSWERED: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "contracts",
    version,
    about = "Checks, compares, lists and documents committed event schemas.",
    after_help = "A schema directory holds <name>/v<N>.json, v<N>.read.json and v<N>.avsc.\n\n\
                  Exit codes: 0 compatible, 1 incompatible (for `diff`: different), 2 the question could not be answered."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says whether consumers and producers of the baseline still understand the schemas, and whether stored events do.
    Check(check::Options),
    /// Shows what changed since the baseline, compatible or not.
    Diff(diff::Options),
    /// Lists the contracts.
    List(list::Options),
    /// Writes a page about the contracts.
    Docs(docs::Options),
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// Annotations of GitHub Actions.
    Github,
}

/// What a command has to say.
struct Answer {
    text: String,
    code: u8,
}

fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    let answer = match command {
        Command::Check(options) => check::run(&options),
        Command::Diff(options) => diff::run(&options),
        Command::List(options) => list::run(&options),
        Command::Docs(options) => docs::run(&options),
    };
    let answer = answer.and_then(|answer| {
        // Not `print!`: a reader that has enough (`contracts list | head`) is no reason to panic.
        match std::io::stdout().lock().write_all(answer.text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::Output(error))
            }
            _ => Ok(answer.code),
        }
    });
    match answer {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(UNANSWERED)
        }
    }
}

/// Pretty, with a line feed at its end.
fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value)
        .unwrap_or_else(|error| unreachable!("reports have no maps with other keys: {error}"));
    text.push('\n');
    text
}
