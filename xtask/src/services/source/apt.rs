//! Debian packages, with the right to install them or not at all.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use super::{Missing, run};
use crate::progress::Task;
use crate::workspace::on_path;

/// True once the package lists were brought up to date. Held while apt-get runs: it cannot run twice at a time.
static LISTS_ARE_FRESH: Mutex<bool> = Mutex::new(false);

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs packages if this is root on a system with apt-get; else tells which are missing. Never calls sudo.
pub(crate) fn install(packages: &[&'static str], task: &Task) -> Result<(), Missing> {
    let Some(apt) = on_path("apt-get") else {
        return Err(Missing {
            reason: format!(
                "not installed, and there is no apt-get to install {}",
                packages.join(" ")
            ),
            packages: vec![],
        });
    };
    if !is_root() {
        return Err(Missing {
            reason: "not installed, and only root can install packages".to_owned(),
            packages: packages.to_vec(),
        });
    }
    let mut fresh = LISTS_ARE_FRESH
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if !*fresh {
        task.step("apt-get update");
        run(Command::new(&apt).args(["update", "-qq"]))?;
        *fresh = true;
    }
    task.step(format!("apt-get install {}", packages.join(" ")));
    let policy = Policy::forbid_starting()?;
    let mut command = Command::new(&apt);
    command
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
    let installed = run(&mut command);
    drop(policy);
    Ok(installed?)
}

/// The one command that a person with the right to it can run.
pub(crate) fn command_for(packages: &[&str]) -> String {
    format!(
        "sudo apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    )
}

pub(crate) fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Debian starts a server as soon as it is installed, on its usual port. Here servers are started on free ports only, so
/// for the time of the installation a policy answers "no" (101), unless the system has a policy of its own.
struct Policy {
    ours: bool,
}

impl Policy {
    fn forbid_starting() -> Result<Self> {
        let path = Path::new(POLICY);
        match fs::File::create_new(path) {
            Ok(_) => {
                fs::write(path, "#!/bin/sh\nexit 101\n")?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
                Ok(Self { ours: true })
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { ours: false }),
            Err(error) => {
                Err(anyhow::Error::new(error).context(format!("{POLICY} cannot be written")))
            }
        }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.ours {
            // Left behind it would keep services from starting at their installation, so say so.
            if let Err(error) = fs::remove_file(POLICY) {
                eprintln!("{POLICY} could not be removed ({error}); remove it by hand");
            }
        }
    }
}
