//! One error type: what happened, whether asking again may help, and what the server said.

use std::{error::Error as StdError, fmt, time::Duration};

use http::{Method, StatusCode};
use url::Url;

use crate::problem::Problem;

/// What went wrong. `Display` is one line and leaves out the URL's query, which may hold secrets.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    method: Option<Method>,
    target: Option<String>,
    status: Option<StatusCode>,
    problem: Option<Problem>,
    retry_after: Option<Duration>,
    retryable: bool,
    attempts: u32,
    applied: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request could not be built: a bad URL, header, key or body.
    Request,
    /// The document offers no such link, or the link's template cannot be expanded.
    Link,
    /// There are no credentials. Nothing was sent.
    Authorize,
    /// No connection could be made. Nothing was sent.
    Connect,
    /// The time for one attempt, or for the whole call, ran out. The server may have acted.
    Timeout,
    /// The connection broke after the request was sent. The server may have acted.
    Transport,
    /// The circuit to this origin is open after too many failures. Nothing was sent.
    CircuitOpen,
    /// The server answered with an error: see [`Error::status`] and [`Error::problem`].
    Status,
    /// The server redirected to where this request must not go.
    Redirect,
    /// The answer is larger than the client accepts.
    TooLarge,
    /// The answer is not what the caller expected.
    Decode,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            method: None,
            target: None,
            status: None,
            problem: None,
            retry_after: None,
            retryable: matches!(
                kind,
                ErrorKind::Connect
                    | ErrorKind::Timeout
                    | ErrorKind::Transport
                    | ErrorKind::CircuitOpen
            ),
            attempts: 0,
            applied: false,
            source: None,
        }))
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn answered(mut self, status: StatusCode, problem: Option<Problem>) -> Self {
        self.0.status = Some(status);
        self.0.problem = problem;
        self
    }

    pub(crate) fn on(mut self, method: &Method, url: &Url) -> Self {
        if self.0.target.is_none() {
            let mut target = url.clone();
            target.set_query(None);
            target.set_fragment(None);
            self.0.method = Some(method.clone());
            self.0.target = Some(target.into());
        }
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    pub(crate) fn with_retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// The write itself succeeded; only what came after it failed.
    pub(crate) fn after_the_write(mut self) -> Self {
        self.0.applied = true;
        self
    }

    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later. It does not say that repeating is *safe*: for that, give the request an
    /// idempotency key.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// The write was accepted by the server; reading its result failed. Sending the request again would do it twice,
    /// unless it carries an idempotency key.
    pub fn is_applied(&self) -> bool {
        self.0.applied
    }

    /// The status of the server's answer, when there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The server's problem document (RFC 9457), when it sent one.
    pub fn problem(&self) -> Option<&Problem> {
        self.0.problem.as_ref()
    }

    /// How long to wait before asking again: what the server asked for, or the time until an open circuit lets a probe
    /// through.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How many requests were sent for this call to the URL that failed.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        if let (Some(method), Some(target)) = (&inner.method, &inner.target) {
            write!(f, "{method} {target}: ")?;
        }
        f.write_str(&inner.message)?;
        if let Some(problem) = &inner.problem {
            write!(f, ": {problem}")?;
        }
        if inner.attempts > 1 {
            write!(f, " (after {} attempts)", inner.attempts)?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
