//! Statements, transactions and migrations mean the same on both databases.

use chrono::{DateTime, Utc};
use commerce_consumer_framework::storage::{Database, Dialect, ErrorKind, Migration};
use serde_json::{Value, json};
use uuid::Uuid;

const COUNTERS: &[Migration] = &[Migration::new(
    1,
    "CREATE TABLE counters (name TEXT PRIMARY KEY, n BIGINT NOT NULL CHECK (n >= 0));
     INSERT INTO counters (name, n) VALUES ('a', 0);",
)];

const EVERYTHING: &[Migration] = &[Migration::new(
    1,
    "CREATE TABLE everything (
        id UUID PRIMARY KEY, flag BOOLEAN, small INTEGER, big BIGINT, real DOUBLE PRECISION,
        word TEXT, bytes BYTEA, at TIMESTAMPTZ, doc JSONB
    )",
)];

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Everything {
    id: Uuid,
    flag: Option<bool>,
    small: Option<i32>,
    big: Option<i64>,
    real: Option<f64>,
    word: Option<String>,
    bytes: Option<Vec<u8>>,
    at: Option<DateTime<Utc>>,
    doc: Option<Value>,
}

async fn insert(db: &Database, row: &Everything) {
    db.query("INSERT INTO everything VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(row.id)
        .bind(row.flag)
        .bind(row.small)
        .bind(row.big)
        .bind(row.real)
        .bind(row.word.clone())
        .bind(row.bytes.clone())
        .bind(row.at)
        .bind(row.doc.clone())
        .execute()
        .await
        .unwrap();
}

async fn count(db: &Database) -> i64 {
    let (n,): (i64,) = db
        .query("SELECT n FROM counters WHERE name = $1")
        .bind("a")
        .fetch_one()
        .await
        .unwrap();
    n
}

on_each_database! {
    async fn values_of_every_type_come_back_as_they_were(place: &Place) {
        let db = place.open().await;
        db.migrate("everything", EVERYTHING).await.unwrap();
        let full = Everything {
            id: Uuid::now_v7(),
            flag: Some(true),
            small: Some(i32::MIN),
            big: Some(i64::MAX),
            real: Some(0.1),
            word: Some("São Paulo $1 'quoted'".to_owned()),
            bytes: Some(vec![0, 255, 10]),
            at: DateTime::from_timestamp_micros(1_763_712_345_678_901),
            doc: Some(json!({"a": [1, null, "x"], "b": {"c": 1.5}})),
        };
        let empty = Everything {
            id: Uuid::now_v7(),
            flag: None, small: None, big: None, real: None, word: None, bytes: None, at: None, doc: None,
        };
        for row in [&full, &empty] {
            insert(&db, row).await;
            let read: Everything = db.query("SELECT * FROM everything WHERE id = $1").bind(row.id).fetch_one().await.unwrap();
            assert_eq!(&read, row);
        }
    }

    async fn times_are_ordered_and_compared_as_times(place: &Place) {
        let db = place.open().await;
        db.migrate("everything", EVERYTHING).await.unwrap();
        let second = 1_763_712_345_000_000;
        let times: Vec<_> = [0, 1, 900, 1_000, 100_000, 999_999, 1_000_000].map(|micros| DateTime::from_timestamp_micros(second + micros).unwrap()).to_vec();
        for at in times.iter().rev() {
            db.query("INSERT INTO everything (id, at) VALUES ($1, $2)").bind(Uuid::now_v7()).bind(*at).execute().await.unwrap();
        }
        let read: Vec<(DateTime<Utc>,)> = db.query("SELECT at FROM everything WHERE at > $1 ORDER BY at").bind(times[1]).fetch_all().await.unwrap();
        assert_eq!(read.into_iter().map(|(at,)| at).collect::<Vec<_>>(), times[2..]);
    }

    async fn a_dropped_transaction_leaves_nothing_and_a_committed_one_stays(place: &Place) {
        let db = place.open().await;
        db.migrate("counters", COUNTERS).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        assert_eq!(tx.query("UPDATE counters SET n = 7").execute().await.unwrap(), 1);
        drop(tx);
        assert_eq!(count(&db).await, 0);
        let mut tx = db.begin().await.unwrap();
        tx.query("UPDATE counters SET n = 8").execute().await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(count(&db).await, 0);
        let mut tx = db.begin().await.unwrap();
        tx.query("UPDATE counters SET n = 9").execute().await.unwrap();
        assert_eq!(count(&db).await, 0, "readers do not see what is not committed");
        tx.commit().await.unwrap();
        db.close().await;
        assert_eq!(count(&place.open().await).await, 9);
    }

    async fn a_transaction_with_a_refused_statement_does_not_commit(place: &Place) {
        let db = place.open().await;
        db.migrate("counters", COUNTERS).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        tx.query("UPDATE counters SET n = 4").execute().await.unwrap();
        let duplicate = tx.query("INSERT INTO counters (name, n) VALUES ('a', 1)").execute().await.unwrap_err();
        assert!(duplicate.is_unique_violation());
        let error = tx.commit().await.unwrap_err();
        assert!(error.to_string().contains("nothing was committed"), "{error}");
        assert_eq!(count(&db).await, 0);
        let mut tx = db.begin().await.unwrap();
        let inserted = tx.query("INSERT INTO counters (name, n) VALUES ('a', 1) ON CONFLICT DO NOTHING").execute().await.unwrap();
        assert_eq!(inserted, 0);
        tx.commit().await.unwrap();
    }

    async fn errors_have_the_same_kind(place: &Place) {
        let db = place.open().await;
        db.migrate("counters", COUNTERS).await.unwrap();
        let duplicate = db.query("INSERT INTO counters (name, n) VALUES ($1, 0)").bind("a").execute().await.unwrap_err();
        assert!(duplicate.is_unique_violation() && !duplicate.is_retryable());
        let negative = db.query("UPDATE counters SET n = -1").execute().await.unwrap_err();
        assert_eq!(negative.kind(), ErrorKind::CheckViolation);
        let missing = db.query("SELECT n FROM counters WHERE name = $1").bind("b").fetch_one::<(i64,)>().await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::RowNotFound);
        let wrong = db.query("SELEKT 1").execute().await.unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::Other);
        let unbound = db.query("INSERT INTO counters (name, n) VALUES ($1, $2)").bind("b").execute().await.unwrap_err();
        assert!(unbound.to_string().contains("2 placeholders was given 1 values"), "{unbound}");
    }

    async fn writers_at_the_same_time_take_turns(place: &Place) {
        // Two handles, as two processes would have.
        let (one, two) = (place.open().await, place.open().await);
        one.migrate("counters", COUNTERS).await.unwrap();
        let lock = if one.dialect() == Dialect::Postgres { "SELECT n FROM counters FOR UPDATE" } else { "SELECT n FROM counters" };
        let mut writers = tokio::task::JoinSet::new();
        for i in 0..24 {
            let db = if i % 2 == 0 { one.clone() } else { two.clone() };
            writers.spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let (n,): (i64,) = tx.query(lock).fetch_one().await.unwrap();
                tx.query("UPDATE counters SET n = $1").bind(n + 1).execute().await.unwrap();
                tx.commit().await.unwrap();
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        assert_eq!(count(&two).await, 24);
    }

    async fn parts_of_one_place_do_not_see_each_other(place: &Place) {
        let (one, other) = (place.open().await, place.open_other().await);
        one.migrate("counters", COUNTERS).await.unwrap();
        assert!(other.query("SELECT n FROM counters").fetch_all::<(i64,)>().await.is_err());
        other.migrate("counters", COUNTERS).await.unwrap();
        one.query("UPDATE counters SET n = 5").execute().await.unwrap();
        assert_eq!((count(&one).await, count(&other).await), (5, 0));
    }

    async fn many_processes_may_start_at_once(place: &Place) {
        let starts = (0..6).map(|_| async {
            let db = place.open().await;
            db.migrate("counters", COUNTERS).await.unwrap();
            db.check().await.unwrap();
            db
        });
        let databases = futures_util::future::join_all(starts).await;
        assert_eq!(count(&databases[0]).await, 0);
    }

    async fn migrations_are_applied_once_and_never_edited(place: &Place) {
        let db = place.open().await;
        db.migrate("counters", COUNTERS).await.unwrap();
        db.query("UPDATE counters SET n = 3").execute().await.unwrap();
        db.migrate("counters", COUNTERS).await.unwrap();
        let second = Migration::new(3, "ALTER TABLE counters ADD COLUMN label TEXT");
        db.migrate("counters", &[COUNTERS[0], second]).await.unwrap();
        db.query("UPDATE counters SET label = $1").bind("x").execute().await.unwrap();
        assert_eq!(count(&db).await, 3);

        let edited = db.migrate("counters", &[Migration::new(1, "SELECT 1")]).await.unwrap_err();
        assert_eq!(edited.kind(), ErrorKind::Migration);
        assert!(edited.to_string().contains("counters: migration 1 was changed"), "{edited}");

        let late = Migration::new(2, "CREATE TABLE late (id BIGINT)");
        let error = db.migrate("counters", &[COUNTERS[0], late, second]).await.unwrap_err();
        assert!(error.to_string().contains("migration 2 is new but numbered below"), "{error}");
        assert!(db.query("SELECT id FROM late").fetch_all::<(i64,)>().await.is_err());

        // An older release starts again on the newer schema.
        db.migrate("counters", COUNTERS).await.unwrap();
    }

    async fn a_migration_that_fails_leaves_the_schema_as_it_was(place: &Place) {
        let db = place.open().await;
        let broken = [COUNTERS[0], Migration::new(2, "CREATE TABLE half (id BIGINT); INSERT INTO nowhere VALUES (1);")];
        let error = db.migrate("counters", &broken).await.unwrap_err();
        assert!(error.to_string().contains("counters: migration 2 failed"), "{error}");
        assert!(db.query("SELECT n FROM counters").fetch_all::<(i64,)>().await.is_err());
        db.migrate("counters", COUNTERS).await.unwrap();
        assert_eq!(count(&db).await, 0);
    }
}

#[tokio::test]
async fn sqlite_writes_only_where_a_write_is_asked_for() {
    let place = crate::databases::Place::sqlite();
    let db = place.open().await;
    db.migrate("counters", COUNTERS).await.unwrap();
    let sql = "UPDATE counters SET n = 1 RETURNING n";
    assert!(
        db.query(sql).fetch_one::<(i64,)>().await.is_err(),
        "a reader must not write"
    );
    let mut tx = db.begin().await.unwrap();
    assert_eq!(tx.query(sql).fetch_one::<(i64,)>().await.unwrap(), (1,));
    let (mode,): (String,) = tx.query("PRAGMA journal_mode").fetch_one().await.unwrap();
    let (synchronous,): (i64,) = tx.query("PRAGMA synchronous").fetch_one().await.unwrap();
    assert_eq!(
        (mode.as_str(), synchronous),
        ("wal", 2),
        "durable at commit"
    );
}

#[tokio::test]
async fn a_wrong_url_says_what_would_be_right_and_keeps_the_password() {
    for (url, says) in [
        (
            "orders.db",
            "unknown database URL scheme ``: write sqlite:FILE",
        ),
        (
            "mysql://root:hunter2@h/db",
            "unknown database URL scheme `mysql`",
        ),
        ("sqlite:", "names no file"),
        ("sqlite::memory:", "in memory"),
        ("sqlite:a.db?mode=ro", "no parameters"),
        (
            "postgres://u:hunter2@h:port/db",
            "write postgres://user:password@host/database",
        ),
    ] {
        let error = Database::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
        assert!(error.to_string().contains(says), "{url}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{url}");
    }
    let error = Database::connect_in("sqlite:/nowhere", "Orders; DROP")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not a schema name"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_sqlite_file_may_be_opened_by_many_at_once() {
    for _ in 0..12 {
        let place = crate::databases::Place::sqlite();
        futures_util::future::join_all((0..8).map(|_| place.open())).await;
    }
}
