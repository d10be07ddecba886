//! One active relay per database: a row that says who, and until when.
//!
//! The time is the database's own, so that clocks of different machines need not agree. A relay that
//! is stopped for longer than its lease, and then goes on, may publish a batch that its successor
//! publishes as well: the same events again, which at-least-once allows.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::storage::{AssertSqlSafe, Database, Dialect, Error};

pub(super) struct Lease {
    database: Database,
    holder: Uuid,
    duration: Duration,
    renew_at: Instant,
    held: bool,
}

impl Lease {
    pub(super) fn new(database: Database, duration: Duration) -> Self {
        Self {
            database,
            holder: Uuid::now_v7(),
            duration,
            renew_at: Instant::now(),
            held: false,
        }
    }

    /// Takes or renews the lease; false while another relay has it.
    pub(super) async fn take(&mut self) -> Result<bool, Error> {
        let now = match self.database.dialect() {
            Dialect::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            Dialect::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        };
        let sql = format!(
            "INSERT INTO outbox_lease (name, holder, expires_ms) VALUES ('relay', $1, {now} + $2)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_ms = excluded.expires_ms
             WHERE outbox_lease.holder = excluded.holder OR outbox_lease.expires_ms <= {now}"
        );
        // Also after an error: the next try has its time, and two thirds of the lease are left for it.
        self.renew_at = Instant::now() + self.duration / 3;
        let rows = self
            .database
            .query(AssertSqlSafe(sql))
            .bind(self.holder)
            .bind(i64::try_from(self.duration.as_millis()).unwrap_or(i64::MAX / 2))
            .execute()
            .await?;
        self.held = rows == 1;
        Ok(self.held)
    }

    /// Whether the lease was held when it was last looked at.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// When the lease is to be renewed, with two thirds of it left.
    pub(super) fn renew_at(&self) -> Instant {
        self.renew_at
    }

    /// Gives the lease up, so that another relay need not wait for its end.
    pub(super) async fn release(&self) -> Result<(), Error> {
        self.database
            .query("DELETE FROM outbox_lease WHERE name = 'relay' AND holder = $1")
            .bind(self.holder)
            .execute()
            .await?;
        Ok(())
    }

    /// How long a relay that found the lease taken waits before it looks again.
    pub(super) fn look_again_after(&self) -> Duration {
        self.duration / 3
    }
}
