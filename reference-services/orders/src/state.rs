//! What may happen to an order next: a pure function of where it stands and what is asked for.
//!
//! ```text
//! CREATED ──check out──▶ CHECKOUT ──confirmed──▶ RECEIVED
//!    │                    ▲    │
//!    │          check out │    └──rejected──▶ PAYMENT_PENDING
//!    │                    └──────────────────────┤
//!    └──cancel──▶ CANCELLED ◀────────cancel──────┘
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// It exists; nobody has asked for its payment.
    Created,
    /// Its payment was asked for and is not known yet.
    Checkout,
    /// It is paid. Final here: preparation goes on elsewhere.
    Received,
    /// Its payment was rejected; another attempt may be made.
    PaymentPending,
    /// It will not be carried out. Final.
    Cancelled,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Created,
        Self::Checkout,
        Self::Received,
        Self::PaymentPending,
        Self::Cancelled,
    ];

    /// The name, as the API and the database have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Checkout => "CHECKOUT",
            Self::Received => "RECEIVED",
            Self::PaymentPending => "PAYMENT_PENDING",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether nothing can happen any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Received | Self::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A text that names no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a state of an order: CREATED, CHECKOUT, RECEIVED, PAYMENT_PENDING or CANCELLED")]
pub struct UnknownState;

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or(UnknownState)
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: State,
    /// How often its payment was asked for.
    pub attempt: u32,
    /// Whether there is something to pay: it has items, and they cost something.
    pub payable: bool,
}

/// What is to happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask for its payment.
    CheckOut,
    /// Give it up.
    Cancel,
    /// This attempt to pay it has succeeded.
    Confirm {
        /// The attempt, from 1.
        attempt: u32,
    },
    /// This attempt to pay it has failed.
    Reject {
        /// The attempt, from 1.
        attempt: u32,
    },
}

/// Why something does not happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Not in this state.
    #[error("an order that is {0} cannot be checked out")]
    CheckOut(State),
    /// Not in this state.
    #[error("an order that is {0} cannot be cancelled")]
    Cancel(State),
    /// There is nothing to pay.
    #[error("the order has nothing to pay: it has no items, or they cost nothing")]
    NothingToPay,
    /// The outcome of an attempt whose outcome is known already: it came twice, or late.
    #[error("the outcome of attempt {attempt} is known already")]
    Known {
        /// The attempt that the outcome is of.
        attempt: u32,
    },
    /// The outcome of an attempt that was never made.
    #[error("attempt {attempt} was never made")]
    NeverMade {
        /// The attempt that the outcome is of.
        attempt: u32,
    },
    /// Confirmed and rejected: somebody has to look at it.
    #[error("attempt {attempt} is said to be both confirmed and rejected; the order is {state}")]
    Contradiction {
        /// The attempt that the outcome is of.
        attempt: u32,
        /// The state that the first outcome led to.
        state: State,
    },
}

/// Where the order stands after the command.
pub fn decide(standing: Standing, command: Command) -> Result<Standing, NotAllowed> {
    use State::{Cancelled, Checkout, Created, PaymentPending, Received};
    let to = |state| Ok(Standing { state, ..standing });
    match (standing.state, command) {
        (Created | PaymentPending, Command::CheckOut) if !standing.payable => {
            Err(NotAllowed::NothingToPay)
        }
        (Created | PaymentPending, Command::CheckOut) => match standing.attempt.checked_add(1) {
            Some(attempt) => Ok(Standing {
                state: Checkout,
                attempt,
                ..standing
            }),
            None => Err(NotAllowed::CheckOut(standing.state)),
        },
        (state, Command::CheckOut) => Err(NotAllowed::CheckOut(state)),
        (Created | PaymentPending, Command::Cancel) => to(Cancelled),
        (state, Command::Cancel) => Err(NotAllowed::Cancel(state)),
        (state, Command::Confirm { attempt } | Command::Reject { attempt }) => {
            let confirmed = matches!(command, Command::Confirm { .. });
            match state {
                _ if attempt == 0 || attempt > standing.attempt => {
                    Err(NotAllowed::NeverMade { attempt })
                }
                // Another attempt is only made after the one before was rejected.
                _ if attempt < standing.attempt => Err(NotAllowed::Known { attempt }),
                Checkout => to(if confirmed { Received } else { PaymentPending }),
                _ if confirmed == (state == Received) => Err(NotAllowed::Known { attempt }),
                _ => Err(NotAllowed::Contradiction { attempt, state }),
            }
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
