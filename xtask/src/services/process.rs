//! Server processes that outlive this command: started, recognised again, stopped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

/// Everything needed to start a process, kept so that it can be started again the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) directory: PathBuf,
    pub(crate) log: PathBuf,
    /// Another user to run as (only root can).
    pub(crate) user: Option<User>,
    /// The signal that ends it in good order.
    pub(crate) stop: Signal,
    /// A file by which it refuses to run twice. Killed, it leaves the file behind, and the process number in it can look
    /// alive for as long as nobody has collected the dead process.
    pub(crate) pid_file: Option<PathBuf>,
}

/// Numbers of a user and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What is sent to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Signal {
    Int,
    Term,
    Kill,
}

/// A process that was started here. A number alone would not do: after a while another process may have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) role: String,
    pub(crate) pid: u32,
    /// When it started, in the system's own words.
    started: String,
    pub(crate) launch: Launch,
}

impl Launch {
    pub(crate) fn new(program: impl Into<PathBuf>, directory: &Path) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            directory: directory.to_owned(),
            log: directory.join("server.log"),
            user: None,
            stop: Signal::Term,
            pid_file: None,
        }
    }

    pub(crate) fn arguments<T: Into<String>>(
        mut self,
        arguments: impl IntoIterator<Item = T>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn user(mut self, user: Option<User>) -> Self {
        self.user = user;
        self
    }

    pub(crate) fn log(mut self, file: PathBuf) -> Self {
        self.log = file;
        self
    }

    pub(crate) fn stop(mut self, signal: Signal) -> Self {
        self.stop = signal;
        self
    }

    pub(crate) fn pid_file(mut self, file: PathBuf) -> Self {
        self.pid_file = Some(file);
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.directory)
            .env_clear();
        // Cargo's and rustup's own variables (LD_LIBRARY_PATH among them) are no business of a server.
        for name in ["PATH", "HOME", "JAVA_HOME", "TMPDIR", "TZ", "USER"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("LANG", "C.UTF-8").envs(&self.environment);
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Runs it to its end, for preparations such as `initdb`.
    pub(crate) fn run(&self) -> Result<()> {
        let name = self.program.display();
        let output = self
            .command()
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{name} could not be run"))?;
        if !output.status.success() {
            let text = [output.stdout, output.stderr].concat();
            bail!(
                "{name} failed ({}):\n{}",
                output.status,
                String::from_utf8_lossy(&text).trim()
            );
        }
        Ok(())
    }

    /// Starts it in the background, in a process group of its own: Ctrl-C in this terminal is not meant for it.
    pub(crate) fn spawn(&self, role: &str) -> Result<Process> {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("{} cannot be written", self.log.display()))?;
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let mut child = command
            .spawn()
            .with_context(|| format!("{} could not be started", self.program.display()))?;
        let pid = child.id();
        let started =
            identity(pid).with_context(|| format!("{} ended at once", self.program.display()));
        // Somebody has to collect it if it ends while this command still runs.
        thread::spawn(move || child.wait());
        Ok(Process {
            role: role.to_owned(),
            pid,
            started: started?,
            launch: self.clone(),
        })
    }
}

impl Process {
    pub(crate) fn is_alive(&self) -> bool {
        identity(self.pid).is_some_and(|identity| identity == self.started)
    }

    /// Ends it and what it started: in good order within `grace`, then by force.
    pub(crate) fn stop(&self, signal: Signal, grace: Duration) -> Result<()> {
        if !self.owns_its_group() {
            return Ok(());
        }
        // Some children leave the group (those of PostgreSQL do) and end a little later than their parent.
        let children = descendants(self.pid);
        for (signal, patience) in [(signal, grace), (Signal::Kill, Duration::from_secs(10))] {
            send(signal, &format!("-{}", self.pid))?;
            if signal == Signal::Kill {
                for (pid, _) in children
                    .iter()
                    .filter(|(pid, started)| identity(*pid).as_ref() == Some(started))
                {
                    send(signal, &pid.to_string())?;
                }
            }
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                let left = children
                    .iter()
                    .any(|(pid, started)| identity(*pid).as_ref() == Some(started));
                if !left && !self.owns_its_group() {
                    return Ok(());
                }
                thread::sleep(Duration::from_millis(25));
            }
        }
        bail!(
            "process {} ({}) does not end",
            self.pid,
            self.launch.program.display()
        )
    }

    /// Starts it again the way it was started, after it was stopped.
    pub(crate) fn start_again(&self) -> Result<Self> {
        if let Some(file) = self
            .launch
            .pid_file
            .as_ref()
            .filter(|file| file.exists() && !self.is_alive())
        {
            fs::remove_file(file)
                .with_context(|| format!("{} cannot be removed", file.display()))?;
        }
        self.launch.spawn(&self.role)
    }

    /// The group outlives its first process if, say, a launcher script was killed and its server was not.
    fn owns_its_group(&self) -> bool {
        match identity(self.pid) {
            Some(identity) => identity == self.started,
            None => running().any(|(_, stat)| stat.group == self.pid),
        }
    }

    /// The end of what it wrote, for error messages.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.launch.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(12)..].join("\n  ");
        format!("the end of {}:\n  {tail}", self.launch.log.display())
    }
}

/// `kill` of the shell: present wherever there is a shell, and no unsafe code.
fn send(signal: Signal, target: &str) -> Result<()> {
    let name = match signal {
        Signal::Int => "INT",
        Signal::Term => "TERM",
        Signal::Kill => "KILL",
    };
    let mut command = Command::new("sh");
    // It fails when the target is gone meanwhile, which is what was wanted.
    command
        .args(["-c", &format!("kill -s {name} -- {target}")])
        .stderr(Stdio::null())
        .status()?;
    Ok(())
}

/// What no other process has had or will have: boot and start time. None: it does not run (any more).
fn identity(pid: u32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let stat = Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        return stat
            .runs()
            .then(|| format!("{}:{}", boot.trim(), stat.started));
    }
    let output = Command::new("ps")
        .args(["-o", "lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let started = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!started.is_empty()).then_some(started)
}

/// Every process that runs, where the system lists them in `/proc`.
fn running() -> impl Iterator<Item = (u32, Stat)> {
    let entries = fs::read_dir("/proc").ok().into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = Stat::parse(&fs::read_to_string(entry.path().join("stat")).ok()?)?;
        stat.runs().then_some((pid, stat))
    })
}

/// Ends what a process has started, by force, and leaves the process itself.
pub(crate) fn kill_descendants(pid: u32) -> Result<()> {
    for (pid, _) in descendants(pid) {
        send(Signal::Kill, &pid.to_string())?;
    }
    Ok(())
}

/// Children, their children and so on, each with its identity.
fn descendants(pid: u32) -> Vec<(u32, String)> {
    let processes: Vec<(u32, u32)> = running().map(|(pid, stat)| (pid, stat.parent)).collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(
            processes
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    family
        .into_iter()
        .skip(1)
        .filter_map(|pid| Some((pid, identity(pid)?)))
        .collect()
}

/// What is of interest in `/proc/PID/stat`.
struct Stat {
    state: char,
    parent: u32,
    group: u32,
    started: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name, in parentheses, may hold anything, so the fields are counted after the last parenthesis.
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let started = fields.nth(16)?.parse().ok()?;
        Some(Self {
            state,
            parent,
            group,
            started,
        })
    }

    /// A zombie has ended.
    fn runs(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let line = "812 (a) b (c) S 1 812 812 0 -1 4194560 95 0 1 0 2 3 4 5 20 0 7 0 99123 1 2 3";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            (stat.state, stat.parent, stat.group, stat.started),
            ('S', 1, 812, 99123)
        );
        assert!(Stat::parse("nonsense").is_none());
    }

    #[test]
    fn processes_are_recognised_and_stopped_with_their_children() {
        let directory = std::env::temp_dir().join(format!("xtask-process-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let launch = Launch::new("sh", &directory)
            .arguments(["-c", "echo $NAME; sleep 600 & wait"])
            .variable("NAME", "it ran");
        let process = launch.spawn("server").unwrap();
        assert!(process.is_alive());
        let deadline = Instant::now() + Duration::from_secs(10);
        while !process.last_words().contains("it ran") {
            assert!(Instant::now() < deadline, "{}", process.last_words());
            thread::sleep(Duration::from_millis(5));
        }

        let stranger = Process {
            started: "another boot:1".to_owned(),
            ..process.clone()
        };
        assert!(
            !stranger.is_alive(),
            "another start time is another process"
        );
        stranger.stop(Signal::Kill, Duration::ZERO).unwrap();
        assert!(
            process.is_alive(),
            "a process that is not ours must not be stopped"
        );

        process.stop(Signal::Term, Duration::from_secs(10)).unwrap();
        assert!(!process.is_alive() && running().all(|(_, stat)| stat.group != process.pid));
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_failing_preparation_tells_what_it_wrote() {
        let launch = Launch::new("sh", &std::env::temp_dir())
            .arguments(["-c", "echo no such thing >&2; exit 3"]);
        let error = launch.run().unwrap_err().to_string();
        assert!(
            error.contains("no such thing") && error.contains('3'),
            "{error}"
        );
    }
}
