//! Plain async functions as handlers.

use crate::emit::Emit;
use crate::extract::{Context, Event, FromCall};
use crate::failure::Failure;

/// An async function whose arguments are made from the call.
///
/// It takes one to eight arguments, each of which implements [`FromCall`], and returns `()`,
/// [`Emit`], or a `Result` of them with [`Failure`] or any error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler for a consumer whose state is `{S}`",
    label = "not a handler",
    note = "a handler is an async function of 1 to 8 arguments; each is `Event<E>`, `State<{S}>`, `Metadata`, `Tx`, `Begin`, `CloudEvent` or implements `FromCall`",
    note = "it returns `()`, `Emit`, or `Result<() or Emit, Failure or any error>`, and its future is `Send`",
    note = "call `.state(…)` before `.on(…)`"
)]
pub trait Handler<Arguments, S>: Clone + Send + Sync + 'static {
    /// Whether one of the arguments needs an inbox.
    const NEEDS_INBOX: bool;

    /// Makes the arguments and runs the function.
    fn call(
        self,
        context: Context<S>,
    ) -> impl Future<Output = Result<Emit, Failure>> + Send + 'static;
}

/// Arguments that begin with an [`Event`], which decides what the handler consumes.
#[diagnostic::on_unimplemented(
    message = "the first argument of this handler is not `Event<E>`",
    note = "`.on(…)` learns from `Event<E>` which events the handler takes; use `.on_topic(…)` for all events of a topic"
)]
pub trait BeginsWithEvent {
    /// The event.
    type Event: commerce_contracts::Event;
}

/// What a handler may return.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "it returns `()`, `Emit`, or `Result<() or Emit, Failure or any error>`"
)]
pub trait IntoOutcome {
    /// The events to emit, or why the event was not handled.
    fn into_outcome(self) -> Result<Emit, Failure>;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Result<Emit, Failure> {
        Ok(Emit::nothing())
    }
}

impl IntoOutcome for Emit {
    fn into_outcome(self) -> Result<Emit, Failure> {
        Ok(self)
    }
}

impl<T: Into<Emit>, E: Into<Failure>> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Result<Emit, Failure> {
        self.map(Into::into).map_err(Into::into)
    }
}

macro_rules! functions {
    ($($argument:ident),+) => {
        impl<F, Fut, Out, S, $($argument),+> Handler<($($argument,)+), S> for F
        where
            F: Fn($($argument),+) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = Out> + Send + 'static,
            Out: IntoOutcome + 'static,
            S: Send + Sync + 'static,
            $($argument: FromCall<S> + 'static,)+
        {
            const NEEDS_INBOX: bool = false $(|| <$argument as FromCall<S>>::NEEDS_INBOX)+;

            async fn call(self, mut context: Context<S>) -> Result<Emit, Failure> {
                $(
                    #[allow(non_snake_case, reason = "named after its type")]
                    let $argument = $argument::from_call(&mut context).await?;
                )+
                self($($argument),+).await.into_outcome()
            }
        }
    };
}

macro_rules! begins_with_event {
    ($($argument:ident),*) => {
        impl<E: commerce_contracts::Event, $($argument),*> BeginsWithEvent for (Event<E>, $($argument,)*) {
            type Event = E;
        }
    };
}

functions!(A);
functions!(A, B);
functions!(A, B, C);
functions!(A, B, C, D);
functions!(A, B, C, D, G);
functions!(A, B, C, D, G, H);
functions!(A, B, C, D, G, H, I);
functions!(A, B, C, D, G, H, I, J);

begins_with_event!();
begins_with_event!(B);
begins_with_event!(B, C);
begins_with_event!(B, C, D);
begins_with_event!(B, C, D, G);
begins_with_event!(B, C, D, G, H);
begins_with_event!(B, C, D, G, H, I);
begins_with_event!(B, C, D, G, H, I, J);
