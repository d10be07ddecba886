#![doc = include_str!("../README.md")]

mod backend;
mod backlog;
mod bus;
mod capabilities;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connect;
mod dead_letter;
mod delivery;
#[cfg(any(feature = "kafka", feature = "rabbitmq"))]
mod derived;
mod error;
#[cfg(any(feature = "kafka", feature = "rabbitmq"))]
mod lanes;
mod memory;
mod message;
#[cfg(test)]
mod model;
mod name;
mod settings;
mod subscriber;
mod subscription;

// One folder per backend, all with the same file plan:
// mod.rs (what maps to what), config.rs (the URL), publish.rs, feed.rs, settle.rs, dead_letter.rs.
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use backend::{Backend, Feed, Incoming, Receipt, Settlement, Settler};
pub use backlog::Backlog;
pub use bus::EventBus;
pub use capabilities::Capabilities;
pub use dead_letter::DeadLetter;
pub use delivery::{Delivery, SettleError};
pub use error::{Error, ErrorKind, PublishError, PublishErrorKind};
pub use message::{Accepted, Message, Undecodable};
pub use name::{NameError, SubscriptionName, TopicName};
pub use subscriber::Subscriber;
pub use subscription::{Order, Start, Subscription};
