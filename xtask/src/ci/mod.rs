//! `cargo xtask ci`: what a change must pass besides its tests. Every step runs, whatever the others say.

mod features;
mod floors;
mod light;
mod manifest;
mod names;
mod package;
pub(crate) mod tools;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use self::manifest::Package;
use crate::progress::{Board, Mark, Task};
use crate::table::{Table, seconds};
use crate::workspace::Workspace;

/// `cargo xtask ci …`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these steps; `--list` names them.
    steps: Vec<String>,
    /// Also asks the advisory database, which has to be fetched from its own server.
    #[arg(long)]
    advisories: bool,
    /// Only list the steps.
    #[arg(long)]
    list: bool,
}

/// What is built with other flags or for whom we ship nothing, with lock files of its own.
const OTHER_WORKSPACES: [&str; 2] = ["benchmarks/contracts", "fuzz"];

/// How many lines of a failed command are shown.
const SHOWN: usize = 60;

/// What a step works with.
struct Context<'a> {
    workspace: &'a Workspace,
    /// Where cargo builds.
    target: PathBuf,
    packages: Vec<Package>,
    logs: &'a Path,
    task: &'a Task,
}

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Context<'_>) -> Result<()>,
}

/// The quick ones first.
const STEPS: &[Step] = &[
    Step {
        name: "format",
        about: "rustfmt changes nothing",
        run: format,
    },
    Step {
        name: "lock",
        about: "every Cargo.lock is complete",
        run: lock,
    },
    Step {
        name: "floors",
        about: "every dependency points down; services know no service",
        run: floors,
    },
    Step {
        name: "names",
        about: "no module or crate is called common, utils, helpers, misc",
        run: names,
    },
    Step {
        name: "contracts",
        about: "who declares events has a test that guards them",
        run: contracts,
    },
    Step {
        name: "light",
        about: "default features bring no broker client and need no C",
        run: light::check,
    },
    Step {
        name: "deny",
        about: "licences, sources and bans of dependencies",
        run: deny,
    },
    Step {
        name: "lint",
        about: "clippy, warnings are errors",
        run: lint,
    },
    Step {
        name: "documentation",
        about: "rustdoc, warnings are errors",
        run: documentation,
    },
    Step {
        name: "package",
        about: "every published crate packages and builds from its package",
        run: package::check,
    },
    Step {
        name: "features",
        about: "every combination of features of the published crates",
        run: features::check,
    },
];

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    if let Some(unknown) = options
        .steps
        .iter()
        .find(|name| !STEPS.iter().any(|step| step.name == name.as_str()))
    {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        bail!(
            "there is no step {unknown:?}; the steps are {}",
            names.join(", ")
        );
    }
    if options.list {
        for step in STEPS {
            println!("{:14} {}", step.name, step.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let metadata = workspace.metadata()?;
    let logs = Workspace::logs(&metadata)?;
    let board = Board::new();
    let mut table = Table::new(["step", "outcome", "time", "what"]);
    let mut failed = Vec::new();
    let chosen = |step: &&Step| {
        options.steps.is_empty() || options.steps.iter().any(|name| name == step.name)
    };
    let advisories = Step {
        name: "advisories",
        about: "known vulnerabilities of dependencies",
        run: advisories,
    };
    for step in STEPS
        .iter()
        .filter(chosen)
        .chain(options.advisories.then_some(&advisories))
    {
        let task = board.task(step.name);
        task.step(step.about);
        let context = Context {
            workspace,
            target: PathBuf::from(metadata["target_directory"].as_str().unwrap_or_default()),
            packages: manifest::packages(&metadata)?,
            logs: &logs,
            task: &task,
        };
        let outcome = (step.run)(&context);
        let word = if outcome.is_ok() { "passed" } else { "failed" };
        table.row([
            step.name.to_owned(),
            word.to_owned(),
            seconds(task.elapsed()),
            step.about.to_owned(),
        ]);
        match outcome {
            Ok(()) => task.finish(Mark::Passed, "passed"),
            Err(error) => {
                task.finish(Mark::Failed, "failed");
                failed.push((step.name, error));
            }
        }
    }
    println!("\n{}", table.render());
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    // Last, where whoever sees only the end of a log finds it.
    for (name, error) in failed {
        println!("{name} failed: {error:#}\n");
    }
    Ok(ExitCode::FAILURE)
}

fn format(context: &Context<'_>) -> Result<()> {
    context.cargo(&["fmt", "--all", "--check", "--", "-l"])
}

fn lock(context: &Context<'_>) -> Result<()> {
    context.cargo(&["metadata", "--locked", "--format-version", "1"])?;
    // Workspaces of their own, which nothing else here builds; this fetches none of what they depend on.
    let root = context.workspace.root();
    for manifest in OTHER_WORKSPACES.map(|directory| root.join(directory).join("Cargo.toml")) {
        let manifest = manifest.display().to_string();
        context.cargo(&[
            "update",
            "--workspace",
            "--locked",
            "--manifest-path",
            &manifest,
        ])?;
    }
    Ok(())
}

fn floors(context: &Context<'_>) -> Result<()> {
    let mut broken = floors::violations(&context.packages);
    broken.extend(floors::violations_of_contracts(context)?);
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

fn names(context: &Context<'_>) -> Result<()> {
    let broken = names::violations(context.workspace.root(), &context.packages)?;
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

fn contracts(context: &Context<'_>) -> Result<()> {
    crate::contracts::ensure_guarded(&context.workspace.metadata()?)
}

fn deny(context: &Context<'_>) -> Result<()> {
    let mut command = context.tool(tools::CARGO_DENY, "deny")?;
    context.execute(command.args([
        "--workspace",
        "--all-features",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn advisories(context: &Context<'_>) -> Result<()> {
    let mut command = context.tool(tools::CARGO_DENY, "deny")?;
    context.execute(command.args(["--workspace", "--all-features", "check", "advisories"]))
}

fn lint(context: &Context<'_>) -> Result<()> {
    context.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ])
}

fn documentation(context: &Context<'_>) -> Result<()> {
    let mut command = context.workspace.cargo();
    command.env("RUSTDOCFLAGS", "-D warnings").args([
        "doc",
        "--workspace",
        "--no-deps",
        "--all-features",
    ]);
    context.execute(&mut command)
}

impl Context<'_> {
    /// In CI a stale lock file fails each of them instead of being corrected on the way.
    fn cargo(&self, arguments: &[&str]) -> Result<()> {
        self.execute(self.workspace.cargo().args(arguments))
    }

    /// A cargo subcommand that may have to be installed first.
    fn tool(&self, tool: tools::Tool, subcommand: &str) -> Result<Command> {
        let path = tools::path_with(self.workspace, tool, self.task)?;
        let mut command = self.workspace.cargo();
        command.env("PATH", path).arg(subcommand);
        Ok(command)
    }

    fn published(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.published)
    }

    /// Runs a command with its output in the step's log; a failure carries the output.
    fn execute(&self, command: &mut Command) -> Result<()> {
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let name = words.first().cloned().unwrap_or_default();
        let file = self.logs.join(format!("ci-{name}.log"));
        let log =
            File::create(&file).with_context(|| format!("{} cannot be written", file.display()))?;
        command
            .env("CARGO_TERM_COLOR", "never")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let status = command
            .status()
            .with_context(|| format!("cargo {name} could not be run"))?;
        if status.success() {
            return Ok(());
        }
        let mut text = String::new();
        File::open(&file)?.read_to_string(&mut text)?;
        let lines: Vec<&str> = text.lines().filter(|line| !is_noise(line)).collect();
        // The first error is the one to read; what comes after it often follows from it.
        let first = lines.iter().position(|line| line.starts_with("error"));
        let from = first.unwrap_or(lines.len().saturating_sub(SHOWN));
        let shown = &lines[from..lines.len().min(from + SHOWN)];
        bail!(
            "cargo {} failed:\n{}\n(all of it: {})",
            words.join(" "),
            shown.join("\n"),
            file.display()
        )
    }

    /// What a command prints.
    fn output(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .workspace
            .cargo()
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        ensure!(
            output.status.success(),
            "cargo {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn is_noise(line: &str) -> bool {
    let first = line.trim_start().split(' ').next().unwrap_or_default();
    matches!(
        first,
        "Compiling"
            | "Checking"
            | "Downloaded"
            | "Downloading"
            | "Finished"
            | "Updating"
            | "Documenting"
    )
}
