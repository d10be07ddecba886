//! The delivery contract. Nothing of it is beyond this backend.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;

use super::{directory, open};
use crate::bus::EventBus;
use crate::conformance::{Factory, Failure, run_at_once};
use crate::error::Error;
use crate::name::TopicName;

struct File(TempDir);

fn file() -> File {
    File(directory())
}

#[async_trait]
impl Factory for File {
    async fn connect(&self) -> Result<EventBus, Error> {
        // A short poll: some cases use two connections, which do not wake each other.
        let backend = open(&self.0.path().join("bus.db"), "poll=20ms").await;
        Ok(EventBus::new(Arc::new(backend)))
    }

    async fn put_bytes(&self, topic: &TopicName, bytes: Bytes) -> Result<bool, Failure> {
        let options =
            sqlx::sqlite::SqliteConnectOptions::new().filename(self.0.path().join("bus.db"));
        let pool = sqlx::SqlitePool::connect_with(options).await?;
        sqlx::query(
            "INSERT INTO message (topic_id, published_at, attributes, data)
             SELECT id, 0, 'no headers', ?2 FROM topic WHERE name = ?1",
        )
        .bind(topic.as_str())
        .bind(&bytes[..])
        .execute(&pool)
        .await?;
        pool.close().await;
        Ok(true)
    }
}

crate::conformance_tests!(file());

#[tokio::test]
async fn every_case_applies() {
    let report = run_at_once(&file(), 4).await.unwrap();
    report.save_where_asked().unwrap();
    assert!(report.passed(), "{report}");
    assert_eq!(report.not_claimed(), [""; 0], "{report}");
}
