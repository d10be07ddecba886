//! How a handler says that it did not succeed, and what is to happen with the event.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why an event was not handled, and whether to try again.
///
/// Every error becomes a [`retry`](Failure::retry) through `?`. Like `anyhow::Error`, `Failure` is
/// therefore not an error itself; [`From`] makes a boxed error of it.
pub struct Failure {
    pub(crate) action: Action,
    source: BoxError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Again after the backoff's pause, and not before `after`.
    Retry { after: Duration },
    /// Never again.
    Reject,
    /// Again after this time, as if it had not been tried.
    Defer { after: Duration },
    /// Another delivery of the same event has done it already.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        allow(dead_code, reason = "only an inbox knows duplicates")
    )]
    Duplicate,
}

impl Failure {
    /// It may succeed later: the event is delivered again, up to the number of attempts.
    pub fn retry(error: impl Into<BoxError>) -> Self {
        Self::new(
            Action::Retry {
                after: Duration::ZERO,
            },
            error,
        )
    }

    /// It will never succeed: the event goes to the dead letters at once.
    pub fn reject(error: impl Into<BoxError>) -> Self {
        Self::new(Action::Reject, error)
    }

    /// It is not time for this event yet: it is delivered again after this time, which does not count
    /// as an attempt. (Only this process knows so: once it has ended, the bus's own count holds.)
    pub fn defer(after: Duration) -> Self {
        Self::new(Action::Defer { after }, format!("deferred for {after:?}"))
    }

    /// Lets a retry wait for at least this long, as when the other side names a time.
    pub fn after(mut self, at_least: Duration) -> Self {
        if let Action::Retry { after } = &mut self.action {
            *after = at_least;
        }
        self
    }

    /// The way back from the boxed error of a tower layer: a failure that was boxed is itself again,
    /// any other error is a [`retry`](Failure::retry).
    pub fn from_boxed(error: BoxError) -> Self {
        match error.downcast::<Boxed>() {
            Ok(boxed) => boxed.0,
            Err(error) => Self::retry(error),
        }
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn duplicate() -> Self {
        Self::new(Action::Duplicate, "the event was handled before")
    }

    fn new(action: Action, error: impl Into<BoxError>) -> Self {
        Self {
            action,
            source: error.into(),
        }
    }

    /// The error and its causes in one line.
    pub(crate) fn reason(&self) -> String {
        let mut reason = self.source.to_string();
        let mut cause = self.source.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors repeat their cause in their own text.
            if !reason.ends_with(&text) {
                reason.push_str(": ");
                reason.push_str(&text);
            }
            cause = error.source();
        }
        reason
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::retry(error)
    }
}

impl From<Failure> for BoxError {
    fn from(failure: Failure) -> Self {
        Box::new(Boxed(failure))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("action", &self.action)
            .field("source", &self.source)
            .finish()
    }
}

/// A failure on its way through layers that speak of boxed errors.
struct Boxed(Failure);

impl fmt::Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.source, f)
    }
}

impl fmt::Debug for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl StdError for Boxed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Chained(&'static str, #[source] Option<Box<Chained>>);

    #[test]
    fn the_reason_tells_the_whole_chain_without_repeating() {
        let root = Chained("connection refused", None);
        let repeats = Chained("provider: connection refused", Some(Box::new(root)));
        let outer = Chained("payment failed", Some(Box::new(repeats)));
        let failure = Failure::from(outer);
        assert_eq!(
            failure.reason(),
            "payment failed: provider: connection refused"
        );
    }

    #[test]
    fn a_failure_survives_layers_that_box_errors() {
        let boxed: BoxError = Failure::reject("not an order").into();
        let back = Failure::from_boxed(boxed);
        assert_eq!(
            (back.action, back.reason().as_str()),
            (Action::Reject, "not an order")
        );
        let foreign = Failure::from_boxed("elapsed".into());
        assert_eq!(
            foreign.action,
            Action::Retry {
                after: Duration::ZERO
            }
        );
    }
}
