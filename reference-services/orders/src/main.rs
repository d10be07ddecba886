//! Orders as a process of its own.

fn main() -> std::process::ExitCode {
    commerce_host::main("orders", commerce_orders::service)
}
