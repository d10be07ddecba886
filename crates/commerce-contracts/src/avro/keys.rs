//! What the keys of a map are, beyond texts. Avro knows no keys but strings, and schemars does not write down what a key's type asks of
//! them unless it is a list or a pattern; so the map of a type carries it from the one place that knows the type to the JSON Schema.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The attribute of a map's schema. It is read, and not written into schemas for others.
pub(super) const KEYS: &str = "x-keys";

/// What JSON Schema says of the texts that a type is, where it says more than that they are some.
pub(super) fn rules<K: JsonSchema>() -> Option<Value> {
    /// References that lead in a circle describe nothing.
    const LONGEST: usize = 64;
    let generator = SchemaSettings::draft2020_12().into_generator();
    let root = generator.into_root_schema_for::<K>().to_value();
    let mut place = &root;
    for _ in 0..LONGEST {
        let Some(target) = place.get("$ref").and_then(Value::as_str) else {
            break;
        };
        place = root.pointer(target.strip_prefix('#')?)?;
    }
    let said = place.as_object()?;
    // Numbers are told by patterns, and lists of texts as names of properties.
    if said.get("type")? != "string" {
        return None;
    }
    let rules: Map<String, Value> = ["format", "minLength", "maxLength"]
        .into_iter()
        .filter_map(|rule| Some((rule.to_owned(), said.get(rule)?.clone())))
        .collect();
    (!rules.is_empty()).then_some(Value::Object(rules))
}
