//! Personal data: which fields hold it, and that they are not shown.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::avro::Schema;
use crate::json_schema;

/// The keyword that marks a field in both schemas. Neither standard has one of its own; names that begin with `x-` are what AsyncAPI
/// keeps free for extensions, and readers of JSON Schema and Avro pass over them.
pub(crate) const MARK: &str = "x-personal";

/// A type that holds personal data and does not show it: derive it in the place of [`Debug`](fmt::Debug).
///
/// ```
/// use commerce_contracts::{Event, PersonalData};
/// use commerce_contracts::avro::AvroSchema;
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(PersonalData, Serialize, Deserialize, JsonSchema, AvroSchema)]
/// struct Customer {
///     id: u64,
///     #[event(personal)]
///     name: String,
/// }
///
/// #[derive(Debug, Event, Serialize, Deserialize, JsonSchema)]
/// #[event(name = "orders.order.placed", version = 1, topic = "orders", key = "order_id")]
/// struct OrderPlaced { order_id: String, buyers: Vec<Customer> }
///
/// let placed = OrderPlaced { order_id: "A-1".into(), buyers: vec![Customer { id: 7, name: "Ana".into() }] };
/// assert_eq!(
///     format!("{placed:?}"),
///     r#"OrderPlaced { order_id: "A-1", buyers: [Customer { id: 7, name: [personal] }] }"#,
/// );
/// // Where it is, for whoever has to tell or to erase it.
/// assert_eq!(OrderPlaced::contract().personal(), ["/buyers/*/name"]);
/// ```
///
/// The mark stands in both schemas of the contract, `"x-personal": true`. A type with marked fields that shows them in `Debug` does not
/// compile where it is part of an event. What a marked field holds is shown again once it is taken out of its struct, unless its
/// type hides itself: a newtype that derives `PersonalData`, as [`EmailAddress`](crate::commerce::EmailAddress), does so wherever it is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has personal fields and does not hide them in `Debug`",
    label = "a personal field",
    note = "derive `PersonalData` in the place of `Debug`: it writes a `Debug` that shows `[personal]` for the marked fields"
)]
pub trait PersonalData: fmt::Debug {}

/// The places of personal data in what a schema describes, as [`Contract::personal`](crate::Contract::personal) tells them.
pub(crate) fn places(schema: &Schema) -> Vec<String> {
    let mut found = BTreeSet::new();
    schema.visit_personal(&mut |place| {
        found.insert(place.to_owned());
    });
    found.into_iter().collect()
}

/// Marks these places in a JSON Schema.
pub(crate) fn mark(schema: &mut Value, places: &[String]) {
    let mut at = Vec::new();
    // Those within themselves are described where the type is.
    for place in places.iter().filter(|place| !place.contains("/**")) {
        let segments: Vec<&str> = place.split('/').skip(1).collect();
        locate(schema, String::new(), &segments, 0, &mut at);
    }
    for pointer in at {
        match schema.pointer_mut(&pointer) {
            Some(Value::Object(object)) => {
                object.insert(MARK.to_owned(), true.into());
            }
            // What may be anything can still be marked.
            Some(anything @ Value::Bool(true)) => *anything = serde_json::json!({ MARK: true }),
            _ => {}
        }
    }
}

/// Finds where the schema describes what `segments` lead to, through references and choices.
fn locate(root: &Value, at: String, segments: &[&str], depth: usize, found: &mut Vec<String>) {
    /// References that lead in a circle without a field between describe nothing.
    const DEEPEST: usize = 64;
    let (Some(schema), true) = (root.pointer(&at), depth < DEEPEST) else {
        return;
    };
    let Some((first, rest)) = segments.split_first() else {
        found.push(at);
        return;
    };
    if let Some(target) = schema["$ref"]
        .as_str()
        .and_then(|target| target.strip_prefix('#'))
    {
        locate(root, target.to_owned(), segments, depth + 1, found);
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        for index in 0..schema[choice].as_array().map_or(0, Vec::len) {
            locate(
                root,
                format!("{at}/{choice}/{index}"),
                segments,
                depth + 1,
                found,
            );
        }
    }
    let steps = match *first {
        "*" => {
            let mut steps = json_schema::values(root, &at);
            steps.push(format!("{at}/items"));
            steps
        }
        name => vec![format!("{at}/properties/{name}")],
    };
    for step in steps {
        locate(root, step, rest, depth + 1, found);
    }
}
