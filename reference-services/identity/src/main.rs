//! Starts the identity service as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    commerce_host::main("identity", commerce_identity::service)
}
