//! A mail server.

use std::time::Duration;

use commerce_host::settings::ConnectionUrl;
use lettre::message::header::ContentTransferEncoding;
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::{Delivered, DeliveryError};
use crate::letter::Letter;

/// For each command; RFC 5321 allows minutes, but a worker waits meanwhile.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Connections to a mail server, opened when there is something to send.
#[derive(Clone, Debug)]
pub struct Smtp {
    server: AsyncSmtpTransport<Tokio1Executor>,
}

/// Checks the URL; connects to nothing.
pub(crate) fn builder(url: &str) -> Result<AsyncSmtpTransportBuilder, Error> {
    AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
}

impl Smtp {
    pub(crate) fn new(url: &ConnectionUrl) -> Result<Self, Error> {
        let server = builder(url.expose())?.timeout(Some(TIMEOUT)).build();
        Ok(Self { server })
    }

    pub(crate) async fn deliver(&self, letter: &Letter) -> Result<Delivered, DeliveryError> {
        // Every server takes it, also one that knows seven bits only.
        let message = letter
            .message(ContentTransferEncoding::QuotedPrintable)
            .map_err(|error| DeliveryError::Refused(error.into()))?;
        self.server.send(message).await.map_err(classify)?;
        Ok(Delivered::Now)
    }
}

fn classify(error: Error) -> DeliveryError {
    let code = error.status().map(u16::from);
    match code {
        // Our own credentials are wrong, or asked for: no e-mail is to blame.
        Some(421 | 454 | 530 | 534 | 535 | 538) => DeliveryError::Outage(error.into()),
        _ if error.is_permanent() => DeliveryError::Refused(error.into()),
        _ if error.is_transient() => DeliveryError::PutOff(error.into()),
        _ => DeliveryError::Outage(error.into()),
    }
}
