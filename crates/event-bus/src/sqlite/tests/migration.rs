//! Files of older versions are brought to this one where they are.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};

use super::file::raw;
use super::{directory, message, name, open, topic};
use crate::backend::{Backend, Settlement};
use crate::clock::Clock;
use crate::filter::Filter;
use crate::name::SubscriptionName;
use crate::sqlite::Sqlite;
use crate::subscription::Subscription;

/// The tables of version 1, as they were released.
const VERSION_1: &str = "
PRAGMA application_id = 202048769;
PRAGMA user_version = 1;
CREATE TABLE topic (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    topic_id INTEGER NOT NULL,
    message_key TEXT,
    published_at INTEGER NOT NULL,
    headers TEXT NOT NULL,
    content_type TEXT,
    data BLOB
) STRICT;
CREATE INDEX message_by_topic ON message (topic_id, sequence, message_key);

CREATE TABLE subscription (
    id INTEGER PRIMARY KEY,
    topic_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    ordered INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic_id, name)
) STRICT;

CREATE TABLE delivery (
    subscription_id INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    lane TEXT,
    head INTEGER NOT NULL,
    due INTEGER NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (subscription_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_ready ON delivery (subscription_id, due, sequence) WHERE head = 1;
CREATE INDEX delivery_lane ON delivery (subscription_id, lane, sequence) WHERE lane IS NOT NULL;

CREATE TABLE dead_letter (
    subscription_id INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    rejected_at INTEGER NOT NULL,
    PRIMARY KEY (subscription_id, sequence)
) STRICT, WITHOUT ROWID;
";

/// One dead letter, one delivery after two attempts with another behind it, one message not taken, one of them garbage.
const CONTENT_1: &str = r#"
INSERT INTO topic (id, name) VALUES (1, 'orders');
INSERT INTO message (topic_id, message_key, published_at, headers, content_type, data) VALUES
    (1, 'a', 1000, '[["specversion","1.0"],["id","1"],["source","/old"],["type","test.old.made.v1"],["partitionkey","a"]]', 'text/plain', x'31'),
    (1, 'a', 2000, '[["specversion","1.0"],["id","2"],["source","/old"],["type","test.old.made.v1"],["partitionkey","a"]]', 'text/plain', x'32'),
    (1, 'a', 3000, '[["specversion","1.0"],["id","3"],["source","/old"],["type","test.old.made.v1"],["partitionkey","a"]]', NULL, NULL),
    (1, NULL, 4000, 'no headers', NULL, x'ff');
INSERT INTO subscription (id, topic_id, name, ordered, cursor, fence) VALUES (7, 1, 'billing', 1, 3, 12);
INSERT INTO delivery (subscription_id, sequence, lane, head, due, fence, attempts) VALUES
    (7, 2, 'a', 1, 5000, 0, 2), (7, 3, 'a', 0, 5000, 0, 0);
INSERT INTO dead_letter (subscription_id, sequence, attempts, reason, rejected_at) VALUES
    (7, 1, 3, 'it said "no"', 6000);
"#;

async fn file_of_version_1(path: &Path, content: &str) {
    let mut connection = raw(path).await;
    for text in [VERSION_1, content] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
}

async fn tables(path: &Path) -> BTreeSet<String> {
    let mut connection: SqliteConnection = raw(path).await;
    sqlx::query_scalar(
        "SELECT t.name || ' ' || t.type || ' ' || t.wr || t.strict || ' ' || coalesce(group_concat(
                    c.cid || c.name || c.type || c.\"notnull\" || coalesce(c.dflt_value, '-') || c.pk, ', '), '')
         FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c WHERE t.schema = 'main' GROUP BY t.name
         UNION ALL
         SELECT name || coalesce(sql, '') FROM sqlite_schema WHERE type = 'index'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap()
    .into_iter()
    .collect()
}

#[tokio::test]
async fn an_old_file_gets_the_tables_of_a_new_one() {
    let directory = directory();
    let (old, new) = (
        directory.path().join("old.db"),
        directory.path().join("new.db"),
    );
    file_of_version_1(&old, "").await;
    for path in [&old, &new] {
        let bus = open(path, "").await;
        bus.close(Duration::from_secs(5)).await.unwrap();
    }
    let tables_of_new = tables(&new).await;
    assert_eq!(tables(&old).await, tables_of_new);
    assert!(tables_of_new.len() > 8, "{tables_of_new:?}");
}

#[tokio::test]
async fn what_an_old_file_holds_goes_on_where_it_was() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    file_of_version_1(&path, CONTENT_1).await;
    // Several processes at once: one of them does it.
    let (one, other) = tokio::join!(open(&path, ""), open(&path, ""));
    other.close(Duration::from_secs(5)).await.unwrap();
    let bus = one;

    let backlog = bus.backlog(&topic(), &name()).await.unwrap();
    assert_eq!(
        (backlog.waiting, backlog.in_flight, backlog.dead),
        (3, 0, 1)
    );
    assert_eq!(backlog.oldest_at.unwrap().timestamp_millis(), 2000);
    let letters = bus.dead_letters(&topic(), &name(), 10).await.unwrap();
    assert_eq!(letters[0].reasons, ["it said \"no\""]);
    assert_eq!(
        (letters[0].attempts, letters[0].position.as_str()),
        (3, "1")
    );
    assert_eq!(letters[0].rejected_at.timestamp_millis(), 6000);
    assert_eq!(letters[0].first_failed_at, letters[0].rejected_at);
    assert_eq!(letters[0].body.as_ref().unwrap().event.id(), "1");

    // The redriven one goes before the others of its key; the one that had two attempts has its third.
    assert_eq!(
        bus.redrive(&topic(), &name(), 10, &Filter::new())
            .await
            .unwrap(),
        1
    );
    let mut feed = bus
        .subscribe(Subscription::new(topic(), name()))
        .await
        .unwrap();
    let settler = feed.settler();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let incoming = feed.receive().await.unwrap().unwrap();
        assert!(incoming.receipt.fence > 12, "fences go on");
        let id = incoming
            .body
            .as_ref()
            .map(|message| message.event.id().to_owned());
        seen.push((incoming.position.clone(), incoming.attempt, id.ok()));
        settler
            .settle(incoming.receipt, Settlement::Ack)
            .await
            .unwrap();
    }
    seen.sort();
    let event = |id: &str| Some(id.to_owned());
    assert_eq!(
        seen,
        [
            ("1".to_owned(), 1, event("1")),
            ("2".to_owned(), 3, event("2")),
            ("3".to_owned(), 1, event("3")),
            ("4".to_owned(), 1, None),
        ]
    );
    // Numbers go on behind the old ones.
    let accepted = bus
        .publish(vec![message(None, "x")])
        .await
        .remove(0)
        .unwrap();
    assert_eq!(accepted.position.as_deref(), Some("5"));
    let other = Subscription::new(topic(), SubscriptionName::new("other").unwrap());
    let other = bus.subscribe(other).await.unwrap();
    let mut connection = raw(&path).await;
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM subscription ORDER BY id")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(ids, [7, 8]);
    drop((feed, other));
    bus.close(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn a_file_of_an_unknown_version_is_left_alone() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    open(&path, "")
        .await
        .close(Duration::from_secs(1))
        .await
        .unwrap();
    for version in [-1, 0, 4, 99] {
        let mut connection = raw(&path).await;
        let mark = format!("PRAGMA user_version = {version}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(mark))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        let error = Sqlite::connect(&path.display().to_string(), Clock::new())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("version {version}")), "{error}");
    }
}
