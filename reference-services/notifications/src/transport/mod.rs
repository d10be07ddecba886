//! The ways an e-mail can leave.

mod mailbox;
pub(crate) mod smtp;

use std::error::Error;

pub use self::mailbox::Mailbox;

use self::smtp::Smtp;
use crate::config::TransportUrl;
use crate::letter::Letter;

/// A way for e-mails to leave; a clone is the same way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Transport {
    /// Into a file.
    Mailbox(Mailbox),
    /// To a mail server.
    Smtp(Smtp),
}

/// What became of an e-mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivered {
    /// It is on its way, durably.
    Now,
    /// It had been delivered before; nothing was done.
    Before,
}

/// Why an e-mail did not leave.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// This e-mail never will.
    #[error("the e-mail was refused")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// This e-mail not now.
    #[error("the e-mail was put off")]
    PutOff(#[source] Box<dyn Error + Send + Sync>),
    /// No e-mail now.
    #[error("e-mails do not leave now")]
    Outage(#[source] Box<dyn Error + Send + Sync>),
}

impl Transport {
    pub(crate) async fn open(url: &TransportUrl) -> anyhow::Result<Self> {
        match url {
            TransportUrl::Mailbox(file) => Ok(Self::Mailbox(Mailbox::open(file).await?)),
            TransportUrl::Smtp(url) => Ok(Self::Smtp(Smtp::new(url)?)),
        }
    }

    /// Sends an e-mail, and returns when somebody else is responsible for it: the mail server, or the disk.
    pub async fn deliver(&self, letter: &Letter) -> Result<Delivered, DeliveryError> {
        match self {
            Self::Mailbox(mailbox) => mailbox.deliver(letter).await,
            Self::Smtp(smtp) => smtp.deliver(letter).await,
        }
    }
}
