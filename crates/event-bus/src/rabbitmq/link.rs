//! A connection that is made again when it is gone.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::runtime::default_runtime;
use lapin::tcp::OwnedTLSConfig;
use lapin::types::ShortString;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::config::Config;
use super::{closed, unavailable};
use crate::error::{Error, ErrorKind};

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// One connection, for one purpose: a broker that slows publishers down must not stop consumers from settling.
pub(super) struct Link {
    config: Config,
    purpose: &'static str,
    current: Mutex<Option<Arc<Connection>>>,
    closed: AtomicBool,
}

impl Link {
    pub(super) fn new(config: &Config, purpose: &'static str) -> Self {
        Self {
            config: config.clone(),
            purpose,
            current: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// A new channel on the connection, which is made if there is none; tries with growing pauses until the deadline.
    pub(super) async fn channel(
        &self,
        operation: &'static str,
        deadline: Instant,
    ) -> Result<Channel, Error> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            if self.closed.load(Ordering::Acquire) {
                return Err(closed(operation));
            }
            let one_attempt = deadline.min(Instant::now() + self.config.request_timeout);
            let error = match timeout_at(one_attempt, self.open()).await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(error)) if is_refusal(&error) => return Err(refused(operation, error)),
                Ok(Err(error)) => unavailable(operation, "RabbitMQ is not reachable", error),
                Err(_) => {
                    // It may look connected and be dead: the next attempt gets a new one.
                    self.current.lock().await.take();
                    Error::new(
                        ErrorKind::Unavailable,
                        operation,
                        "RabbitMQ does not answer",
                    )
                }
            };
            pause = (pause * 2).min(LONGEST_PAUSE);
            let pause = jittered(pause);
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(%error, ?pause, purpose = self.purpose, "connecting again");
            sleep(pause).await;
        }
    }

    async fn open(&self) -> lapin::Result<Channel> {
        let connection = {
            let mut current = self.current.lock().await;
            match current.as_ref() {
                Some(connection) if connection.status().connected() => Arc::clone(connection),
                _ => {
                    let connection = Arc::new(self.connect().await?);
                    *current = Some(Arc::clone(&connection));
                    connection
                }
            }
        };
        connection.create_channel().await
    }

    async fn connect(&self) -> lapin::Result<Connection> {
        let name = format!("{} {}", self.config.name, self.purpose);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let tls = OwnedTLSConfig {
            identity: None,
            cert_chain: self.config.authorities.clone(),
        };
        let connection = Connection::connect_uri_with_config(
            self.config.uri.clone(),
            properties,
            tls,
            default_runtime()?,
        )
        .await?;
        let authority = &self.config.uri.authority;
        tracing::info!(
            host = authority.host,
            port = authority.port,
            purpose = self.purpose,
            "connected to RabbitMQ"
        );
        Ok(connection)
    }

    /// A channel on a connection of its own, for what may cost the connection.
    pub(super) async fn apart(
        &self,
        operation: &'static str,
    ) -> Result<(Connection, Channel), Error> {
        let connect = async {
            let connection = self.connect().await?;
            let channel = connection.create_channel().await?;
            Ok((connection, channel))
        };
        match timeout(self.config.request_timeout, connect).await {
            Ok(Ok(made)) => Ok(made),
            Ok(Err(error)) if is_refusal(&error) => Err(refused(operation, error)),
            Ok(Err(error)) => Err(unavailable(operation, "RabbitMQ is not reachable", error)),
            Err(_) => Err(Error::new(
                ErrorKind::Unavailable,
                operation,
                "RabbitMQ does not answer",
            )),
        }
    }

    /// Disconnects for good.
    pub(super) async fn close(&self, deadline: Instant) {
        self.closed.store(true, Ordering::Release);
        let goodbye = async {
            let connection = self.current.lock().await.take();
            if let Some(connection) = connection {
                // A connection that is gone already needs no goodbye.
                let _ = connection.close(200, ShortString::from("closed")).await;
            }
        };
        let _ = timeout_at(deadline, goodbye).await;
    }
}

/// Half to all of a pause, so that the clients of a broker that comes back do not come back all at once.
pub(super) fn jittered(pause: Duration) -> Duration {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a random share needs no precision"
    )]
    let share = random as f64 / u64::MAX as f64;
    pause.mul_f64(share.mul_add(0.5, 0.5))
}

/// The broker knows us and says no: trying again does not help.
fn is_refusal(error: &lapin::Error) -> bool {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => matches!(
            error.kind(),
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
                | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH)
        ),
        lapin::ErrorKind::AuthProviderError(_) | lapin::ErrorKind::InvalidProtocolVersion(_) => {
            true
        }
        _ => is_untrusted(error),
    }
}

/// TLS does not come about: the certificate is not trusted, or there is no TLS on that port.
fn is_untrusted(error: &lapin::Error) -> bool {
    matches!(error.kind(), lapin::ErrorKind::IOError(error) if error.kind() == io::ErrorKind::InvalidData)
}

fn refused(operation: &'static str, error: lapin::Error) -> Error {
    let problem = if is_untrusted(&error) {
        format!(
            "no TLS with RabbitMQ; check the port, that its certificate names the host, and that who signed it is trusted \
             by the system or named by tls_ca: {error}"
        )
    } else {
        format!("RabbitMQ refuses the connection; check user, password and vhost: {error}")
    };
    Error::new(ErrorKind::Config, operation, problem).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_between_half_and_whole() {
        let whole = Duration::from_secs(2);
        let pauses: Vec<Duration> = (0..200).map(|_| jittered(whole)).collect();
        assert!(
            pauses
                .iter()
                .all(|pause| *pause >= whole / 2 && *pause <= whole)
        );
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
