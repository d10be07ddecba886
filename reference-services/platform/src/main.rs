//! Serves the platform, or runs its demo.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use commerce_host::Drained;
use commerce_platform::assembly::Surroundings;
use commerce_platform::configuration;
use commerce_platform::demo::{self, DemoOptions};

/// The settings are wrong; nothing was started.
const MISTAKEN: u8 = 2;
/// The drain did not end before its deadline.
const TIMED_OUT: u8 = 3;

/// The open commerce platform: identity, orders, payments and notifications in one process.
#[derive(Debug, Parser)]
#[command(
    name = "commerce-platform",
    version,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until Ctrl-C; what happens without a command as well.
    Serve(ServeOptions),
    /// Runs orders through the whole platform under faults and checks what must hold.
    Demo(DemoOptions),
}

#[derive(Args, Clone, Debug, Default)]
struct ServeOptions {
    /// TOML file with settings; each can also be given as an environment variable, `COMMERCE_…`.
    #[arg(long, value_name = "FILE", env = "COMMERCE_CONFIG")]
    config: Option<PathBuf>,
    /// Checks the settings and ends.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    commerce_host::keep_files_private();
    let arguments = Arguments::parse();
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
    let code = match arguments.command {
        Some(Command::Demo(options)) => runtime.block_on(demo::run(options)),
        Some(Command::Serve(options)) => runtime.block_on(serve(options)),
        None => runtime.block_on(serve(arguments.serve)),
    };
    // Whatever hangs must not keep the process.
    runtime.shutdown_background();
    code
}

async fn serve(options: ServeOptions) -> ExitCode {
    let assembly = match configuration::read(options.config.as_deref(), std::env::vars()) {
        Ok(assembly) => assembly,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::from(MISTAKEN);
        }
    };
    if options.check {
        println!("the settings are right");
        return ExitCode::SUCCESS;
    }
    let outcome = async {
        let stop = commerce_host::shutdown_on_signal()?;
        let _telemetry = commerce_host::init_telemetry("platform", &assembly.settings)?;
        let platform = assembly.start(Surroundings::default()).await?;
        println!(
            "the platform is at {}, its documentation at {}/docs/",
            platform.services.url(),
            platform.services.url()
        );
        platform.services.until_stop(&stop).await;
        anyhow::Ok(platform.shutdown().await)
    };
    match outcome.await {
        Ok(Drained::Clean) => ExitCode::SUCCESS,
        Ok(Drained::TimedOut { unfinished }) => {
            eprintln!(
                "the drain took too long; unfinished: {}",
                unfinished.join(", ")
            );
            ExitCode::from(TIMED_OUT)
        }
        Err(error) => {
            eprintln!("the platform cannot start: {error:#}");
            ExitCode::FAILURE
        }
    }
}
