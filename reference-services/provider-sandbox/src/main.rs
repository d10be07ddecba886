//! Runs the payment provider sandbox.

fn main() -> std::process::ExitCode {
    commerce_host::main("provider-sandbox", commerce_provider_sandbox::service)
}
