//! What the benchmarks share: one order event, and how two contenders are measured and told.

mod order;
mod report;

pub use order::{Customer, Item, Money, OrderPlaced, OrderPlacedNext, order_created};
pub use report::{Report, Target};
