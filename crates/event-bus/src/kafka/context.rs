//! What every client of ours calls back: its log lines, its errors, and its wish for a token.
//!
//! The client asks for tokens on threads of its own, where nothing may be awaited. So a task of the runtime fetches them
//! ahead, and the callback takes what is there.

use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::sleep;

use super::offsets::code_of;
use crate::error::Error;
use crate::token::{Token, TokenSource};

/// A refused or failed renewal is tried again.
const BEFORE_ASKING_AGAIN: Duration = Duration::from_secs(5);
const SHORTEST: Duration = Duration::from_secs(1);

/// Tokens, fetched before they are needed.
struct Tokens {
    source: Arc<dyn TokenSource>,
    current: Mutex<Token>,
}

/// Where clients get their tokens; none where the connection needs none. Cloning shares them.
#[derive(Clone, Default)]
pub(super) struct Link(Option<Arc<Tokens>>);

impl Link {
    /// Fetches the first token; renewals follow as long as somebody holds the link.
    pub(super) async fn new(source: Option<Arc<dyn TokenSource>>) -> Result<Self, Error> {
        let Some(source) = source else {
            return Ok(Self::default());
        };
        let current = Mutex::new(source.token().await?);
        let tokens = Arc::new(Tokens { source, current });
        let renewed = Arc::downgrade(&tokens);
        tokio::spawn(async move {
            while let Some(tokens) = renewed.upgrade() {
                let wait = tokens.current().renewal(SystemTime::now());
                drop(tokens);
                sleep(wait).await;
                let Some(tokens) = renewed.upgrade() else {
                    return;
                };
                match tokens.source.token().await {
                    Ok(token) => *tokens.lock() = token,
                    Err(error) => {
                        tracing::warn!(%error, "no new token for Kafka yet");
                        drop(tokens);
                        sleep(BEFORE_ASKING_AGAIN).await;
                    }
                }
            }
        });
        Ok(Self(Some(tokens)))
    }

    pub(super) fn has_tokens(&self) -> bool {
        self.0.is_some()
    }

    /// For the client's callback.
    pub(super) fn token(&self) -> Result<OAuthToken, Box<dyn StdError>> {
        let tokens = self.0.as_ref().ok_or("there is no source of tokens")?;
        let token = tokens.current();
        let since_epoch = token.expires_at.duration_since(UNIX_EPOCH)?;
        Ok(OAuthToken {
            token: token.secret,
            principal_name: token.principal,
            lifetime_ms: i64::try_from(since_epoch.as_millis())?,
        })
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("tokens", &self.has_tokens())
            .finish_non_exhaustive()
    }
}

impl Tokens {
    fn lock(&self) -> std::sync::MutexGuard<'_, Token> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Token {
        self.lock().clone()
    }
}

impl Token {
    /// How long to wait before the next is fetched: the client asks when a fifth of the time is left, and finds it then.
    fn renewal(&self, now: SystemTime) -> Duration {
        let left = self.expires_at.duration_since(now).unwrap_or_default();
        (left * 3 / 5).max(SHORTEST)
    }
}

/// What clients without partitions of their own call back.
pub(super) struct Context {
    link: Link,
    /// A token was asked for and given.
    given: AtomicBool,
    /// Why the brokers turned this client away.
    refused: Mutex<Option<String>>,
}

impl Context {
    pub(super) fn new(link: &Link) -> Self {
        Self {
            link: link.clone(),
            given: AtomicBool::new(false),
            refused: Mutex::default(),
        }
    }

    /// Whether the client has what it needs to connect.
    pub(super) fn is_ready(&self) -> bool {
        !self.link.has_tokens() || self.given.load(Ordering::Acquire)
    }

    pub(super) fn refused(&self) -> Option<String> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka client");
        if matches!(
            code_of(&error),
            Some(
                RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::SaslAuthenticationFailed
                    | RDKafkaErrorCode::SSL
            )
        ) {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn StdError>> {
        let token = self.link.token();
        self.given.store(token.is_ok(), Ordering::Release);
        token
    }
}

impl ConsumerContext for Context {}

/// The client's own log lines, as ours.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::error!(facility, "{message}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(facility, "{message}"),
        _ => tracing::debug!(facility, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use async_trait::async_trait;

    use super::*;
    use crate::error::ErrorKind;

    /// Numbers its tokens; each lives ten seconds of the wall's clock; the second cannot be had at once.
    #[derive(Default)]
    struct Numbering(AtomicU32);

    #[async_trait]
    impl TokenSource for Numbering {
        async fn token(&self) -> Result<Token, Error> {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            if number == 1 {
                return Err(Error::new(ErrorKind::Unavailable, "token", "not now"));
            }
            let ends = SystemTime::now() + Duration::from_secs(10);
            Ok(Token::new(format!("secret-{number}"), "me", ends))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_there_when_the_client_asks() {
        let link = Link::new(Some(Arc::new(Numbering::default())))
            .await
            .unwrap();
        let context = Context::new(&link);
        assert!(!context.is_ready());
        assert_eq!(
            context.generate_oauth_token(None).unwrap().token,
            "secret-0"
        );
        assert!(context.is_ready());
        // Renewed after six seconds, refused once, asked for again after five.
        sleep(Duration::from_secs(7)).await;
        assert_eq!(link.token().unwrap().token, "secret-0");
        sleep(Duration::from_secs(12)).await;
        let token = link.token().unwrap();
        assert_eq!(
            (token.token.as_str(), token.principal_name.as_str()),
            ("secret-2", "me")
        );
        assert!(token.lifetime_ms > 0);
        assert!(!format!("{link:?}").contains("secret"));
    }

    #[tokio::test]
    async fn without_a_source_there_is_nothing_to_wait_for() {
        let link = Link::new(None).await.unwrap();
        assert!(Context::new(&link).is_ready() && link.token().is_err());
    }
}
