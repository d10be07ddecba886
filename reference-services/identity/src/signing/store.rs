//! Signing keys in the database.
//!
//! Private keys lie there as they are, so who reads the database can sign tokens. A key management service or a secret
//! store takes their place when there is one: this file is all that would change.

use chrono::{DateTime, Utc};
use commerce_consumer_framework::storage::Database;

use super::SigningKey;

#[derive(sqlx::FromRow)]
struct Row {
    pkcs8: Vec<u8>,
    created_at: DateTime<Utc>,
    active_from: DateTime<Utc>,
}

/// All keys, in the order in which they sign.
pub(super) async fn load(database: &Database) -> anyhow::Result<Vec<SigningKey>> {
    let rows: Vec<Row> = database
        .query("SELECT pkcs8, created_at, active_from FROM signing_keys ORDER BY active_from, kid")
        .fetch_all()
        .await?;
    rows.into_iter()
        .map(|row| SigningKey::from_pkcs8(&row.pkcs8, row.created_at, row.active_from))
        .collect()
}

/// Adds the successor of a key, or the first key of all. Each key has one successor: when several processes want to add it,
/// one does.
pub(super) async fn insert(
    database: &Database,
    predecessor: Option<&str>,
    now: DateTime<Utc>,
    active_from: DateTime<Utc>,
) -> anyhow::Result<bool> {
    let pkcs8 = SigningKey::generate()?;
    let key = SigningKey::from_pkcs8(&pkcs8, now, active_from)?;
    let inserted = database
        .query(
            "INSERT INTO signing_keys (kid, predecessor, pkcs8, created_at, active_from)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (predecessor) DO NOTHING",
        )
        .bind(key.kid())
        .bind(predecessor.unwrap_or_default())
        .bind(pkcs8)
        .bind(now)
        .bind(active_from)
        .execute()
        .await?;
    Ok(inserted == 1)
}

pub(super) async fn delete(database: &Database, kid: &str) -> anyhow::Result<()> {
    database
        .query("DELETE FROM signing_keys WHERE kid = $1")
        .bind(kid)
        .execute()
        .await?;
    Ok(())
}
