//! What a person vouches for, and what that takes out of a comparison.

use std::fmt;
use std::str::FromStr;

use super::comparison::{ALLOWABLE, Change, Outcome};

/// What a person vouches for, because no schema can say it: `orders.order.placed.v1:PERSONAL_MARK_LOST`. Only rules about what is recorded
/// can be allowed, never one by which a reader breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    contract: String,
    rule: &'static str,
}

impl FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (contract, rule) = text.split_once(':').ok_or(
            "an allowance is a contract and a rule: orders.order.placed.v1:PERSONAL_MARK_LOST",
        )?;
        let known = ALLOWABLE.into_iter().find(|known| *known == rule);
        Ok(Self {
            contract: contract.to_owned(),
            rule: known.ok_or_else(|| {
                format!(
                    "{rule} cannot be allowed, only {}: what breaks readers is a new version",
                    ALLOWABLE.join(", ")
                )
            })?,
        })
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.contract, self.rule)
    }
}

/// Takes what is allowed out of the breaks. Returns the allowances that allowed nothing.
pub fn allow(changes: &mut [Change], allowances: &[Allowance]) -> Vec<Allowance> {
    let mut stale = Vec::new();
    for allowance in allowances {
        let mut used = false;
        for change in &mut *changes {
            if change.contract.to_string() != allowance.contract {
                continue;
            }
            let before = change.breaks.len();
            change.breaks.retain(|one| one.rule != allowance.rule);
            used |= change.breaks.len() < before;
            if change.breaks.is_empty() && change.outcome == Outcome::Incompatible {
                change.outcome = if change.edits.is_empty() {
                    Outcome::Unchanged
                } else {
                    Outcome::Compatible
                };
            }
        }
        if !used {
            stale.push(allowance.clone());
        }
    }
    stale
}
