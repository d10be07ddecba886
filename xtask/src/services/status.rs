//! Looking at the servers without changing anything.

use std::process::ExitCode;

use super::wire::url::without_password;
use super::{Server, Site, environment};
use crate::table::Table;

/// Asks each server for a round trip. Fails if one that should run does not answer.
pub(super) fn status(site: &Site, servers: &[Server]) -> ExitCode {
    let mut table = Table::new(["server", "state", "from", "processes", "where"]);
    let mut healthy = true;
    let mut remarks = Vec::new();
    for server in servers {
        let recipe = server.recipe();
        let record = site.record(*server);
        let (urls, from) = match (&record, environment(*server)) {
            (Some(record), _) => (record.urls.clone(), record.from.clone()),
            (None, Some(urls)) => (urls, recipe.variable().to_owned()),
            (None, None) => {
                table.row([
                    server.name().to_owned(),
                    "down".to_owned(),
                    String::new(),
                    String::new(),
                    String::new(),
                ]);
                continue;
            }
        };
        let state = match recipe.verify(&urls) {
            Ok(answered) => format!("up: {answered}"),
            Err(error) => {
                healthy = false;
                remarks.push(format!("{}: {error:#}", server.name()));
                "does not answer".to_owned()
            }
        };
        let processes = record.map(|record| record.processes).unwrap_or_default();
        let processes: Vec<String> = processes
            .iter()
            .map(|process| {
                if process.is_alive() {
                    format!("{} {}", process.role, process.pid)
                } else {
                    healthy = false;
                    remarks.push(format!(
                        "{}: {} ended; {}",
                        server.name(),
                        process.role,
                        process.last_words()
                    ));
                    format!("{} ended", process.role)
                }
            })
            .collect();
        let addresses: Vec<String> = urls
            .iter()
            .map(|(name, url)| format!("{name}={}", without_password(url)))
            .collect();
        table.row([
            server.name().to_owned(),
            state,
            from,
            processes.join(", "),
            addresses.join(" "),
        ]);
    }
    print!("{}", table.render());
    println!("data: {}", site.directory().display());
    for remark in remarks {
        println!("\n{remark}");
    }
    if healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Lines for a shell's `eval`.
pub(super) fn env(site: &Site) {
    for (name, value) in site.state().urls() {
        println!("export {name}={}", quote(&value));
    }
}

fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_is_quoted() {
        for value in ["redis://127.0.0.1:1", "amqp://guest:it's@h/%2f", "a b;c"] {
            let script = format!("printf %s {}", quote(value));
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
        }
    }
}
