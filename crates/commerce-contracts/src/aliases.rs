//! The earlier names of fields, `#[serde(alias = "…")]`, in the JSON Schema of what is read. Whoever describes a type to JSON Schema
//! leaves them out; serde reads by them: an old name alone as the field, and an old name beside the new one not at all.

use serde_json::{Map, Value, json};

use crate::avro::Schema;
use crate::personal::locate;

/// Declares the aliases that the Avro schema of the same type knows.
pub(crate) fn declare(on_read: &mut Value, schema: &Schema) {
    let mut found = Vec::new();
    schema.visit_aliases(&mut |place, aliases| {
        let segments: Vec<&str> = place.split('/').skip(1).collect();
        let mut fields = Vec::new();
        locate(on_read, String::new(), &segments, 0, &mut fields);
        for field in fields {
            if let Some((object, name)) = field.rsplit_once("/properties/") {
                found.push((object.to_owned(), name.to_owned(), aliases.to_owned()));
            }
        }
    });
    // A type that several fields have is described once.
    found.sort_unstable();
    found.dedup();
    for (object, name, aliases) in found {
        if let Some(Value::Object(object)) = on_read.pointer_mut(&object) {
            declare_one(object, &name, &aliases);
        }
    }
}

fn declare_one(object: &mut Map<String, Value>, name: &str, aliases: &[String]) {
    let Some(field) = object["properties"].get(name).cloned() else {
        return;
    };
    // Of a name that is another field's too, that field is told.
    let old: Vec<&String> = aliases
        .iter()
        .filter(|alias| object["properties"].get(alias.as_str()).is_none())
        .collect();
    for alias in &old {
        object["properties"][alias.as_str()] = field.clone();
        let mut others = Map::new();
        for other in aliases.iter().filter(|other| other != alias) {
            others.insert(other.clone(), false.into());
        }
        others.insert(name.to_owned(), false.into());
        let dependent = object
            .entry("dependentSchemas")
            .or_insert_with(|| json!({}));
        dependent[alias.as_str()] = json!({ "properties": others });
    }
    let required = object.get_mut("required").and_then(Value::as_array_mut);
    if let Some(required) = required
        && let Some(at) = required.iter().position(|one| one == name)
        && !old.is_empty()
    {
        required.remove(at);
        if required.is_empty() {
            object.remove("required");
        }
        let mut one_of_them = vec![json!({"required": [name]})];
        one_of_them.extend(old.iter().map(|alias| json!({"required": [alias]})));
        let all = object.entry("allOf").or_insert_with(|| json!([]));
        if let Some(all) = all.as_array_mut() {
            all.push(json!({ "anyOf": one_of_them }));
        }
    }
}
