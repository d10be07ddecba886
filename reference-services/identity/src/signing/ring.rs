//! All keys of the service, which of them signs, and when the next one takes over.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use commerce_consumer_framework::storage::Database;
use commerce_host::Shutdown;

use super::{SigningKey, store};
use crate::config::{Config, LONGEST_TOKEN_LIFE};

/// How often the keys are read again and looked after. Other processes may add keys; they are published ahead, so being
/// late by this much does no harm.
const MAINTENANCE: Duration = Duration::from_secs(30);
/// Verifiers' clocks, and caches of the key set on the way, are allowed this much.
const GRACE: TimeDelta = TimeDelta::minutes(10);
/// The longest time for which the key set may be cached.
const LONGEST_CACHING: Duration = Duration::from_mins(5);

/// The keys, in the order in which they sign; never empty.
pub(crate) struct KeyRing {
    database: Database,
    keys: ArcSwap<Vec<SigningKey>>,
    every: TimeDelta,
    ahead: TimeDelta,
    pub(crate) cache_for: Duration,
}

impl KeyRing {
    /// Reads the keys, and makes the first one if there is none.
    pub(crate) async fn open(database: Database, config: &Config) -> anyhow::Result<Arc<Self>> {
        let ring = Self {
            database,
            keys: ArcSwap::default(),
            every: TimeDelta::from_std(config.rotate_keys_every)?,
            ahead: TimeDelta::from_std(config.publish_keys_ahead)?,
            // Who fetched the set just before a key was added fetches it again before that key signs.
            cache_for: (config.publish_keys_ahead / 2).min(LONGEST_CACHING),
        };
        if store::load(&ring.database).await?.is_empty() {
            let now = Utc::now();
            // There is no token yet, so nothing waits for this key to become known.
            store::insert(&ring.database, None, now, now).await?;
        }
        ring.reload().await?;
        Ok(Arc::new(ring))
    }

    /// All published keys, in the order in which they sign.
    pub(crate) fn published(&self) -> Arc<Vec<SigningKey>> {
        self.keys.load_full()
    }

    /// Signs with the key whose turn it is.
    pub(crate) fn sign(
        &self,
        now: DateTime<Utc>,
        claims: &impl serde::Serialize,
    ) -> anyhow::Result<String> {
        let keys = self.keys.load();
        keys[signing(&keys, now)].sign(claims)
    }

    /// Publishes the next key, unless one waits already for its turn. Tells whether it was added now.
    pub(crate) async fn rotate(&self, now: DateTime<Utc>) -> anyhow::Result<bool> {
        self.reload().await?;
        let newest = self.newest();
        if newest.active_from > now {
            return Ok(false);
        }
        let added = store::insert(&self.database, Some(&newest.kid), now, now + self.ahead).await?;
        self.reload().await?;
        if added {
            let next = self.newest();
            tracing::info!(kid = next.kid, active_from = %next.active_from, "the next signing key is published");
        }
        Ok(added)
    }

    /// Rotates when it is time, and takes away keys that no living token was signed with.
    pub(crate) async fn maintain(&self, now: DateTime<Utc>) -> anyhow::Result<()> {
        self.reload().await?;
        if self.newest().active_from + self.every <= now {
            self.rotate(now).await?;
        }
        let keys = self.published();
        let longest_token_life = TimeDelta::from_std(LONGEST_TOKEN_LIFE)?;
        for (old, successor) in keys.iter().zip(keys.iter().skip(1)) {
            if successor.active_from + longest_token_life + GRACE < now {
                store::delete(&self.database, old.kid()).await?;
                tracing::info!(
                    kid = old.kid(),
                    "a retired signing key is no longer published"
                );
            }
        }
        self.reload().await
    }

    /// Looks after the keys until it is time to stop.
    pub(crate) async fn run(self: Arc<Self>, shutdown: Shutdown) -> anyhow::Result<()> {
        while !shutdown.is_requested() {
            self.maintain(Utc::now()).await?;
            tokio::select! {
                () = tokio::time::sleep(MAINTENANCE) => {}
                () = shutdown.requested() => {}
            }
        }
        Ok(())
    }

    async fn reload(&self) -> anyhow::Result<()> {
        let keys = store::load(&self.database).await?;
        ensure!(
            !keys.is_empty(),
            "all signing keys are gone from the database"
        );
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    fn newest(&self) -> Newest {
        let keys = self.keys.load();
        let newest = &keys[keys.len() - 1];
        Newest {
            kid: newest.kid().to_owned(),
            active_from: newest.active_from,
        }
    }
}

struct Newest {
    kid: String,
    active_from: DateTime<Utc>,
}

/// The place of the key whose turn it is: the last to have become active. A clock that is behind the one which the first
/// key was made by sees none, and takes that.
pub(super) fn signing(keys: &[SigningKey], now: DateTime<Utc>) -> usize {
    keys.iter()
        .rposition(|key| key.active_from <= now)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    async fn ring() -> (tempfile::TempDir, Arc<KeyRing>) {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("identity.db").display());
        let database = Database::connect(&url).await.unwrap();
        database
            .migrate("identity", schema::MIGRATIONS)
            .await
            .unwrap();
        let ring = KeyRing::open(database, &Config::default()).await.unwrap();
        (directory, ring)
    }

    fn kids(ring: &KeyRing) -> Vec<String> {
        ring.published()
            .iter()
            .map(|key| key.kid().to_owned())
            .collect()
    }

    fn signer(ring: &KeyRing, at: DateTime<Utc>) -> String {
        let token = ring.sign(at, &serde_json::json!({})).unwrap();
        jsonwebtoken::decode_header(&token).unwrap().kid.unwrap()
    }

    #[tokio::test]
    async fn the_next_key_is_published_before_it_signs_and_the_old_one_after_it_signed() {
        let (_directory, ring) = ring().await;
        let start = Utc::now();
        let [old] = &kids(&ring)[..] else {
            panic!("one key at first")
        };
        assert!(ring.rotate(start).await.unwrap());
        assert!(
            !ring.rotate(start).await.unwrap(),
            "one waits for its turn already"
        );
        let both = kids(&ring);
        let [_, new] = &both[..] else {
            panic!("both are published")
        };

        let turn = start + TimeDelta::hours(1);
        assert_eq!(signer(&ring, turn - TimeDelta::seconds(1)), *old);
        assert_eq!(signer(&ring, turn + TimeDelta::seconds(1)), *new);
        ring.maintain(turn + TimeDelta::minutes(69)).await.unwrap();
        assert_eq!(kids(&ring), both, "a token of the old key may still live");
        ring.maintain(turn + TimeDelta::minutes(71)).await.unwrap();
        assert_eq!(kids(&ring), std::slice::from_ref(new));
    }

    #[tokio::test]
    async fn keys_rotate_by_themselves_when_it_is_time() {
        let (_directory, ring) = ring().await;
        let start = Utc::now();
        ring.maintain(start + TimeDelta::days(29)).await.unwrap();
        assert_eq!(kids(&ring).len(), 1);
        ring.maintain(start + TimeDelta::days(30) + TimeDelta::minutes(1))
            .await
            .unwrap();
        assert_eq!(kids(&ring).len(), 2);
        ring.maintain(start + TimeDelta::days(30) + TimeDelta::minutes(2))
            .await
            .unwrap();
        assert_eq!(kids(&ring).len(), 2);
    }

    #[tokio::test]
    async fn keys_survive_a_restart_and_are_shared_by_processes() {
        let (_directory, ring) = ring().await;
        let again = KeyRing::open(ring.database.clone(), &Config::default())
            .await
            .unwrap();
        assert_eq!(kids(&again), kids(&ring));
        let now = Utc::now();
        let (one, other) = tokio::join!(ring.rotate(now), again.rotate(now));
        assert!(one.unwrap() ^ other.unwrap(), "each key has one successor");
        again.maintain(now).await.unwrap();
        ring.maintain(now).await.unwrap();
        assert_eq!(kids(&again), kids(&ring));
        assert_eq!(kids(&ring).len(), 2);
    }

    #[tokio::test]
    async fn private_keys_do_not_show() {
        let (_directory, ring) = ring().await;
        let published = ring.published();
        assert!(published[0].jwk.get("d").is_none(), "{}", published[0].jwk);
        assert!(!format!("{:?}", published[0]).contains("private"));
    }
}
