//! What can order events.

use std::fmt;

/// The type of a field that can be an ordering key: whatever has a text, by [`Display`](fmt::Display).
///
/// Two values of it are the same thing exactly when their texts are the same: events with one text keep their order.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an ordering key, for it has no text",
    label = "the key leads to a `{Self}`",
    note = "implement `std::fmt::Display` for `{Self}`, or let the key lead to a field that has a text: a string, a whole number, a `Uuid`"
)]
pub trait OrderingKey {
    /// The text.
    fn ordering_key(&self) -> String;
}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display + ?Sized> OrderingKey for T {
    fn ordering_key(&self) -> String {
        self.to_string()
    }
}
