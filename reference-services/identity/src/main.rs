//! Starts the identity service as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    commerce_host::main_checked(
        "identity",
        |config: &commerce_identity::Config, _| config.check(),
        commerce_identity::service,
    )
}
