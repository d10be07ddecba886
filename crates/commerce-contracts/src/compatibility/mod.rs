#![doc = include_str!("README.md")]

pub mod avro;
mod history;
pub mod json;
mod report;
mod rule;

pub use history::History;
pub use report::{Direction, Finding, Mode, Report, Verdict};
pub use rule::Rule;
