//! What a handler can ask for as an argument.

mod event;
mod metadata;
mod state;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod transaction;

use commerce_contracts::avro::WriterSchemas;

use crate::call::Call;
use crate::failure::Failure;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::inbox::Work;

pub use self::event::Event;
pub use self::metadata::Metadata;
pub use self::state::State;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use self::transaction::{Begin, Tx};

/// A type that a handler can take as an argument, made from the call.
///
/// ```
/// use commerce_consumer_framework::{Context, Failure, FromCall};
///
/// /// Who sent the event: an extension that our gateway sets.
/// struct Sender(String);
///
/// impl<S: Send + Sync> FromCall<S> for Sender {
///     async fn from_call(context: &mut Context<S>) -> Result<Self, Failure> {
///         match context.call().event().extension("sender").and_then(|sender| sender.as_str()) {
///             Some(sender) => Ok(Sender(sender.to_owned())),
///             None => Err(Failure::reject("the event has no sender")),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler whose state is `{S}`",
    note = "a handler takes `Event<E>`, `State<{S}>`, `Metadata`, `Tx`, `Begin`, `CloudEvent`, or a type of yours that implements `FromCall`"
)]
pub trait FromCall<S>: Sized + Send {
    /// Whether the argument needs an [inbox](crate::Consumer::inbox): a consumer without one then
    /// refuses to start.
    const NEEDS_INBOX: bool = false;

    /// Makes the argument. A failure is the outcome of the call; the handler is not run.
    fn from_call(context: &mut Context<S>) -> impl Future<Output = Result<Self, Failure>> + Send;
}

/// What arguments are made from: the call and the consumer's state.
#[derive(Debug)]
pub struct Context<S> {
    call: Call,
    state: S,
    writers: WriterSchemas,
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    work: Option<Work>,
}

impl<S> Context<S> {
    pub(crate) fn new(call: Call, state: S, writers: WriterSchemas) -> Self {
        Self {
            call,
            state,
            writers,
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            work: None,
        }
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn with_work(mut self, work: Option<Work>) -> Self {
        self.work = work;
        self
    }

    /// The call: the event, the attempt, the subscription.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The consumer's state.
    pub fn state(&self) -> &S {
        &self.state
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    fn work(&self) -> Result<Work, Failure> {
        // The consumer has checked at its start that there is one.
        self.work
            .clone()
            .ok_or_else(|| Failure::reject("the consumer has no inbox"))
    }
}
