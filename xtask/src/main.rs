//! One entry for people and CI: `cargo xtask test | services | ci | contracts | bench | chaos | fuzz`.
//!
//! It has few dependencies on purpose: it is the first thing anybody builds here. Every server is spoken to over its own
//! wire protocol with the standard library alone (see `services::wire`), so that "up" means "it answered", not "a port opened".

mod bench;
mod chaos;
mod ci;
mod contracts;
mod demo;
mod fuzz;
mod progress;
mod services;
mod table;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "One entry for people and CI."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs every test; starts the servers it needs and stops those it started.
    Test(test::Options),
    /// Brings real servers up on free loopback ports, and down again.
    #[command(subcommand)]
    Services(services::Command),
    /// What a change must pass besides its tests: format, lints, documentation, licences, packages, features, floors.
    Ci(ci::Options),
    /// Guards the event contracts of every crate.
    #[command(subcommand)]
    Contracts(contracts::Command),
    /// Runs the benchmarks.
    Bench(bench::Options),
    /// Kills the platform in the middle of its work, again and again, and sees it recover.
    Chaos(chaos::Options),
    /// Feeds the decoders of foreign bytes what nobody thought of.
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    let outcome = Workspace::locate().and_then(|workspace| match command {
        Command::Test(options) => test::run(&workspace, &options),
        Command::Services(command) => services::run(&workspace, command),
        Command::Ci(options) => ci::run(&workspace, &options),
        Command::Contracts(command) => contracts::run(&workspace, &command),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Chaos(options) => chaos::run(&workspace, &options),
        Command::Fuzz(options) => fuzz::run(&workspace, &options),
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
