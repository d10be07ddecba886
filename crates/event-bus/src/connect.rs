//! From a URL to a backend.

use std::fmt;
use std::sync::Arc;

use crate::backend::Backend;
use crate::bus::EventBus;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::memory::Memory;
use crate::token::TokenSource;

const KNOWN: &str = "memory:, sqlite:PATH, kafka://HOST:PORT, amqp://USER:PASSWORD@HOST:PORT/VHOST, \
                     sqs://REGION";

/// A connection in the making, where a URL is not enough.
#[must_use = "nothing is connected before `connect`"]
pub struct Connector {
    url: String,
    tokens: Option<Arc<dyn TokenSource>>,
    clock: Clock,
}

impl Connector {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            tokens: None,
            clock: Clock::new(),
        }
    }

    /// Authenticates with tokens of this source: for Kafka with `sasl=oauthbearer`. Others refuse it.
    pub fn tokens(mut self, source: Arc<dyn TokenSource>) -> Self {
        self.tokens = Some(source);
        self
    }

    /// Takes this clock for the time of day instead of the system's: for tests that set it. It says when a message
    /// published for later is due, as far as that is this program's to say and not a server's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Connects.
    pub async fn connect(self) -> Result<EventBus, Error> {
        let backend = connect(&self.url, self.tokens, self.clock).await?;
        Ok(EventBus::new(backend))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URL: it may hold a password.
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// The URL itself never appears in an error: it may hold a password.
#[cfg_attr(
    not(any(
        feature = "sqlite",
        feature = "kafka",
        feature = "rabbitmq",
        feature = "sqs"
    )),
    allow(clippy::unused_async, reason = "memory alone is there at once")
)]
pub(crate) async fn connect(
    url: &str,
    tokens: Option<Arc<dyn TokenSource>>,
    clock: Clock,
) -> Result<Arc<dyn Backend>, Error> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(Error::new(
            ErrorKind::Config,
            "connect",
            format!("the bus URL has no scheme; it is one of {KNOWN}"),
        ));
    };
    if tokens.is_some() && scheme != "kafka" {
        let problem = format!("{scheme}: has no use for a source of tokens; Kafka alone has");
        return Err(Error::new(ErrorKind::Config, "connect", problem));
    }
    match scheme {
        "memory" => Ok(Arc::new(Memory::connect(rest, clock)?)),

        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Arc::new(crate::sqlite::Sqlite::connect(rest, clock).await?)),
        #[cfg(not(feature = "sqlite"))]
        "sqlite" => Err(feature_off(scheme, "sqlite")),

        #[cfg(feature = "kafka")]
        "kafka" => Ok(Arc::new(
            crate::kafka::Kafka::connect(rest, tokens, clock).await?,
        )),
        #[cfg(not(feature = "kafka"))]
        "kafka" => Err(feature_off(scheme, "kafka")),

        #[cfg(feature = "rabbitmq")]
        "amqp" | "amqps" => Ok(Arc::new(
            crate::rabbitmq::RabbitMq::connect(scheme, rest, clock).await?,
        )),
        #[cfg(not(feature = "rabbitmq"))]
        "amqp" | "amqps" => Err(feature_off(scheme, "rabbitmq")),

        #[cfg(feature = "sqs")]
        "sqs" => Ok(Arc::new(crate::sqs::Sqs::connect(rest, clock).await?)),
        #[cfg(not(feature = "sqs"))]
        "sqs" => Err(feature_off(scheme, "sqs")),

        _ => Err(Error::new(
            ErrorKind::Config,
            "connect",
            format!("unknown scheme {scheme:?} in the bus URL; it is one of {KNOWN}"),
        )),
    }
}

#[cfg_attr(
    all(
        feature = "sqlite",
        feature = "kafka",
        feature = "rabbitmq",
        feature = "sqs"
    ),
    allow(
        dead_code,
        reason = "with every backend compiled in there is no feature to be off"
    )
)]
fn feature_off(scheme: &str, feature: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "connect",
        format!(
            "{scheme}: needs the feature {feature:?} of commerce-event-bus, which this program was built without"
        ),
    )
}
