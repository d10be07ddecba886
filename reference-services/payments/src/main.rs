//! Payments as a process of its own.

fn main() -> std::process::ExitCode {
    commerce_host::main("payments", commerce_payments::service)
}
