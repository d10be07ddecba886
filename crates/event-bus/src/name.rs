//! Names of topics and subscriptions, checked once, when they are made.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name, in bytes. Kafka allows 249 and AMQP 255; the difference leaves room for the names derived from
/// ours, such as the topic or queue of dead letters.
const LONGEST: usize = 200;

/// A name that no backend would accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a valid {what} name: {problem}")]
pub struct NameError {
    what: &'static str,
    name: String,
    problem: &'static str,
}

impl NameError {
    /// The same problem, of what the name is part of.
    pub(crate) fn of(self, what: &'static str, name: &str) -> Self {
        let name = name.chars().take(LONGEST).collect();
        Self { what, name, ..self }
    }
}

fn check(what: &'static str, name: &str) -> Result<Arc<str>, NameError> {
    match problem_of(name) {
        None => Ok(Arc::from(name)),
        Some(problem) => Err(NameError {
            what,
            // An oversized name is not repeated whole in every log line that reports it.
            name: name.chars().take(LONGEST).collect(),
            problem,
        }),
    }
}

fn problem_of(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > LONGEST {
        return Some("it is longer than 200 bytes");
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Some("it must start with a lower-case letter");
    }
    if name.split('.').any(str::is_empty) {
        return Some("a part between the dots is empty");
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if !name.chars().all(allowed) {
        return Some("only lower-case letters, digits, '-' and '.' are allowed");
    }
    None
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// Lower-case letters, digits and `-` in parts separated by `.`, starting with a letter, at most 200 bytes:
        /// what every backend can carry. Cloning is cheap.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks a name.
            pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
                check($what, name.as_ref()).map(Self)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<&str> for $type {
            type Error = NameError;
            fn try_from(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

name!(
    /// The name of a topic: a public stream of events.
    TopicName,
    "topic"
);
name!(
    /// The name of a subscription: private to the component that consumes, shared by its members.
    SubscriptionName,
    "subscription"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_every_backend_carries() {
        for name in [
            "orders",
            "orders.order-created",
            "a",
            "a1.2b",
            "payments-v2",
        ] {
            assert_eq!(TopicName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let cases = [
            ("", "empty"),
            ("Orders", "start with a lower-case letter"),
            ("1orders", "start with a lower-case letter"),
            ("orders..created", "between the dots"),
            ("orders.", "between the dots"),
            ("orders_created", "only lower-case letters"),
            ("orders/../x", "between the dots"),
            ("órders", "start with a lower-case letter"),
        ];
        for (name, problem) in cases {
            let error = TopicName::new(name).unwrap_err().to_string();
            assert!(error.contains(problem), "{name:?}: {error}");
        }
        assert!(SubscriptionName::new("a".repeat(200)).is_ok());
        let error = SubscriptionName::new("a".repeat(201))
            .unwrap_err()
            .to_string();
        assert!(error.contains("200 bytes") && error.contains("subscription"));
    }

    proptest! {
        #[test]
        fn the_grammar_is_what_is_accepted(name in "[a-z][a-z0-9-]{0,20}(\\.[a-z0-9-]{1,10}){0,4}") {
            prop_assert!(TopicName::new(&name).is_ok());
        }

        #[test]
        fn any_text_is_judged_without_panic(name in "\\PC{0,300}") {
            drop(TopicName::new(name));
        }
    }
}
