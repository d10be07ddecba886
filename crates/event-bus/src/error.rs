//! What went wrong, in which operation, whether to try again.

use std::error::Error as StdError;
use std::fmt;

use crate::message::Message;

type Source = Box<dyn StdError + Send + Sync>;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is wrong: the URL, a value in it, a subscription that contradicts an existing one.
    Config,
    /// This backend, or this build of the crate, cannot do what was asked.
    Unsupported,
    /// The message cannot be carried: it does not encode, or it is too large.
    Message,
    /// The backend cannot be reached, or refuses work for now.
    Unavailable,
    /// Nobody subscribes to the topic, and this backend keeps nothing for those who will.
    NoSubscription,
    /// The deadline passed.
    Timeout,
    /// The delivery is no longer held by who settles it: its lease was lost, or it was settled before.
    LeaseLost,
    /// The bus is closed.
    Closed,
    /// The backend answered something that was not expected.
    Backend,
}

impl ErrorKind {
    fn describe(self) -> &'static str {
        match self {
            Self::Config => "configuration",
            Self::Unsupported => "unsupported",
            Self::Message => "message",
            Self::Unavailable => "unavailable",
            Self::NoSubscription => "no subscription",
            Self::Timeout => "timeout",
            Self::LeaseLost => "lease lost",
            Self::Closed => "closed",
            Self::Backend => "backend",
        }
    }
}

/// An error of the bus. `Display` is one line; [`source`](StdError::source) leads to the backend's own error.
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    message: String,
    retryable: bool,
    source: Option<Source>,
}

impl Error {
    /// An error in an operation (`"publish"`, `"subscribe"`), with one line that says what is wrong and, where there is
    /// something to do about it, what. Retryable when the kind is [`Unavailable`](ErrorKind::Unavailable),
    /// [`Timeout`](ErrorKind::Timeout) or [`NoSubscription`](ErrorKind::NoSubscription).
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            message: message.into(),
            retryable: matches!(
                kind,
                ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::NoSubscription
            ),
            source: None,
        }))
    }

    /// Adds the error that caused this one.
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.with_boxed_source(Box::new(source))
    }

    pub(crate) fn with_boxed_source(mut self, source: Source) -> Self {
        self.0.source = Some(source);
        self
    }

    /// Says whether trying again can help, where the kind alone does not.
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether trying again, unchanged and later, can help.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// The operation that failed.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(
            f,
            "{} ({}): {}",
            inner.operation,
            inner.kind.describe(),
            inner.message
        )
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Whether a message that was not accepted may be in the backend all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublishErrorKind {
    /// The backend does not have the message.
    Failed,
    /// The backend may have the message: the connection went away before it answered. Publishing again may duplicate.
    Unknown,
}

/// A message that was not accepted, given back.
pub struct PublishError(Box<Refused>);

struct Refused {
    kind: PublishErrorKind,
    message: Message,
    source: Error,
}

impl PublishError {
    /// The backend does not have the message.
    pub fn failed(message: Message, source: Error) -> Self {
        Self::new(PublishErrorKind::Failed, message, source)
    }

    /// The backend may have the message.
    pub fn unknown(message: Message, source: Error) -> Self {
        Self::new(PublishErrorKind::Unknown, message, source)
    }

    fn new(kind: PublishErrorKind, message: Message, source: Error) -> Self {
        Self(Box::new(Refused {
            kind,
            message,
            source,
        }))
    }

    /// Whether the message may be in the backend all the same.
    pub fn kind(&self) -> PublishErrorKind {
        self.0.kind
    }

    /// Whether publishing the same message again can help.
    pub fn is_retryable(&self) -> bool {
        self.0.source.is_retryable()
    }

    /// The message that was not accepted.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// The error behind it.
    pub fn error(&self) -> &Error {
        &self.0.source
    }

    /// The message, to publish it again, and the error.
    pub fn into_parts(self) -> (Message, Error) {
        (self.0.message, self.0.source)
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = &self.0.message.event;
        let outcome = match self.0.kind {
            PublishErrorKind::Failed => "not accepted",
            PublishErrorKind::Unknown => "accepted or not, unknown",
        };
        write!(
            f,
            "event {} to topic {} {outcome}: {}",
            event.id(),
            self.0.message.topic,
            self.0.source
        )
    }
}

impl fmt::Debug for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the message: payloads are not for logs.
        f.debug_struct("PublishError")
            .field("kind", &self.0.kind)
            .field("topic", &self.0.message.topic)
            .field("event_id", &self.0.message.event.id())
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for PublishError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0.source)
    }
}
