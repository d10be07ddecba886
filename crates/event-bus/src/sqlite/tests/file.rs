//! The file itself: what is not ours, retention, limits, what happens when it is full or held.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};
use tokio::time::{Instant, sleep, timeout};

use super::{directory, message, name, open, topic};
use crate::backend::{Backend, Feed, Incoming, Settlement};
use crate::clock::Clock;
use crate::error::{ErrorKind, PublishErrorKind};
use crate::sqlite::Sqlite;
use crate::sqlite::clock::Now;
use crate::sqlite::writer::{Task, Touched};
use crate::subscription::{Order, Start, Subscription};

pub(super) async fn raw(path: &Path) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn refusal(path: &Path) -> crate::error::Error {
    Sqlite::connect(&path.display().to_string(), Clock::new())
        .await
        .expect_err("it must be refused")
}

#[tokio::test]
async fn a_file_that_is_not_a_bus_is_left_alone() {
    let directory = directory();
    let path = directory.path().join("shop.db");
    let mut connection = raw(&path).await;
    sqlx::raw_sql("CREATE TABLE article (id INTEGER)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let error = refusal(&path).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("something else"), "{error}");

    let text = directory.path().join("notes.txt");
    std::fs::write(
        &text,
        "not a database, but long enough to be read as the header of one: ".repeat(20),
    )
    .unwrap();
    let error = refusal(&text).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        std::fs::read_to_string(&text)
            .unwrap()
            .starts_with("not a database")
    );
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let directory = directory();
    let error = refusal(&directory.path().join("nowhere").join("bus.db")).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("opened"), "{error}");
}

#[tokio::test]
async fn a_check_tells_who_holds_the_file() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "publish_timeout=100ms").await;
    bus.check().await.unwrap();
    let mut other = raw(&path).await;
    let transaction = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = bus.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("another process"), "{error}");
    transaction.rollback().await.unwrap();
    bus.check().await.unwrap();
}

/// SQLite itself goes on with a file that has no name any more.
#[cfg(unix)]
#[tokio::test]
async fn a_check_tells_that_the_file_is_gone_or_another() {
    let directory = directory();
    let (path, aside) = (
        directory.path().join("bus.db"),
        directory.path().join("aside.db"),
    );
    let bus = open(&path, "").await;
    bus.check().await.unwrap();
    std::fs::rename(&path, &aside).unwrap();
    let error = bus.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("put it back"), "{error}");
    std::fs::write(&path, "").unwrap();
    let error = bus.check().await.unwrap_err();
    assert!(error.to_string().contains("another file"), "{error}");
    std::fs::rename(&aside, &path).unwrap();
    bus.check().await.unwrap();
}

#[tokio::test]
async fn many_openers_of_a_new_file_agree() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let url = path.display().to_string();
        opening.spawn(async move { Sqlite::connect(&url, Clock::new()).await });
    }
    while let Some(opened) = opening.join_next().await {
        let bus = opened.unwrap().unwrap();
        bus.publish(vec![message(None, "x")])
            .await
            .remove(0)
            .unwrap();
    }
}

#[tokio::test]
async fn a_message_too_large_is_refused_and_the_others_are_not() {
    let directory = directory();
    let bus = open(&directory.path().join("bus.db"), "max_message=1000").await;
    let batch = vec![
        message(Some("a"), "x"),
        message(Some("a"), "x".repeat(1001)),
        message(Some("b"), "x"),
    ];
    let results = bus.publish(batch).await;
    let large = results[1].as_ref().unwrap_err();
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(large.error().kind(), ErrorKind::Message);
    assert_eq!(large.kind(), PublishErrorKind::Failed);
    assert!(!large.is_retryable());
}

#[tokio::test]
async fn a_large_batch_keeps_its_order_and_its_numbers() {
    let directory = directory();
    let bus = open(&directory.path().join("bus.db"), "").await;
    let results = bus
        .publish(
            (0..2500)
                .map(|n| message(Some("a"), n.to_string()))
                .collect(),
        )
        .await;
    let positions: Vec<u64> = results
        .iter()
        .map(|result| {
            result
                .as_ref()
                .unwrap()
                .position
                .as_ref()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert!(positions.is_sorted_by(|a, b| a < b) && positions.len() == 2500);
    let subscription = Subscription::new(topic(), name())
        .order(Order::Unordered)
        .max_in_flight(3000);
    let mut feed = bus.subscribe(subscription).await.unwrap();
    for (n, position) in positions.iter().enumerate() {
        let incoming = feed.receive().await.unwrap().unwrap();
        assert_eq!(incoming.position, position.to_string());
        assert_eq!(
            incoming.body.unwrap().event.data().unwrap(),
            n.to_string().as_bytes()
        );
    }
}

#[tokio::test]
async fn a_file_held_by_another_is_waited_for_and_then_reported() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "publish_timeout=1s").await;
    bus.publish(vec![message(None, "x")])
        .await
        .remove(0)
        .unwrap();
    let mut other = raw(&path).await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let error = bus
        .publish(vec![message(None, "x")])
        .await
        .remove(0)
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    let (held, published) = {
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut other)
            .await
            .unwrap();
        let release = async {
            sleep(Duration::from_millis(200)).await;
            sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
        };
        let started = Instant::now();
        let ((), published) = tokio::join!(release, bus.publish(vec![message(None, "x")]));
        (started.elapsed(), published)
    };
    assert!(published[0].is_ok() && held >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_full_disk_fails_the_publish_and_nothing_else() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "").await;
    let mut feed = bus
        .subscribe(Subscription::new(topic(), name()))
        .await
        .unwrap();
    bus.publish(vec![message(Some("a"), "before")])
        .await
        .remove(0)
        .unwrap();
    let incoming = receive_in_spite(feed.as_mut()).await;
    let settler = feed.settler();
    // Nobody claims from here on, so the publish is alone in its transaction: its parts would be tried on a new
    // connection, which does not know the limit.
    feed.close().await;
    bus.shared.work(NoMorePages).await.unwrap();
    let error = bus
        .publish(vec![message(Some("a"), "x".repeat(500_000))])
        .await
        .remove(0)
        .unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Failed, "{error}");
    assert_eq!(error.error().kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(
        incoming.body.unwrap().event.data().unwrap(),
        "before".as_bytes()
    );
    settler
        .settle(incoming.receipt, Settlement::Ack)
        .await
        .unwrap();
    // There is room again: a new connection does not know the limit.
    bus.publish(vec![message(Some("a"), "after")])
        .await
        .remove(0)
        .unwrap();
    let mut feed = bus
        .subscribe(Subscription::new(topic(), name()))
        .await
        .unwrap();
    let incoming = receive_in_spite(feed.as_mut()).await;
    assert_eq!(
        incoming.body.unwrap().event.data().unwrap(),
        "after".as_bytes()
    );
}

/// A claim may have shared the transaction that failed: its error says to try again.
async fn receive_in_spite(feed: &mut dyn Feed) -> Incoming {
    loop {
        match timeout(Duration::from_secs(10), feed.receive())
            .await
            .expect("it comes")
        {
            Ok(incoming) => return incoming.expect("the bus is open"),
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
}

/// As many pages as there are: to SQLite, a disk without room.
pub(super) struct NoMorePages;

#[async_trait]
impl Task for NoMorePages {
    type Output = ();

    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        _: Now,
        _: &mut Touched,
    ) -> Result<(), sqlx::Error> {
        sqlx::raw_sql("PRAGMA max_page_count = 1")
            .execute(connection)
            .await
            .map(drop)
    }
}

#[tokio::test]
async fn a_lease_is_kept_while_its_holder_lives_and_lost_when_it_sleeps() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let (one, other) = (
        open(&path, "poll=20ms").await,
        open(&path, "poll=20ms").await,
    );
    let subscription = Subscription::new(topic(), name()).lease(Duration::from_secs(1));
    // With no room for another, the first does not take over from itself.
    let mut first = one
        .subscribe(subscription.clone().max_in_flight(1))
        .await
        .unwrap();
    one.publish(vec![message(Some("a"), "1"), message(Some("a"), "2")])
        .await
        .remove(0)
        .unwrap();
    let held = first.receive().await.unwrap().unwrap();
    let mut second = other.subscribe(subscription).await.unwrap();
    // Longer than two leases: it is extended, and the next of the key waits.
    assert!(
        timeout(Duration::from_millis(2500), second.receive())
            .await
            .is_err()
    );
    // What a process that sleeps through its lease finds when it wakes. It does not sleep here, so its lease (and no later
    // one) ends as often as it is extended, until the other one was quicker.
    let mut connection = raw(&path).await;
    let end_leases = async {
        loop {
            let end = sqlx::query("UPDATE delivery SET ready_at = 0 WHERE fence = $1")
                .bind(i64::try_from(held.receipt.fence).unwrap())
                .execute(&mut connection)
                .await;
            // Busy at times, with two others at work.
            drop(end);
            sleep(Duration::from_millis(30)).await;
        }
    };
    let taken_over = tokio::select! {
        () = end_leases => unreachable!("it has no end"),
        taken_over = timeout(Duration::from_secs(20), second.receive()) => taken_over.unwrap().unwrap().unwrap(),
    };
    assert_eq!((taken_over.position.as_str(), taken_over.attempt), ("1", 2));
    let late = first
        .settler()
        .settle(held.receipt, Settlement::Ack)
        .await
        .unwrap_err();
    assert_eq!(late.kind(), ErrorKind::LeaseLost);
    second
        .settler()
        .settle(taken_over.receipt, Settlement::Ack)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_retry_in_another_process_is_noticed_when_it_is_due() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    // A poll far longer than the delay: only the due time can wake the other one in time.
    let (one, other) = (
        open(&path, "poll=20ms").await,
        open(&path, "poll=10m").await,
    );
    let subscription = Subscription::new(topic(), name()).max_in_flight(1);
    let mut first = one.subscribe(subscription.clone()).await.unwrap();
    one.publish(vec![message(Some("a"), "1")])
        .await
        .remove(0)
        .unwrap();
    let held = first.receive().await.unwrap().unwrap();
    first
        .settler()
        .settle(
            held.receipt,
            Settlement::Retry {
                after: Duration::from_millis(600),
            },
        )
        .await
        .unwrap();
    first.close().await;
    let started = Instant::now();
    let mut second = other
        .subscribe(subscription.start(Start::Latest))
        .await
        .unwrap();
    let again = timeout(Duration::from_secs(10), second.receive())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(again.attempt, 2);
    assert!(started.elapsed() < Duration::from_secs(5));
}
