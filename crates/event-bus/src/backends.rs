//! A page for each backend: what maps to what, what to tune, what it cannot do, what its server must be set to.

#[doc = include_str!("../docs/memory.md")]
pub mod memory {}

#[doc = include_str!("../docs/sqlite.md")]
pub mod sqlite {}

#[doc = include_str!("../docs/kafka.md")]
pub mod kafka {}

#[doc = include_str!("../docs/rabbitmq.md")]
pub mod rabbitmq {}

#[doc = include_str!("../docs/sqs.md")]
pub mod sqs {}
