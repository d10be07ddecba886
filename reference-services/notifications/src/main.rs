//! Starts the service.

fn main() -> std::process::ExitCode {
    commerce_host::main("notifications", commerce_notifications::service)
}
