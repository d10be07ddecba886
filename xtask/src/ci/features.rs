//! Features of every published crate, in every combination.

use anyhow::Result;

use super::{Context, tools};

/// Clippy rather than check: it costs little more, and warnings of our own crates are errors without `RUSTFLAGS`, which would
/// build every dependency anew.
///
/// Development dependencies do not count: only the library is checked, and the resolver keeps their features apart. (The
/// option `--no-dev-deps` would rewrite the manifests while it runs.) `default` is left out of the combinations because what it
/// switches on is one of them already.
pub(super) fn check(context: &Context<'_>) -> Result<()> {
    let mut command = context.tool(tools::CARGO_HACK, "hack")?;
    command.args([
        "clippy",
        "--feature-powerset",
        "--exclude-features",
        "default",
        "--lib",
        "--keep-going",
    ]);
    // A tool has no features, and no library to build them with.
    for package in context.published().filter(|package| package.library) {
        command.args(["--package", &package.name]);
    }
    context.execute(command.args(["--", "-D", "warnings"]))
}
