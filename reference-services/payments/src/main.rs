//! Payments as a process of its own.

fn main() -> std::process::ExitCode {
    commerce_host::main_checked(
        "payments",
        commerce_payments::Config::check,
        commerce_payments::service,
    )
}
