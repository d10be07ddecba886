//! Keeps an issuer's keys at hand.
//!
//! Readers look at an atomic snapshot and never wait, unless a token names a key that is not in it. All fetches, whoever
//! wants them, go through one [`Flight`].

use std::{
    error::Error,
    fmt,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

use super::KeySet;
use crate::{
    BoxError,
    flight::{Flight, pause_after},
    jitter::jittered,
};

/// Where keys come from.
#[async_trait]
pub(crate) trait KeySource: fmt::Debug + Send + Sync + 'static {
    async fn fetch(&self) -> Result<KeySet, BoxError>;
}

/// How keys are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyPolicy {
    /// Time between two fetches when nothing special happens.
    pub(crate) refresh: Duration,
    /// Tokens naming unknown keys cause a fetch at most this often, whatever keys they name: random names must not turn
    /// the verifier into a hammer on the issuer.
    pub(crate) unknown_key: Duration,
    /// How long keys are believed while they cannot be fetched anew.
    pub(crate) keep: Duration,
    /// How long a caller waits for a fetch on its behalf.
    pub(crate) wait: Duration,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            refresh: Duration::from_mins(5),
            unknown_key: Duration::from_secs(30),
            keep: Duration::from_hours(24),
            wait: Duration::from_secs(5),
        }
    }
}

/// While there are no keys at all, a caller may cause a fetch this often: the issuer may have come up just now.
const KEYLESS: Duration = Duration::from_millis(500);
/// Bounds of the pauses between failed fetches.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A fetch that takes longer has failed.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no key to check a token with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The issuer was asked (or was asked moments ago) and does not publish it.
    Unknown,
    /// The issuer's keys are not known, or are too old to be believed.
    Unavailable,
}

#[derive(Debug)]
struct Snapshot {
    keys: KeySet,
    fetched: Instant,
}

#[derive(Debug)]
pub(crate) struct KeyCache {
    source: Box<dyn KeySource>,
    policy: KeyPolicy,
    snapshot: ArcSwapOption<Snapshot>,
    flight: Arc<Flight>,
    refresher: OnceLock<AbortOnDrop>,
}

impl KeyCache {
    pub(crate) fn new(source: impl KeySource, policy: KeyPolicy) -> Arc<Self> {
        Arc::new(Self {
            source: Box::new(source),
            policy,
            snapshot: ArcSwapOption::empty(),
            flight: Flight::new(),
            refresher: OnceLock::new(),
        })
    }

    /// Asks `look` for what is wanted of the keys; where the snapshot does not have it, fetches and asks once more.
    pub(crate) async fn with<T>(
        self: &Arc<Self>,
        look: impl Fn(&KeySet) -> Option<T>,
    ) -> Result<T, Missing> {
        self.start();
        let mut ended = self.flight.ended();
        let pause = match self.current() {
            Some(snapshot) => match look(&snapshot.keys) {
                Some(found) => return Ok(found),
                None => self.policy.unknown_key,
            },
            None => KEYLESS,
        };
        if self.fetch(pause) {
            // Timed out or not, what counts is what is there now.
            let _ = timeout(self.policy.wait, ended.changed()).await;
        }
        let snapshot = self.current().ok_or(Missing::Unavailable)?;
        look(&snapshot.keys).ok_or(Missing::Unknown)
    }

    /// Waits until there are keys.
    pub(crate) async fn ready(self: &Arc<Self>) {
        self.start();
        let mut ended = self.flight.ended();
        while !self.is_ready() && ended.changed().await.is_ok() {}
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.current().is_some()
    }

    /// Begins to fetch and refresh in the background, once. The cache can be made before there is a runtime, and before
    /// the issuer is up.
    pub(crate) fn start(self: &Arc<Self>) {
        self.refresher.get_or_init(|| {
            AbortOnDrop(tokio::spawn(refresh(Arc::downgrade(self))).abort_handle())
        });
    }

    /// The keys, unless they are too old to be believed.
    fn current(&self) -> Option<Arc<Snapshot>> {
        self.snapshot
            .load_full()
            .filter(|snapshot| snapshot.fetched.elapsed() <= self.policy.keep)
    }

    fn fetch(self: &Arc<Self>, pause: Duration) -> bool {
        let cache = Arc::clone(self);
        self.flight.start(
            |state| state.rested(pause),
            || async move { cache.load().await },
        )
    }

    async fn load(&self) -> bool {
        let failure = match timeout(FETCH_TIMEOUT, self.source.fetch()).await {
            Ok(Ok(keys)) => {
                self.store(keys);
                return true;
            }
            Ok(Err(failure)) => failure,
            Err(elapsed) => elapsed.into(),
        };
        tracing::warn!(
            error = &*failure as &(dyn Error + 'static),
            source = ?self.source,
            serving_old_keys = self.is_ready(),
            "the issuer's keys could not be fetched"
        );
        false
    }

    fn store(&self, keys: KeySet) {
        let count = keys.len();
        let before = self.snapshot.swap(Some(Arc::new(Snapshot {
            keys,
            fetched: Instant::now(),
        })));
        if before.is_none() {
            tracing::info!(keys = count, source = ?self.source, "the issuer's keys are there");
        } else {
            tracing::debug!(keys = count, "the issuer's keys were refreshed");
        }
    }
}

/// Refreshes for as long as somebody holds the cache.
async fn refresh(cache: Weak<KeyCache>) {
    loop {
        let pause = {
            let Some(cache) = cache.upgrade() else { return };
            let mut ended = cache.flight.ended();
            if cache.fetch(Duration::ZERO) {
                // The sender lives in the cache that is held right here, and every fetch ends.
                let _ = ended.changed().await;
            }
            match cache.flight.failures() {
                0 => cache.policy.refresh,
                failures => {
                    pause_after(failures, FIRST_PAUSE, LONGEST_PAUSE).min(cache.policy.refresh)
                }
            }
        };
        sleep(jittered(pause)).await;
    }
}

#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use super::*;

    /// Publishes whatever key set it is told to; none means that it is down.
    #[derive(Clone, Debug, Default)]
    struct Issuer(Arc<Published>);

    #[derive(Debug, Default)]
    struct Published {
        kid: Mutex<Option<&'static str>>,
        fetches: AtomicUsize,
    }

    impl Issuer {
        fn publish(&self, kid: impl Into<Option<&'static str>>) {
            *self.0.kid.lock().unwrap() = kid.into();
        }

        fn fetches(&self) -> usize {
            self.0.fetches.load(SeqCst)
        }
    }

    #[async_trait]
    impl KeySource for Issuer {
        async fn fetch(&self) -> Result<KeySet, BoxError> {
            self.0.fetches.fetch_add(1, SeqCst);
            sleep(Duration::from_millis(20)).await;
            let kid = self.0.kid.lock().unwrap().ok_or("down")?;
            Ok(KeySet::parse(
                super::super::set::tests::set_of(kid).as_bytes(),
            )?)
        }
    }

    async fn find(cache: &Arc<KeyCache>, kid: &'static str) -> Result<(), Missing> {
        cache.with(|keys| keys.get(kid).map(drop)).await
    }

    fn cache(issuer: &Issuer) -> Arc<KeyCache> {
        KeyCache::new(issuer.clone(), KeyPolicy::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_thundering_herd_is_one_fetch() {
        let issuer = Issuer::default();
        issuer.publish("k1");
        let cache = cache(&issuer);
        let herd: Vec<_> = (0..200)
            .map(|_| {
                let cache = Arc::clone(&cache);
                tokio::spawn(async move { find(&cache, "k1").await })
            })
            .collect();
        for one in herd {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
        assert_eq!(issuer.fetches(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_key_is_looked_for_once_in_thirty_seconds_whatever_its_name() {
        let issuer = Issuer::default();
        issuer.publish("k1");
        let cache = cache(&issuer);
        cache.ready().await;
        issuer.publish("k2");
        for kid in ["x1", "x2", "x3", "k2"] {
            assert_eq!(
                find(&cache, kid).await,
                Err(Missing::Unknown),
                "fetched moments ago"
            );
        }
        assert_eq!(issuer.fetches(), 1);

        sleep(Duration::from_secs(30)).await;
        assert_eq!(
            find(&cache, "k2").await,
            Ok(()),
            "rotation is noticed at the first token of the new key"
        );
        for kid in ["x1", "x2", "x3"] {
            assert_eq!(find(&cache, kid).await, Err(Missing::Unknown));
        }
        assert_eq!(issuer.fetches(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_does_not_stop_the_fetch() {
        let issuer = Issuer::default();
        issuer.publish("k1");
        let cache = cache(&issuer);
        assert!(
            timeout(Duration::from_millis(5), find(&cache, "k1"))
                .await
                .is_err()
        );
        cache.ready().await;
        assert_eq!((find(&cache, "k1").await, issuer.fetches()), (Ok(()), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cold_start_waits_for_the_issuer_to_come_up() {
        let issuer = Issuer::default();
        let cache = cache(&issuer);
        assert_eq!(find(&cache, "k1").await, Err(Missing::Unavailable));
        assert!(!cache.is_ready());
        let waiting = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move { cache.ready().await }
        });
        sleep(Duration::from_secs(3)).await;
        assert!(!waiting.is_finished());
        issuer.publish("k1");
        timeout(Duration::from_secs(5), waiting)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(find(&cache, "k1").await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_outage_is_met_with_growing_pauses() {
        let issuer = Issuer::default();
        let cache = cache(&issuer);
        cache.start();
        sleep(Duration::from_mins(10)).await;
        // 0.25 + 0.5 + … + 16 s, then every 27 to 30 s.
        assert!(
            (20..=35).contains(&issuer.fetches()),
            "{}",
            issuer.fetches()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn old_keys_are_served_through_an_outage_up_to_the_limit() {
        let issuer = Issuer::default();
        issuer.publish("k1");
        let cache = cache(&issuer);
        cache.ready().await;
        issuer.publish(None);
        sleep(Duration::from_hours(23)).await;
        assert_eq!(find(&cache, "k1").await, Ok(()));
        sleep(Duration::from_mins(61)).await;
        assert_eq!(
            find(&cache, "k1").await,
            Err(Missing::Unavailable),
            "too old to be believed"
        );
        issuer.publish("k1");
        sleep(Duration::from_secs(31)).await;
        assert_eq!(find(&cache, "k1").await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_withdrawn_key_is_forgotten_at_the_next_refresh() {
        let issuer = Issuer::default();
        issuer.publish("k1");
        let cache = cache(&issuer);
        cache.ready().await;
        issuer.publish("k2");
        sleep(Duration::from_mins(5)).await;
        assert_eq!(find(&cache, "k2").await, Ok(()));
        assert_eq!(find(&cache, "k1").await, Err(Missing::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn the_refresher_ends_with_the_cache() {
        let issuer = Issuer::default();
        issuer.publish("k1");
        let cache = cache(&issuer);
        cache.ready().await;
        drop(cache);
        sleep(Duration::from_hours(1)).await;
        assert_eq!(issuer.fetches(), 1);
        assert_eq!(
            Arc::strong_count(&issuer.0),
            1,
            "the cache was dropped, source and all"
        );
    }
}
