//! A disk that is really full: a small file system of its own, in a child process that alone sees it.

use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::processes::{Process, child_file, is_sound, parent_of_tests, runtime, say};
use super::{directory, message, name, open, topic};
use crate::bus::EventBus;
use crate::subscription::Subscription;

/// Makes a file system of 12 MiB at $0, in a mount namespace that ends with the process, and runs the rest.
const IN_SMALL_FILE_SYSTEM: &str = "mount -t tmpfs -o size=12m tmpfs \"$0\" && exec \"$@\"";

fn with_small_file_system(at: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(IN_SMALL_FILE_SYSTEM)
        .arg(at);
    command
}

fn can_mount(at: &Path) -> bool {
    let tried = with_small_file_system(at)
        .arg("true")
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// Fills the disk, goes on publishing and settling while it is full, makes room, and looks for what was accepted.
async fn fill_and_go_on(path: &Path) {
    let ballast = path.with_file_name("ballast");
    std::fs::write(&ballast, vec![1; 5 * 1024 * 1024]).unwrap();
    let bus = EventBus::new(std::sync::Arc::new(
        open(path, "poll=20ms&publish_timeout=5s").await,
    ));
    let mut subscriber = bus
        .subscribe(Subscription::new(topic(), name()).max_in_flight(1))
        .await
        .unwrap();
    let mut accepted = BTreeSet::new();
    let mut failures = 0;
    let mut n = 0_u64;
    let full = Instant::now() + Duration::from_mins(1);
    // Not only the first failure: the twentieth must find the file as sound.
    while failures < 20 {
        assert!(Instant::now() < full, "{} accepted", accepted.len());
        let data = format!("{n} {}", "x".repeat(60_000));
        let published = bus
            .publish(message(Some(&format!("key-{}", n % 5)), data))
            .await;
        match published {
            Ok(told) => {
                accepted.insert(told.position.expect("a position").parse::<u64>().unwrap());
            }
            Err(error) => {
                failures += 1;
                assert!(error.is_retryable(), "{error}");
                assert_eq!(
                    error.message().event.data().unwrap().len(),
                    format!("{n} ").len() + 60_000
                );
            }
        }
        n += 1;
    }
    assert!(accepted.len() > 20, "only {} fitted", accepted.len());
    // What cannot be settled is given back, and can be settled later.
    let first = loop {
        match timeout(Duration::from_secs(20), subscriber.next()).await {
            Ok(Ok(delivery)) => break delivery,
            Ok(Err(error)) => assert!(error.is_retryable(), "{error}"),
            // No lease can be written either.
            Err(_) => break None,
        }
    };
    let first = match first {
        None => None,
        Some(first) => first.ack().await.err().map(|error| *error.delivery),
    };
    say(format_args!(
        "full after {} of {n}, a delivery {}",
        accepted.len(),
        if first.is_some() {
            "given back"
        } else {
            "settled, or not handed out"
        }
    ));

    std::fs::remove_file(&ballast).unwrap();
    let again = Instant::now() + Duration::from_secs(30);
    loop {
        assert!(
            Instant::now() < again,
            "there is room, and it does not go on"
        );
        match bus.publish(message(Some("key-0"), "after")).await {
            Ok(told) => {
                accepted.insert(told.position.expect("a position").parse().unwrap());
                break;
            }
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
    let mut settled = BTreeSet::new();
    if let Some(first) = first {
        let position = first.position().parse::<u64>().unwrap();
        match first.ack().await {
            Ok(()) => {
                settled.insert(position);
            }
            // Its lease ended meanwhile: it comes again.
            Err(error) => drop(error),
        }
    }
    // Everything accepted is delivered: in this subscription, or, where it was settled before, in another.
    let mut all = bus
        .subscribe(Subscription::new(
            topic(),
            crate::SubscriptionName::new("all").unwrap(),
        ))
        .await
        .unwrap();
    let mut missing = accepted.clone();
    while !missing.is_empty() {
        let next = timeout(Duration::from_secs(20), all.next()).await;
        let delivery = next.expect("what was accepted is there").unwrap().unwrap();
        missing.remove(&delivery.position().parse().unwrap());
        delivery.ack().await.unwrap();
    }
    let mut left = bus.backlog(&topic(), &name()).await.unwrap();
    while !left.is_drained() {
        let next = timeout(Duration::from_secs(20), subscriber.next()).await;
        let delivery = next.expect("it goes on").unwrap().unwrap();
        settled.insert(delivery.position().parse().unwrap());
        delivery.ack().await.unwrap();
        left = bus.backlog(&topic(), &name()).await.unwrap();
    }
    assert!(
        settled.len() + 1 >= accepted.len(),
        "{} of {}",
        settled.len(),
        accepted.len()
    );
    drop((subscriber, all));
    bus.close(Duration::from_secs(10)).await.unwrap();
    is_sound(path).await;
    say(format_args!("sound"));
}

#[test]
fn a_full_file_system_loses_nothing_and_goes_on_when_there_is_room() {
    if let Some(file) = child_file() {
        return runtime().block_on(fill_and_go_on(&file));
    }
    let directory = directory();
    if !can_mount(directory.path()) {
        // Where mounts are forbidden, the limit on pages of a_full_disk_fails_the_publish_and_nothing_else stands in.
        println!(
            "not run: this machine lets nobody make a file system of his own (unshare --user --mount)"
        );
        return;
    }
    let test = format!(
        "{}::a_full_file_system_loses_nothing_and_goes_on_when_there_is_room",
        parent_of_tests(module_path!())
    );
    let mut command = with_small_file_system(directory.path());
    command.arg(env::current_exe().unwrap());
    let mut process = Process::start(&mut command, &test, &directory.path().join("bus.db"));
    let mut said = Vec::new();
    while let Ok(line) = process.lines.recv_timeout(Duration::from_mins(2)) {
        said.push(line);
    }
    assert!(process.wait(), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("sound"), "{said:?}");
    println!("{said:?}");
}
