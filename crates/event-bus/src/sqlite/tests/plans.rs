//! No statement that runs for every delivery reads a table from end to end.

use sqlx::SqliteConnection;

use super::directory;
use crate::sqlite::config::Config;
use crate::sqlite::statements::{
    ADVANCE, ANYTHING, BODIES, BURY, CURSOR, EXTEND, FINISH, GIVE_BACK, LEASE, LOOK, MAKE_WAY,
    NEXT_DUE, NEXT_FENCE, PROMOTE, READY, TAKE, TAKE_WANTED,
};
use crate::sqlite::{dead_letter, expiry, retention, schedule, schema};

async fn plan(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {statement}");
    let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
        .fetch_all(connection)
        .await
        .unwrap();
    rows.into_iter().map(|(.., detail)| detail).collect()
}

/// The lines of a plan that read everything. Lists that we hand in, and what comes from them, are short.
fn scans(plan: &[String]) -> Vec<&String> {
    let ours = [
        "SCAN json_each",
        "SCAN j ",
        "SCAN wanted ",
        "SCAN fresh",
        "SCAN (subquery",
        "SCAN CONSTANT ROW",
    ];
    plan.iter()
        .filter(|line| line.contains("SCAN ") && !ours.iter().any(|ours| line.starts_with(ours)))
        .collect()
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let config = Config::parse(&path.display().to_string()).unwrap();
    let mut connection = schema::open_writer(&config).await.unwrap();
    let statements = [
        CURSOR,
        READY,
        TAKE,
        LOOK,
        TAKE_WANTED,
        ADVANCE,
        NEXT_FENCE,
        LEASE,
        NEXT_DUE,
        ANYTHING,
        BODIES,
        EXTEND,
        BURY,
        FINISH,
        GIVE_BACK,
        MAKE_WAY,
        PROMOTE,
        retention::DELETE,
        retention::OLDEST_SETTLED,
        retention::DELETE_SETTLED,
        schedule::NEXT,
        schedule::DUE,
        schedule::APPEND,
        schedule::FORGET,
        expiry::SEEN,
        dead_letter::OLDEST,
        dead_letter::RETURN,
        dead_letter::UNBURY,
    ];
    for statement in statements {
        let plan = plan(&mut connection, statement).await;
        assert!(!plan.is_empty(), "{statement}");
        assert_eq!(scans(&plan), [""; 0], "{statement}\n{plan:#?}");
    }
    // The check sees what it looks for.
    let whole = plan(
        &mut connection,
        "SELECT count(*) FROM delivery WHERE attempts = 3",
    )
    .await;
    assert_eq!(scans(&whole).len(), 1, "{whole:?}");
}
