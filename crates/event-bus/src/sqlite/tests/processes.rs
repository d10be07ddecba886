//! Several processes on one file, and processes that are killed. The test binary runs itself again as the child.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::Utc;
use sqlx::Connection;

use super::file::raw;
use super::{directory, message, name, open, topic};
use crate::backend::Backend;
use crate::bus::EventBus;
use crate::name::SubscriptionName;
use crate::subscription::Subscription;

/// Names the file to a child.
const FILE: &str = "COMMERCE_EVENT_BUS_TEST_FILE";

/// A child process that runs one test of this file, with the environment variable set.
pub(super) struct Process {
    child: Child,
    pub(super) lines: mpsc::Receiver<String>,
}

impl Process {
    fn run(test: &str, file: &Path) -> Self {
        let binary = env::current_exe().expect("the test binary");
        let test = format!("{}::{test}", parent_of_tests(module_path!()));
        Self::start(&mut Command::new(binary), &test, file)
    }

    /// Runs one test of this binary by a command that ends with the binary.
    pub(super) fn start(command: &mut Command, test: &str, file: &Path) -> Self {
        let mut child = command
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(FILE, file)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the child starts");
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        std::thread::spawn(move || {
            // A line that was cut off by the kill was not said.
            for line in output.lines().map_while(Result::ok) {
                if let Some(said) = line.strip_prefix("> ") {
                    let _ = sender.send(said.to_owned());
                }
            }
        });
        Self { child, lines }
    }

    /// Whether it ended by itself, and well.
    pub(super) fn wait(&mut self) -> bool {
        self.child.wait().expect("it ends").success()
    }

    fn kill(&mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of a module as the test harness says it.
pub(super) fn parent_of_tests(module: &str) -> &str {
    module.split_once("::").expect("a module").1
}

/// Says a line to the parent.
pub(super) fn say(line: std::fmt::Arguments<'_>) {
    let mut output = std::io::stdout().lock();
    // On a line of its own, after whatever the test harness began; in one write, so that a kill leaves no half line that
    // looks whole. Without the parent there is nobody to tell.
    let _ = output
        .write_all(format!("\n> {line}\n").as_bytes())
        .and_then(|()| output.flush());
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

pub(super) fn child_file() -> Option<PathBuf> {
    env::var_os(FILE).map(PathBuf::from)
}

async fn bus(path: &Path) -> EventBus {
    EventBus::new(std::sync::Arc::new(open(path, "poll=20ms").await))
}

fn now_us() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_micros()
}

/// Publishes and consumes as fast as it can, and says what it was told is done.
async fn publish_and_consume(path: &Path) {
    let bus = bus(path).await;
    let subscription = Subscription::new(topic(), name()).lease(Duration::from_millis(500));
    let mut subscriber = bus.subscribe(subscription).await.expect("it subscribes");
    let publisher = bus.clone();
    let tag = std::process::id();
    for task in 0..4 {
        let publisher = publisher.clone();
        tokio::spawn(async move {
            for n in 0.. {
                let key = format!("{tag}-{task}");
                let accepted = publisher
                    .publish(message(Some(&key), format!("{n}")))
                    .await
                    .expect("accepted");
                say(format_args!(
                    "accepted {}",
                    accepted.position.expect("a position")
                ));
            }
        });
    }
    while let Some(delivery) = subscriber.next().await.expect("it receives") {
        let position = delivery.position().to_owned();
        delivery.ack().await.expect("it is settled");
        say(format_args!("acked {position}"));
    }
}

#[test]
fn nothing_accepted_is_lost_and_nothing_acked_comes_back_when_killed() {
    if let Some(file) = child_file() {
        return runtime().block_on(publish_and_consume(&file));
    }
    let directory = directory();
    let path = directory.path().join("bus.db");
    let (mut accepted, mut acked) = (BTreeSet::new(), BTreeSet::new());
    for round in 1..=6_usize {
        let mut process = Process::run(
            "nothing_accepted_is_lost_and_nothing_acked_comes_back_when_killed",
            &path,
        );
        // A different moment each time.
        let enough = acked.len() + 37 * round;
        let deadline = Instant::now() + Duration::from_mins(1);
        while acked.len() < enough {
            assert!(Instant::now() < deadline, "the child makes no progress");
            if let Ok(line) = process.lines.recv_timeout(Duration::from_millis(100)) {
                hear(&line, &mut accepted, &mut acked);
            }
        }
        process.kill();
        while let Ok(line) = process.lines.recv() {
            hear(&line, &mut accepted, &mut acked);
        }
        runtime().block_on(is_sound(&path));
    }
    runtime().block_on(async {
        let bus = bus(&path).await;
        // Everything accepted is there, in order per key.
        let all = Subscription::new(topic(), SubscriptionName::new("all").unwrap());
        let backlog = bus.backlog(&topic(), &name()).await.unwrap();
        let stored = drain(&bus, all).await;
        let missing: Vec<_> = accepted.difference(&stored).collect();
        assert!(missing.is_empty(), "accepted and gone: {missing:?}");
        // Nothing acked comes back, and what comes is the rest: none is lost.
        let rest = drain(&bus, Subscription::new(topic(), name())).await;
        let twice: Vec<_> = rest.intersection(&acked).collect();
        assert!(twice.is_empty(), "acked and delivered again: {twice:?}");
        assert_eq!(rest.len() as u64, backlog.waiting + backlog.in_flight);
        let neither: Vec<_> = stored
            .iter()
            .filter(|n| !rest.contains(n) && !acked.contains(n))
            .collect();
        // Acked, and killed before it could say so: at most what one commit settles, per round.
        assert!(
            neither.len() <= 6 * 64,
            "{} settled without a word",
            neither.len()
        );
        bus.close(Duration::from_secs(5)).await.unwrap();
    });
}

/// What SQLite says of the whole file, its write-ahead log included.
pub(super) async fn is_sound(path: &Path) {
    let mut connection = raw(path).await;
    let verdict: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(verdict, ["ok"]);
    connection.close().await.unwrap();
}

fn hear(line: &str, accepted: &mut BTreeSet<u64>, acked: &mut BTreeSet<u64>) {
    let (what, position) = line.split_once(' ').expect("two words");
    let position = position.parse().expect("a position");
    match what {
        "accepted" => accepted.insert(position),
        _ => acked.insert(position),
    };
}

/// Takes everything there is, checks the order per key, gives the positions.
async fn drain(bus: &EventBus, subscription: Subscription) -> BTreeSet<u64> {
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    let backlog = bus
        .backlog(&subscription.topic, &subscription.name)
        .await
        .unwrap();
    let mut last = BTreeMap::<String, u64>::new();
    let mut seen = BTreeSet::new();
    let mut acks = tokio::task::JoinSet::new();
    for _ in 0..backlog.waiting + backlog.in_flight {
        let next = tokio::time::timeout(Duration::from_secs(20), subscriber.next()).await;
        let delivery = next.expect("what waits is delivered").unwrap().unwrap();
        let number: u64 = String::from_utf8_lossy(delivery.message().event.data().unwrap())
            .parse()
            .unwrap();
        let key = delivery.message().key().unwrap().to_owned();
        let before = last.insert(key.clone(), number);
        assert!(
            before < Some(number),
            "key {key}: {number} after {before:?}"
        );
        assert!(
            seen.insert(delivery.position().parse().unwrap()),
            "it came twice"
        );
        acks.spawn(delivery.ack());
    }
    while let Some(acked) = acks.join_next().await {
        acked.unwrap().unwrap();
    }
    assert!(
        bus.backlog(&subscription.topic, &subscription.name)
            .await
            .unwrap()
            .is_drained()
    );
    subscriber.close().await;
    seen
}

/// Consumes, a moment for each delivery, and says when it began and ended.
async fn consume(path: &Path) {
    let bus = bus(path).await;
    let subscription = Subscription::new(topic(), name())
        .max_in_flight(4)
        .lease(Duration::from_millis(500));
    let mut subscriber = bus.subscribe(subscription).await.expect("it subscribes");
    say(format_args!("ready"));
    while let Some(delivery) = subscriber.next().await.expect("it receives") {
        let (key, position) = (
            delivery.message().key().expect("a key").to_owned(),
            delivery.position().to_owned(),
        );
        let began = now_us();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let ended = now_us();
            if delivery.ack().await.is_ok() {
                say(format_args!("{key} {position} {began} {ended}"));
            }
        });
    }
}

const KEYS: usize = 5;
const EACH: usize = 60;

#[test]
fn processes_share_a_subscription_and_a_key_has_one_holder() {
    if let Some(file) = child_file() {
        return runtime().block_on(consume(&file));
    }
    let directory = directory();
    let path = directory.path().join("bus.db");
    let mut processes: Vec<Process> = (0..3)
        .map(|_| {
            Process::run(
                "processes_share_a_subscription_and_a_key_has_one_holder",
                &path,
            )
        })
        .collect();
    for process in &processes {
        let line = process
            .lines
            .recv_timeout(Duration::from_mins(1))
            .expect("the child starts");
        assert_eq!(line, "ready");
    }
    runtime().block_on(async {
        let backend = open(&path, "").await;
        for n in 0..EACH {
            let batch = (0..KEYS)
                .map(|key| message(Some(&format!("key-{key}")), n.to_string()))
                .collect();
            for result in backend.publish(batch).await {
                result.unwrap();
            }
        }
        backend.close(Duration::from_secs(5)).await.unwrap();
    });
    let mut work: BTreeMap<String, Vec<(u64, u128, u128)>> = BTreeMap::new();
    let mut workers = BTreeSet::new();
    let mut done = BTreeSet::new();
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut killed = false;
    // A killed process may have acked without a word: one delivery of each of its four.
    while done.len() < KEYS * EACH - if killed { 4 } else { 0 } {
        assert!(
            Instant::now() < deadline,
            "{} of {} done",
            done.len(),
            KEYS * EACH
        );
        for (worker, process) in processes.iter_mut().enumerate() {
            let Ok(line) = process.lines.recv_timeout(Duration::from_millis(5)) else {
                continue;
            };
            let words: Vec<&str> = line.split(' ').collect();
            let [key, position, began, ended] = words[..] else {
                panic!("{line}")
            };
            let position: u64 = position.parse().unwrap();
            assert!(done.insert(position), "{position} was settled twice");
            work.entry(key.to_owned()).or_default().push((
                position,
                began.parse().unwrap(),
                ended.parse().unwrap(),
            ));
            workers.insert(worker);
        }
        // One of them dies in the middle of its work; the others take over when its leases end.
        if !killed && done.len() > KEYS * EACH / 3 {
            processes[0].kill();
            killed = true;
        }
    }
    assert!(workers.len() > 1, "one process did all the work");
    for (key, mut deliveries) in work {
        deliveries.sort_unstable();
        for pair in deliveries.windows(2) {
            let ((first, _, ended), (second, began, _)) = (pair[0], pair[1]);
            assert!(
                began >= ended,
                "{key}: {second} began before {first} had ended"
            );
        }
    }
}

/// Schedules, says what for when, and goes on until it is killed.
async fn schedule(path: &Path) {
    let bus = bus(path).await;
    for n in 0.. {
        let message = message(Some("a"), n.to_string()).with_delay(Duration::from_millis(1500));
        let due = message.deliver_at.expect("it is for later");
        bus.publish(message).await.expect("accepted");
        say(format_args!("{n} {}", due.timestamp_micros()));
    }
}

#[test]
fn what_was_scheduled_outlives_a_kill_and_is_not_early() {
    if let Some(file) = child_file() {
        return runtime().block_on(schedule(&file));
    }
    let directory = directory();
    let path = directory.path().join("bus.db");
    let mut process = Process::run("what_was_scheduled_outlives_a_kill_and_is_not_early", &path);
    let mut scheduled = BTreeMap::<u64, i64>::new();
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut hear = |line: String| {
        let (n, due) = line.split_once(' ').expect("two words");
        scheduled.insert(n.parse().unwrap(), due.parse().unwrap());
        scheduled.len()
    };
    loop {
        assert!(Instant::now() < deadline, "the child makes no progress");
        if let Ok(line) = process.lines.recv_timeout(Duration::from_millis(100))
            && hear(line) >= 25
        {
            break;
        }
    }
    process.kill();
    while let Ok(line) = process.lines.recv() {
        hear(line);
    }
    runtime().block_on(async {
        is_sound(&path).await;
        let bus = bus(&path).await;
        let mut subscriber = bus
            .subscribe(Subscription::new(topic(), name()))
            .await
            .unwrap();
        // The last may have been accepted without a word.
        for (n, due) in &scheduled {
            let next = tokio::time::timeout(Duration::from_secs(20), subscriber.next()).await;
            let delivery = next.expect("it is delivered").unwrap().unwrap();
            let now = Utc::now().timestamp_micros();
            let data = delivery.message().event.data().unwrap();
            assert_eq!(
                data,
                n.to_string().as_bytes(),
                "in the order of their times"
            );
            assert!(now >= *due, "{n} came early");
            delivery.ack().await.unwrap();
        }
    });
}
