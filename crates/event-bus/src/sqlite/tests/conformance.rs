//! The delivery contract. Nothing of it is beyond this backend, but refusing what is kept anyway.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::Connection;
use tempfile::TempDir;
use tokio::time::sleep;
use uuid::Uuid;

use super::file::raw;
use super::{directory, open};
use crate::bus::EventBus;
use crate::clock::Clock;
use crate::conformance::{Factory, Failure, Interruption, hold_until_killed, run_at_once};
use crate::error::Error;
use crate::name::{SubscriptionName, TopicName};
use crate::sqlite::Sqlite;

/// Tells a child where its parent's file is.
const PLACE: &str = "COMMERCE_EVENT_BUS_TEST_FILE";

struct File {
    path: PathBuf,
    /// A child does not own it.
    _directory: Option<TempDir>,
}

fn file() -> File {
    let directory = directory();
    File {
        path: directory.path().join("bus.db"),
        _directory: Some(directory),
    }
}

#[async_trait]
impl Factory for File {
    async fn connect(&self) -> Result<EventBus, Error> {
        // A short poll: some cases use two connections, which do not wake each other.
        let backend = open(&self.path, "poll=20ms").await;
        Ok(EventBus::new(Arc::new(backend)))
    }

    async fn put_bytes(&self, topic: &TopicName, bytes: Bytes) -> Result<bool, Failure> {
        let mut connection = raw(&self.path).await;
        sqlx::query(
            "INSERT INTO message (topic_id, published_at, attributes, data)
             SELECT id, 0, 'no headers', ?2 FROM topic WHERE name = ?1",
        )
        .bind(topic.as_str())
        .bind(&bytes[..])
        .execute(&mut connection)
        .await?;
        Ok(true)
    }

    async fn connect_breakable(&self) -> Result<Option<(EventBus, Box<dyn Interruption>)>, Error> {
        // So short that some publishers are told before it is over.
        let backend = open(&self.path, "poll=20ms&publish_timeout=300ms").await;
        let bus = EventBus::new(Arc::new(backend));
        Ok(Some((bus, Box::new(Locked(self.path.clone())))))
    }

    async fn connect_with_clock(
        &self,
        clock: &Clock,
        connections: usize,
    ) -> Result<Option<Vec<EventBus>>, Error> {
        // The processes on one file share one clock.
        let path = self.path.with_file_name(format!("{}.db", Uuid::new_v4()));
        let url = format!("{}?poll=20ms", path.display());
        let mut buses = Vec::new();
        for _ in 0..connections {
            let backend = Sqlite::connect(&url, clock.clone()).await?;
            buses.push(EventBus::new(Arc::new(backend)));
        }
        Ok(Some(buses))
    }

    fn process_to_kill(&self) -> Option<Command> {
        let mut command = Command::new(std::env::current_exe().ok()?);
        command.args([
            "--exact",
            "sqlite::tests::conformance::child_that_is_killed_while_it_holds",
            "--nocapture",
        ]);
        command.env(PLACE, &self.path);
        Some(command)
    }

    async fn lose_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<bool, Failure> {
        let mut connection = raw(&self.path).await;
        let id: i64 = sqlx::query_scalar(
            "SELECT s.id FROM subscription AS s JOIN topic AS t ON t.id = s.topic_id WHERE t.name = ?1 AND s.name = ?2",
        )
        .bind(topic.as_str())
        .bind(name.as_str())
        .fetch_one(&mut connection)
        .await?;
        let refuse = format!(
            "CREATE TRIGGER no_place BEFORE INSERT ON dead_letter WHEN NEW.subscription_id = {id}
             BEGIN SELECT RAISE(ABORT, 'there is no place'); END"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(refuse))
            .execute(&mut connection)
            .await?;
        // A file has no place that could be made again; this one comes back by itself.
        tokio::spawn(async move {
            sleep(Duration::from_millis(700)).await;
            let dropped = sqlx::raw_sql("DROP TRIGGER no_place")
                .execute(&mut connection)
                .await;
            dropped.expect("the place comes back");
        });
        Ok(true)
    }
}

/// What takes a file away for a while: another process that keeps its lock.
struct Locked(PathBuf);

#[async_trait]
impl Interruption for Locked {
    async fn interrupt(&self) {
        let mut connection = raw(&self.0).await;
        let transaction = connection
            .begin_with("BEGIN IMMEDIATE")
            .await
            .expect("the lock is free at some moment");
        sleep(Duration::from_secs(1)).await;
        transaction.rollback().await.expect("it lets go");
    }
}

crate::conformance_tests!(file());

/// For the case about a crash: the suite runs this program again, for this test alone.
#[tokio::test]
async fn child_that_is_killed_while_it_holds() {
    let Some(path) = std::env::var_os(PLACE) else {
        return;
    };
    let parents = File {
        path: path.into(),
        _directory: None,
    };
    hold_until_killed(&parents).await.unwrap();
}

#[tokio::test]
async fn every_case_applies() {
    let report = run_at_once(&file(), 4).await.unwrap();
    report.save_where_asked().unwrap();
    assert!(report.passed(), "{report}");
    let mut not_claimed = report.not_claimed();
    not_claimed.sort_unstable();
    assert_eq!(
        not_claimed,
        [
            // A file answers by itself: there is nobody between it and who publishes, and no server to start again.
            "a_lost_confirm_is_no_acceptance",
            "a_restart_of_the_broker_loses_nothing",
            "order_outlasts_a_restart_of_the_broker",
            "what_is_held_through_a_restart_settles_or_comes_again",
            // Nobody subscribed yet is no reason to refuse: the log keeps it.
            "what_nobody_would_get_is_not_accepted",
            "what_waits_outlasts_a_restart",
        ],
        "{report}"
    );
}
