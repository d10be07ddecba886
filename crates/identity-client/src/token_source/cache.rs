//! Keeps one access token fresh.

use std::{fmt, sync::Arc, sync::Mutex, sync::PoisonError, time::Duration};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use http::HeaderValue;
use tokio::time::{Instant, timeout};

use super::TokenError;
use crate::{
    flight::{Flight, pause_after},
    jitter::jittered,
};

/// Obtains a token, each time a new one.
#[async_trait]
pub(super) trait Grant: fmt::Debug + Send + Sync + 'static {
    async fn request(&self) -> Result<Issued, TokenError>;
}

/// What the token endpoint gave.
pub(super) struct Issued {
    /// `Bearer …`, marked sensitive.
    pub(super) header: HeaderValue,
    pub(super) lifetime: Duration,
}

/// Bounds of the pauses between failed requests.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A request that takes longer has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// A token is given up so long before it ends: the request that carries it has a way to go, and clocks differ.
const MARGIN: Duration = Duration::from_secs(30);
/// A refused token younger than this stays: another one from the same place would be refused as well.
const TOO_YOUNG_TO_DROP: Duration = Duration::from_secs(5);

struct Held {
    header: HeaderValue,
    obtained: Instant,
    /// From here on a new one is fetched, while this one is still handed out.
    refresh: Instant,
    /// From here on it is not handed out any more.
    end: Instant,
}

pub(super) struct TokenCache {
    grant: Box<dyn Grant>,
    held: ArcSwapOption<Held>,
    flight: Arc<Flight>,
    last_error: Mutex<Option<Arc<TokenError>>>,
}

impl TokenCache {
    pub(super) fn new(grant: impl Grant) -> Arc<Self> {
        Arc::new(Self {
            grant: Box::new(grant),
            held: ArcSwapOption::empty(),
            flight: Flight::new(),
            last_error: Mutex::default(),
        })
    }

    pub(super) async fn header(self: &Arc<Self>) -> Result<HeaderValue, Arc<TokenError>> {
        let mut ended = self.flight.ended();
        if let Some(held) = self.usable() {
            if held.refresh <= Instant::now() {
                self.fetch();
            }
            return Ok(held.header.clone());
        }
        if self.fetch() {
            // Every request ends within its timeout, and its sender lives in this cache.
            let _ = ended.changed().await;
        }
        match self.usable() {
            Some(held) => Ok(held.header.clone()),
            None => Err(self
                .last_error()
                .clone()
                .unwrap_or_else(|| Arc::new(TokenError::interrupted()))),
        }
    }

    /// Forgets a token that was refused, unless it has been replaced meanwhile or is brand-new.
    pub(super) fn rejected(&self, refused: &HeaderValue) {
        let held = self.held.load();
        let Some(current) = &*held else { return };
        if current.header == refused && current.obtained.elapsed() >= TOO_YOUNG_TO_DROP {
            tracing::info!(
                "an access token was refused before its end; the next request obtains another"
            );
            self.held.compare_and_swap(&*held, None);
        }
    }

    fn usable(&self) -> Option<Arc<Held>> {
        self.held
            .load_full()
            .filter(|held| Instant::now() < held.end)
    }

    /// Sees to it that a request for a token is under way, unless the last ones failed and it is too early to try again.
    fn fetch(self: &Arc<Self>) -> bool {
        let cache = Arc::clone(self);
        self.flight.start(
            |state| {
                state.failures == 0
                    || state.rested(pause_after(state.failures, FIRST_PAUSE, LONGEST_PAUSE))
            },
            || async move { cache.load().await },
        )
    }

    async fn load(&self) -> bool {
        // From the start of the request: the token's life began no earlier than that.
        let obtained = Instant::now();
        let error = match timeout(REQUEST_TIMEOUT, self.grant.request()).await {
            Ok(Ok(issued)) => {
                self.held.store(Some(Arc::new(Held::new(issued, obtained))));
                *self.last_error() = None;
                return true;
            }
            Ok(Err(error)) => error,
            Err(_) => TokenError::interrupted(),
        };
        tracing::warn!(%error, source = ?self.grant, "no access token could be obtained");
        *self.last_error() = Some(Arc::new(error));
        false
    }

    fn last_error(&self) -> std::sync::MutexGuard<'_, Option<Arc<TokenError>>> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn new(issued: Issued, obtained: Instant) -> Self {
        let life = issued.lifetime;
        Self {
            header: issued.header,
            obtained,
            // Well before the end, so that a short outage of the issuer goes unnoticed.
            refresh: obtained + jittered(life * 3 / 4),
            end: obtained + life.saturating_sub(MARGIN.min(life / 4)),
        }
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

    use tokio::time::sleep;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Issuer(Arc<Counters>);

    #[derive(Debug, Default)]
    struct Counters {
        requests: AtomicUsize,
        down: AtomicBool,
    }

    impl Issuer {
        fn requests(&self) -> usize {
            self.0.requests.load(SeqCst)
        }

        fn set_down(&self, down: bool) {
            self.0.down.store(down, SeqCst);
        }
    }

    #[async_trait]
    impl Grant for Issuer {
        async fn request(&self) -> Result<Issued, TokenError> {
            let number = self.0.requests.fetch_add(1, SeqCst) + 1;
            sleep(Duration::from_millis(20)).await;
            if self.0.down.load(SeqCst) {
                return Err(TokenError::interrupted());
            }
            let header = HeaderValue::from_str(&format!("Bearer token-{number}")).unwrap();
            Ok(Issued {
                header,
                lifetime: Duration::from_mins(5),
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thundering_herd_is_one_request() {
        let issuer = Issuer::default();
        let cache = TokenCache::new(issuer.clone());
        let herd: Vec<_> = (0..200)
            .map(|_| {
                let cache = Arc::clone(&cache);
                tokio::spawn(async move { cache.header().await.unwrap() })
            })
            .collect();
        for one in herd {
            assert_eq!(one.await.unwrap(), "Bearer token-1");
        }
        assert_eq!(issuer.requests(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_token_is_fetched_while_the_old_one_is_handed_out() {
        let issuer = Issuer::default();
        let cache = TokenCache::new(issuer.clone());
        assert_eq!(cache.header().await.unwrap(), "Bearer token-1");
        sleep(Duration::from_secs(200)).await;
        assert_eq!(
            (
                cache.header().await.unwrap().to_str().unwrap(),
                issuer.requests()
            ),
            ("Bearer token-1", 1)
        );
        sleep(Duration::from_secs(26)).await;
        assert_eq!(
            cache.header().await.unwrap(),
            "Bearer token-1",
            "nobody waits for the refresh"
        );
        sleep(Duration::from_secs(1)).await;
        assert_eq!(
            (
                cache.header().await.unwrap().to_str().unwrap(),
                issuer.requests()
            ),
            ("Bearer token-2", 2)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_outage_goes_unnoticed_and_a_long_one_fails_without_hammering() {
        let issuer = Issuer::default();
        let cache = TokenCache::new(issuer.clone());
        cache.header().await.unwrap();
        issuer.set_down(true);
        for _ in 0..269 {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(cache.header().await.unwrap(), "Bearer token-1");
        }
        sleep(Duration::from_secs(1)).await;
        let before = issuer.requests();
        for _ in 0..600 {
            sleep(Duration::from_millis(500)).await;
            cache.header().await.unwrap_err();
        }
        let requests = issuer.requests() - before;
        assert!(
            (8..=12).contains(&requests),
            "{requests} requests in five minutes of outage"
        );

        issuer.set_down(false);
        sleep(Duration::from_secs(30)).await;
        cache.header().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_replaced_once_however_many_report_it() {
        let issuer = Issuer::default();
        let cache = TokenCache::new(issuer.clone());
        let first = cache.header().await.unwrap();
        cache.rejected(&first);
        assert_eq!(
            cache.header().await.unwrap(),
            first,
            "brand-new: another would fare no better"
        );

        sleep(Duration::from_secs(10)).await;
        for _ in 0..50 {
            cache.rejected(&first);
        }
        assert_eq!(cache.header().await.unwrap(), "Bearer token-2");
        sleep(Duration::from_secs(10)).await;
        cache.rejected(&first);
        assert_eq!(
            cache.header().await.unwrap(),
            "Bearer token-2",
            "late reports about the old one do not count"
        );
        assert_eq!(issuer.requests(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_does_not_stop_the_request() {
        let issuer = Issuer::default();
        let cache = TokenCache::new(issuer.clone());
        assert!(
            timeout(Duration::from_millis(5), cache.header())
                .await
                .is_err()
        );
        assert_eq!(cache.header().await.unwrap(), "Bearer token-1");
        assert_eq!(issuer.requests(), 1);
    }
}
