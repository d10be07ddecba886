//! From a URL to a backend.

use std::sync::Arc;

use crate::backend::Backend;
use crate::error::{Error, ErrorKind};
use crate::memory::Memory;

const KNOWN: &str = "memory:, sqlite:PATH, kafka://HOST:PORT, amqp://USER:PASSWORD@HOST:PORT/VHOST";

/// The URL itself never appears in an error: it may hold a password.
pub(crate) async fn connect(url: &str) -> Result<Arc<dyn Backend>, Error> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(Error::new(
            ErrorKind::Config,
            "connect",
            format!("the bus URL has no scheme; it is one of {KNOWN}"),
        ));
    };
    match scheme {
        "memory" => Ok(Arc::new(Memory::connect(rest)?)),

        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Arc::new(crate::sqlite::Sqlite::connect(rest).await?)),
        #[cfg(not(feature = "sqlite"))]
        "sqlite" => Err(feature_off(scheme, "sqlite")),

        #[cfg(feature = "kafka")]
        "kafka" => Ok(Arc::new(crate::kafka::Kafka::connect(rest).await?)),
        #[cfg(not(feature = "kafka"))]
        "kafka" => Err(feature_off(scheme, "kafka")),

        #[cfg(feature = "rabbitmq")]
        "amqp" | "amqps" => Ok(Arc::new(
            crate::rabbitmq::RabbitMq::connect(scheme, rest).await?,
        )),
        #[cfg(not(feature = "rabbitmq"))]
        "amqp" | "amqps" => Err(feature_off(scheme, "rabbitmq")),

        _ => Err(Error::new(
            ErrorKind::Config,
            "connect",
            format!("unknown scheme {scheme:?} in the bus URL; it is one of {KNOWN}"),
        )),
    }
}

#[cfg_attr(
    all(feature = "sqlite", feature = "kafka", feature = "rabbitmq"),
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
