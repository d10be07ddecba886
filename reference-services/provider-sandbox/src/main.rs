//! Runs the payment provider sandbox.

fn main() -> std::process::ExitCode {
    commerce_host::main_checked(
        "provider-sandbox",
        commerce_provider_sandbox::Config::check,
        commerce_provider_sandbox::service,
    )
}
