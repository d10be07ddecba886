//! Schemas that use others, in one piece: what a registry keeps apart, and a checker wants together.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Format;
use super::client::{Client, Registered};
use super::failure::RegistryFailure;
use super::naming::full_name;

/// Of one schema, counted at each place that refers to them: what refers to itself ends here as well.
const MOST_REFERENCES: usize = 256;

/// A schema and what it refers to.
struct Document {
    schema: Value,
    /// By the name that the schema has for them.
    others: BTreeMap<String, Document>,
}

/// The schema of a version, with everything that it refers to inside.
pub(super) fn resolved(
    client: &Client,
    registered: Registered,
    format: Format,
) -> Result<Value, RegistryFailure> {
    let mut left = MOST_REFERENCES;
    let too_many = RegistryFailure::References {
        subject: registered.subject.clone(),
        version: registered.version,
        most: MOST_REFERENCES,
    };
    let Some(document) = document(client, registered, &mut left)? else {
        return Err(too_many);
    };
    Ok(match format {
        Format::Avro => in_one_avro(document),
        Format::Json => in_one_json(document),
    })
}

/// None when there are too many.
fn document(
    client: &Client,
    registered: Registered,
    left: &mut usize,
) -> Result<Option<Document>, RegistryFailure> {
    let schema =
        serde_json::from_str(&registered.schema).map_err(|error| RegistryFailure::Schema {
            subject: registered.subject.clone(),
            version: registered.version,
            why: error.to_string(),
        })?;
    let mut others = BTreeMap::new();
    for reference in registered.references {
        let Some(less) = left.checked_sub(1) else {
            return Ok(None);
        };
        *left = less;
        let other = client.version(&reference.subject, reference.version)?;
        let Some(other) = document(client, other, left)? else {
            return Ok(None);
        };
        others.insert(reference.name, other);
    }
    Ok(Some(Document { schema, others }))
}

/// Each type is defined where it is first named, as Avro wants it.
fn in_one_avro(document: Document) -> Value {
    let mut definitions = BTreeMap::new();
    let Document { schema, others } = document;
    collect(others, &mut definitions);
    define(&schema, "", &mut definitions)
}

fn collect(others: BTreeMap<String, Document>, definitions: &mut BTreeMap<String, Value>) {
    for (name, Document { mut schema, others }) in others {
        collect(others, definitions);
        let name = full_name(&schema).unwrap_or(name);
        // Where it comes to stand it must not take over another namespace.
        if let Value::Object(members) = &mut schema
            && !name.contains('.')
        {
            members.insert("namespace".to_owned(), json!(""));
        }
        definitions.insert(name, schema);
    }
}

fn define(schema: &Value, namespace: &str, definitions: &mut BTreeMap<String, Value>) -> Value {
    match schema {
        Value::String(name) => {
            let full = if name.contains('.') || namespace.is_empty() {
                name.clone()
            } else {
                format!("{namespace}.{name}")
            };
            match definitions.remove(&full) {
                Some(definition) => define(&definition, "", definitions),
                None => schema.clone(),
            }
        }
        Value::Array(branches) => branches
            .iter()
            .map(|branch| define(branch, namespace, definitions))
            .collect(),
        Value::Object(members) => {
            let inside = if members.contains_key("name") {
                let own = members.get("namespace").and_then(Value::as_str);
                let name = members["name"].as_str().unwrap_or_default();
                match (name.rsplit_once('.'), own) {
                    (Some((own, _)), _) | (None, Some(own)) => own,
                    (None, None) => namespace,
                }
            } else {
                namespace
            };
            let mut copy = Map::new();
            for (key, value) in members {
                let value = match key.as_str() {
                    "type" | "items" | "values" => define(value, inside, definitions),
                    "fields" => fields(value, inside, definitions),
                    _ => value.clone(),
                };
                copy.insert(key.clone(), value);
            }
            Value::Object(copy)
        }
        other => other.clone(),
    }
}

/// A field's own name says nothing about namespaces.
fn fields(fields: &Value, namespace: &str, definitions: &mut BTreeMap<String, Value>) -> Value {
    let Value::Array(fields) = fields else {
        return fields.clone();
    };
    let field = |field: &Value| {
        let mut field = field.clone();
        if let Some(kind) = field.get_mut("type") {
            *kind = define(kind, namespace, definitions);
        }
        field
    };
    fields.iter().map(field).collect()
}

/// What is referred to becomes a definition, and references lead there.
fn in_one_json(document: Document) -> Value {
    let Document { mut schema, others } = document;
    let dialect = schema.get("$schema").cloned();
    let mut embedded = Map::new();
    let places = embed(others, dialect.as_ref(), &mut embedded);
    lead(&mut schema, "", &places);
    if let (Value::Object(members), false) = (&mut schema, embedded.is_empty()) {
        let definitions = members.entry("$defs").or_insert_with(|| json!({}));
        if let Value::Object(definitions) = definitions {
            definitions.extend(embedded);
        }
    }
    schema
}

/// Names of references, and where their schemas are now.
type Places = BTreeMap<String, String>;

fn embed(
    others: BTreeMap<String, Document>,
    dialect: Option<&Value>,
    embedded: &mut Map<String, Value>,
) -> Places {
    let mut places = Places::new();
    for (name, Document { mut schema, others }) in others {
        let inner = embed(others, dialect, embedded);
        // No schema has such a name by itself.
        let key = format!("registry-reference-{}", embedded.len());
        let place = format!("#/$defs/{key}");
        let mut own = inner;
        if let Value::Object(members) = &mut schema {
            if let Some(Value::String(id)) = members.remove("$id") {
                own.insert(id.trim_end_matches('#').to_owned(), place.clone());
            }
            // Of another dialect it stays, so that nobody takes it for something that it is not.
            if members
                .get("$schema")
                .is_none_or(|own| Some(own) == dialect)
            {
                members.remove("$schema");
            }
        }
        lead(&mut schema, &place, &own);
        embedded.insert(key, schema);
        places.insert(name, place);
    }
    places
}

/// Makes references lead to the places, and those within the document to where it is now.
fn lead(schema: &mut Value, here: &str, places: &Places) {
    match schema {
        Value::Object(members) => {
            for (keyword, value) in members {
                match (keyword.as_str(), value) {
                    ("$ref", Value::String(reference)) => {
                        if let Some(led) = target(reference, here, places) {
                            *reference = led;
                        }
                    }
                    // Data, and not schemas.
                    ("const" | "enum" | "default" | "examples", _) => {}
                    (_, value) => lead(value, here, places),
                }
            }
        }
        Value::Array(parts) => {
            for part in parts {
                lead(part, here, places);
            }
        }
        _ => {}
    }
}

fn target(reference: &str, here: &str, places: &Places) -> Option<String> {
    let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let place = if document.is_empty() {
        // In the outermost schema nothing moves.
        (!here.is_empty()).then_some(here)?
    } else {
        places.get(document)?
    };
    // An anchor has no place that could be told from outside: left as it is, it is not resolved, which is no "compatible".
    (fragment.is_empty() || fragment.starts_with('/')).then(|| format!("{place}{fragment}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(
        schema: Value,
        others: impl IntoIterator<Item = (&'static str, Document)>,
    ) -> Document {
        let others = others.into_iter();
        Document {
            schema,
            others: others
                .map(|(name, other)| (name.to_owned(), other))
                .collect(),
        }
    }

    #[test]
    fn avro_types_are_defined_where_they_are_first_named() {
        let currency = document(
            json!({"type": "enum", "name": "Currency", "symbols": ["BRL"]}),
            [],
        );
        let money = document(
            json!({"type": "record", "name": "Money", "namespace": "shop", "fields": [{"name": "in", "type": "Currency"}]}),
            [],
        );
        let order = document(
            json!({"type": "record", "name": "Order", "namespace": "shop", "fields": [
                {"name": "total", "type": "Money"},
                {"name": "freight", "type": ["null", "shop.Money"]},
            ]}),
            [("shop.Money", money), ("Currency", currency)],
        );
        // "Currency" inside of shop means shop.Currency, which nobody registered: it is left, and a parser will say so.
        assert_eq!(
            in_one_avro(order),
            json!({"type": "record", "name": "Order", "namespace": "shop", "fields": [
                {"name": "total", "type": {"type": "record", "name": "Money", "namespace": "shop", "fields": [{"name": "in", "type": "Currency"}]}},
                {"name": "freight", "type": ["null", "shop.Money"]},
            ]})
        );
        let plain = document(json!({"type": "record", "name": "Money", "fields": []}), []);
        let order = document(
            json!({"type": "record", "name": "Order", "fields": [{"name": "totals", "type": {"type": "array", "items": "Money"}}]}),
            [("Money", plain)],
        );
        let whole = in_one_avro(order);
        assert_eq!(
            whole["fields"][0]["type"]["items"],
            json!({"type": "record", "name": "Money", "namespace": "", "fields": []})
        );
        commerce_contracts::avro::Schema::from_json(&whole).unwrap();
    }

    #[test]
    fn references_of_json_schemas_lead_inside() {
        let currency = document(json!({"$id": "https://x/currency", "enum": ["BRL"]}), []);
        let money = document(
            json!({"$schema": "s", "$id": "https://x/money", "properties": {
                "in": {"$ref": "currency.json"}, "also": {"$ref": "#/$defs/A"}, "self": {"$ref": "https://x/money#/$defs/A"},
                "anchor": {"$ref": "#a"}},
                "$defs": {"A": {"const": {"$ref": "#/no"}}}}),
            [("currency.json", currency)],
        );
        let order = document(
            json!({"$schema": "s", "properties": {
                "total": {"$ref": "money.json"}, "note": {"$ref": "#/$defs/Note"}, "else": {"$ref": "other.json"},
                "deep": {"$ref": "money.json#/$defs/A"}},
                "$defs": {"Note": {}}}),
            [("money.json", money)],
        );
        assert_eq!(
            in_one_json(order),
            json!({"$schema": "s", "properties": {
                "total": {"$ref": "#/$defs/registry-reference-1"}, "note": {"$ref": "#/$defs/Note"}, "else": {"$ref": "other.json"},
                "deep": {"$ref": "#/$defs/registry-reference-1/$defs/A"}},
                "$defs": {"Note": {},
                    "registry-reference-0": {"enum": ["BRL"]},
                    "registry-reference-1": {"properties": {
                        "in": {"$ref": "#/$defs/registry-reference-0"},
                        "also": {"$ref": "#/$defs/registry-reference-1/$defs/A"},
                        "self": {"$ref": "#/$defs/registry-reference-1/$defs/A"},
                        "anchor": {"$ref": "#a"}},
                        "$defs": {"A": {"const": {"$ref": "#/no"}}}}}})
        );
    }
}
