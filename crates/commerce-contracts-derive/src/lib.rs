//! The `#[derive(Event)]` macro of `commerce-contracts`, which re-exports and documents it.
//!
//! The macro checks everything it can see and reports every mistake at once, each on its own span and with its remedy.

mod attributes;
mod avro;
mod deprecated;
mod expand;
mod key;
mod mistakes;
mod pattern;
mod personal;
mod upcasts;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct an event: gives it a name, a version, a topic, an ordering key and an Avro schema.
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
/// | `upcasts` | where events of the version before are still read: its type, `upcasts = OrderPlacedV1`; see below |
/// | `deprecated` | since when it should not be subscribed to any more, and the type that is published in its place: `deprecated(since = "2026-01-31", replacement = "orders.order.placed.v2")` |
///
/// `#[event(personal)]` on a field says that it tells about a person: it is marked in both schemas and listed in the contract, and the
/// struct has to derive `PersonalData` in the place of `Debug`.
///
/// # Versions
///
/// Each version is a type. Where the type of version 2 says `upcasts = OrderPlacedV1`, and there is an `impl From<OrderPlacedV1>` for it
/// (or `TryFrom`), `decode` reads events of both versions as version 2, and a consumer of version 2 gets both. Version 3
/// upcasts from version 2, and so reads all three. A version that is left out, another event's type,
/// a circle and a missing conversion are found when it is compiled.
///
/// The Avro schema is the one that `#[derive(AvroSchema)]` gives; the types of the fields derive it themselves.
#[proc_macro_derive(Event, attributes(event, avro, serde))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Gives a type its Avro schema, from the description that serde has of it: the names, what may be left out and what then stands
/// there. `commerce_contracts::avro::AvroSchema` says which type of Rust becomes which of Avro.
///
/// Of serde's attributes it follows `rename`, `rename_all`, `alias`, `default`, `skip`, `skip_serializing_if`, `other` (the enum's
/// default symbol), `transparent`, `from`, `try_from` and `into`; what no schema can follow is refused, with the remedy.
/// `#[avro(namespace = "…")]` puts a type into a namespace, and `#[avro(alias = "…")]` keeps the name that it had.
/// `#[event(personal)]` on a field marks it in the schema.
///
/// # Logical types
///
/// A newtype asks for a logical type, whatever the type in it has by itself, which may be one of another crate without an Avro schema:
///
/// ```text
/// #[derive(AvroSchema, Serialize, Deserialize, JsonSchema)]
/// #[avro(decimal(precision = 12, scale = 2))]
/// struct Price(String);
/// ```
///
/// | attribute | Avro | of |
/// |---|---|---|
/// | `decimal(precision = 12, scale = 2)` | `bytes`, `decimal`: 1 to 38 digits, some of them after the point (none unless said) | what serde writes as text; without a scale also whole numbers |
/// | `date` | `int`, `date` | `NaiveDate` |
/// | `time_millis` | `int`, `time-millis` | `NaiveTime` |
/// | `time_micros` | `long`, `time-micros` | `NaiveTime` |
/// | `timestamp_millis`, `timestamp_micros`, `timestamp_nanos` | `long`, `timestamp-…` | `DateTime` |
/// | `local_timestamp_millis`, `local_timestamp_micros`, `local_timestamp_nanos` | `long`, `local-timestamp-…` | `NaiveDateTime` |
///
/// A time may also be the number that Avro has, where serde writes an integer that fits. Finer digits than the unit has are cut off, and
/// `timestamp_nanos` reaches from 1677 to 2262.
///
/// In the contract of an event, JSON takes exactly the decimals that Avro takes: where the decimal stands, both JSON Schemas get a pattern
/// for its text (bounds for a whole number, and no floating point numbers), beside the rules that the type has by itself. The schema of the
/// type alone, outside of a contract, does not have them. A decimal read from Avro has all digits of its scale: `12.5` comes back as `12.50`.
#[proc_macro_derive(AvroSchema, attributes(avro, event, serde))]
pub fn derive_avro_schema(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    avro::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Writes a `Debug` that shows `[personal]` for the fields that are marked `#[event(personal)]`, and for all that a struct without field
/// names holds. It is derived in the place of `Debug`.
#[proc_macro_derive(PersonalData, attributes(event))]
pub fn derive_personal_data(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    personal::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
