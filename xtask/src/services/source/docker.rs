//! Servers in Docker, by `deploy/compose.yaml`, for machines that have an engine.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use super::run;
use crate::services::state::Container;

/// True if an engine answers and knows `compose`; the client alone is no engine.
pub(crate) fn is_here() -> bool {
    let answers = |arguments: &[&str]| {
        let mut docker = Command::new("docker");
        docker
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        docker.status().is_ok_and(|status| status.success())
    };
    answers(&["info"]) && answers(&["compose", "version"])
}

/// A project per services directory: two clones do not share containers.
pub(crate) fn container(directory: &Path, service: &str) -> Container {
    let mut hasher = DefaultHasher::new();
    directory.hash(&mut hasher);
    Container {
        project: format!("commerce-{:08x}", hasher.finish() & 0xffff_ffff),
        service: service.to_owned(),
    }
}

pub(crate) fn start(
    root: &Path,
    container: &Container,
    ports: &BTreeMap<String, u16>,
) -> Result<()> {
    let mut command = compose(root, container);
    for (role, port) in ports {
        command.env(port_variable(&container.service, role), port.to_string());
    }
    run(command
        .args(["up", "--detach", "--quiet-pull"])
        .arg(&container.service))
}

pub(crate) fn remove(root: &Path, container: &Container) -> Result<()> {
    run(compose(root, container)
        .args(["rm", "--stop", "--force", "--volumes"])
        .arg(&container.service))
}

fn compose(root: &Path, container: &Container) -> Command {
    let mut command = Command::new("docker");
    command
        .args(["compose", "--project-name", &container.project, "--file"])
        .arg(root.join("deploy/compose.yaml"));
    command
}

/// `KAFKA_PORT` for the port that clients use, `RABBITMQ_MANAGEMENT_PORT` for any other.
fn port_variable(service: &str, role: &str) -> String {
    let role = if role == "client" {
        String::new()
    } else {
        format!("{}_", role.to_uppercase().replace('-', "_"))
    };
    format!("{}_{role}PORT", service.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_variable_is_one_that_the_compose_file_reads() {
        assert_eq!(port_variable("kafka", "client"), "KAFKA_PORT");
        assert_eq!(
            port_variable("rabbitmq", "management"),
            "RABBITMQ_MANAGEMENT_PORT"
        );
        let compose = include_str!("../../../../deploy/compose.yaml");
        for server in crate::services::Server::ALL {
            let recipe = server.recipe();
            for role in recipe.docker_ports() {
                let variable = format!("${{{}:-", port_variable(server.name(), role));
                assert!(compose.contains(&variable), "{variable}");
            }
        }
    }

    #[test]
    fn clones_do_not_share_containers() {
        let one = container(Path::new("/a"), "redis");
        assert_ne!(one.project, container(Path::new("/b"), "redis").project);
        assert_eq!(one, container(Path::new("/a"), "redis"));
    }
}
