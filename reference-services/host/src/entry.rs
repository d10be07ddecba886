//! The `main` of a service.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use serde::de::DeserializeOwned;

use crate::host::Host;
use crate::private::keep_files_private;
use crate::resources::Resources;
use crate::service::Service;
use crate::settings::{Configuration, Mistake, Settings};
use crate::shutdown::{Drained, shutdown_on_signal};
use crate::telemetry;

/// The settings are wrong; nothing was started.
const MISTAKEN: u8 = 2;
/// The drain did not end before its deadline.
const TIMED_OUT: u8 = 3;

#[derive(Debug, Parser)]
#[command(
    about = "Serves until Ctrl-C. Every setting can also be given as an environment variable, COMMERCE_…."
)]
struct Arguments {
    /// TOML file with settings
    #[arg(long, value_name = "FILE", env = "COMMERCE_CONFIG")]
    config: Option<PathBuf>,
    /// Check the settings and end
    #[arg(long)]
    check: bool,
}

/// Runs one service as a process of its own; its settings are the section of its name.
///
/// Exit code: 0 after a clean drain, 1 when it could not start, 2 when the settings are wrong, 3 when the drain timed
/// out.
pub fn main<C, F>(name: &str, service: F) -> ExitCode
where
    C: DeserializeOwned,
    F: AsyncFnOnce(C, &Resources) -> anyhow::Result<Service>,
{
    main_checked(name, |_: &C, _| Vec::new(), service)
}

/// The same for a service that has more to say about its settings than their types do: `check` tells what is wrong with
/// them before anything starts, and it is what `--check` asks.
pub fn main_checked<C, F>(
    name: &str,
    check: impl FnOnce(&C, &Settings) -> Vec<Mistake>,
    service: F,
) -> ExitCode
where
    C: DeserializeOwned,
    F: AsyncFnOnce(C, &Resources) -> anyhow::Result<Service>,
{
    keep_files_private();
    let arguments = Arguments::parse();
    let mut configuration = Configuration::read(arguments.config.as_deref(), std::env::vars());
    configuration.allow_foreign_sections();
    let config = configuration.section::<C>(name);
    let settings = match configuration.finish_with(|settings| match &config {
        Ok(config) => check(config, settings),
        Err(_) => Vec::new(),
    }) {
        Ok(settings) => settings,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::from(MISTAKEN);
        }
    };
    let Ok(config) = config else {
        return ExitCode::from(MISTAKEN);
    };
    if arguments.check {
        println!("the settings are right");
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run(name, settings, config, service));
    match outcome {
        Ok(Drained::Clean) => ExitCode::SUCCESS,
        Ok(Drained::TimedOut { .. }) => {
            // Whatever hangs must not keep the process.
            runtime.shutdown_background();
            ExitCode::from(TIMED_OUT)
        }
        Err(error) => {
            eprintln!("{name} cannot start: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run<C, F>(name: &str, settings: Settings, config: C, service: F) -> anyhow::Result<Drained>
where
    F: AsyncFnOnce(C, &Resources) -> anyhow::Result<Service>,
{
    let stop = shutdown_on_signal().context("cannot wait for signals")?;
    let _telemetry = telemetry::init(name, &settings)?;
    let resources = Resources::connect(settings).await?;
    let service = service(config, &resources).await?;
    Host::new(resources).mount(service).serve(&stop).await
}
