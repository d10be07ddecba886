//! What becomes of a payment, as a pure function: no clock, no database, no provider.
//!
//! The provider tells the same story through three channels (the answer to the charge, webhooks, the reconciliation that
//! asks), in any order and any number of times. Whatever is heard, a payment leaves `PENDING` once and never changes again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Status {
    /// The provider is working on it.
    Pending,
    /// The provider has the money.
    Confirmed,
    /// The provider refused; no money moved.
    Rejected,
}

/// What the provider says about a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is working on it.
    Processing,
    /// It has the money.
    Confirmed,
    /// It refused.
    Rejected {
        /// Why, in its words.
        reason: String,
    },
}

/// What a report does to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The payment takes this status, and that is announced.
    Settle(Status),
    /// Nothing yet: the provider is working on it, as was known.
    Note,
    /// Nothing any more: a repetition of the outcome, or a report that the outcome has overtaken.
    Absorb,
    /// The provider takes back what it said. The first outcome stands, and a person must look.
    Contradict,
}

impl Status {
    /// What a report does to a payment that stands here.
    #[must_use]
    pub fn hear(self, report: &Report) -> Step {
        match (self, report) {
            (Self::Pending, Report::Confirmed) => Step::Settle(Self::Confirmed),
            (Self::Pending, Report::Rejected { .. }) => Step::Settle(Self::Rejected),
            (Self::Pending, Report::Processing) => Step::Note,
            (_, Report::Processing)
            | (Self::Confirmed, Report::Confirmed)
            | (Self::Rejected, Report::Rejected { .. }) => Step::Absorb,
            (Self::Confirmed, Report::Rejected { .. }) | (Self::Rejected, Report::Confirmed) => {
                Step::Contradict
            }
        }
    }

    /// The status as it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Rejected => "REJECTED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the status of a payment")]
pub struct UnknownStatus(String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        [Self::Pending, Self::Confirmed, Self::Rejected]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

impl TryFrom<String> for Status {
    type Error = UnknownStatus;

    fn try_from(text: String) -> Result<Self, UnknownStatus> {
        text.parse()
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
