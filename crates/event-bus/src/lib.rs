#![doc = include_str!("../README.md")]

mod backend;
pub mod backends;
mod backlog;
mod bus;
mod capabilities;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connect;
mod dead_letter;
mod decorator;
mod delivery;
#[cfg(any(feature = "kafka", feature = "rabbitmq"))]
mod derived;
mod error;
mod filter;
// What fuzzers call: in no other build, and no part of the API.
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod headers;
#[cfg(any(feature = "kafka", feature = "rabbitmq"))]
mod lanes;
mod memory;
mod message;
#[cfg(test)]
mod model;
mod name;
mod pattern;
mod redrive;
mod settings;
mod subscriber;
mod subscription;
mod token;

// One folder per backend, all with the same file plan:
// mod.rs (what maps to what), config.rs (the URL), publish.rs, feed.rs, settle.rs, dead_letter.rs.
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqs")]
mod sqs;

pub use backend::{Backend, Feed, Incoming, Receipt, Settlement, Settler};
pub use backlog::Backlog;
pub use bus::EventBus;
pub use capabilities::Capabilities;
pub use clock::Clock;
pub use connect::Connector;
pub use dead_letter::DeadLetter;
pub use decorator::Decorator;
pub use delivery::{Delivery, SettleError};
pub use error::{Error, ErrorKind, PublishError, PublishErrorKind};
pub use filter::{Condition, Filter, Test};
pub use headers::Headers;
pub use message::{Accepted, Message, Undecodable};
pub use name::{NameError, SubscriptionName, TopicName};
pub use pattern::{PatternSubscriber, TopicPattern};
pub use redrive::Redrive;
pub use subscriber::Subscriber;
pub use subscription::{Order, Start, Subscription};
pub use token::{Token, TokenSource};
