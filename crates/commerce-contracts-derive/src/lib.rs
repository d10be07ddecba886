//! The `#[derive(Event)]` macro of `commerce-contracts`, which re-exports and documents it.
//!
//! The macro checks everything it can see and reports every mistake at once, each on its own span and with its remedy.

mod attributes;
mod expand;
mod key;
mod mistakes;
mod pattern;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct an event: gives it a name, a version, a topic and an ordering key.
///
/// ```text
/// #[derive(Event, Serialize, Deserialize, JsonSchema)]
/// #[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
/// struct OrderPlaced { order_id: OrderId, total: Money }
/// ```
///
/// | attribute | holds |
/// |---|---|
/// | `name` | lower-case segments joined by dots, at least two: where it happened, and what |
/// | `version` | 1 or more; a new number when a reader of the old one could not read the new one |
/// | `topic` | the stream that the event is published to |
/// | `key` | the field (or path of fields, `customer.id`) whose text orders the events: same key, same order |
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
