//! The default of a field: from the JSON of the schema to Avro's binary form, which is also its check.

use serde_json::Value;

use super::schema::{Kind, Node, NodeId};
use super::wire;

/// A record whose default leaves out a field that is such a record again would never end.
pub(crate) const DEEPEST: usize = 64;

/// Values in all defaults of one schema. Defaults that fill records that fill records double with every level.
pub(crate) const MOST_VALUES: u32 = 50_000;

/// The default in binary form, or why it is none for this type; `left` is what all defaults of the schema may still hold.
pub(crate) fn encode(
    nodes: &[Node],
    node: NodeId,
    json: &Value,
    left: &mut u32,
) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    write(nodes, node, json, &mut bytes, 0, left)?;
    Ok(bytes)
}

fn write(
    nodes: &[Node],
    id: NodeId,
    json: &Value,
    out: &mut Vec<u8>,
    depth: usize,
    left: &mut u32,
) -> Result<(), String> {
    if depth > DEEPEST {
        return Err("the default never ends".to_owned());
    }
    *left = left.checked_sub(1).ok_or_else(|| {
        "all defaults of the schema, filled from each other, are too many: write fewer of them"
            .to_owned()
    })?;
    let node = &nodes[id];
    let wrong = |expected: &str| Err(format!("not a default for {}: {expected}", node.describe()));
    match (&node.kind, json) {
        (Kind::Null, Value::Null) => {}
        (Kind::Null, _) => return wrong("write null"),
        (Kind::Boolean, Value::Bool(value)) => out.push(u8::from(*value)),
        (Kind::Boolean, _) => return wrong("write true or false"),
        (Kind::Int, json) => match json.as_i64().and_then(|number| i32::try_from(number).ok()) {
            Some(number) => wire::put_long(out, i64::from(number)),
            None => return wrong("write a whole number of 32 bits"),
        },
        (Kind::Long, json) => match json.as_i64() {
            Some(number) => wire::put_long(out, number),
            None => return wrong("write a whole number of 64 bits"),
        },
        (Kind::Float, json) => match json.as_f64() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a float is what the schema asks for"
            )]
            Some(number) => out.extend((number as f32).to_le_bytes()),
            None => return wrong("write a number"),
        },
        (Kind::Double, json) => match json.as_f64() {
            Some(number) => out.extend(number.to_le_bytes()),
            None => return wrong("write a number"),
        },
        (Kind::String, Value::String(text)) => wire::put_bytes(out, text.as_bytes()),
        (Kind::String, _) => return wrong("write a text"),
        (Kind::Bytes, json) => match bytes(json) {
            Some(bytes) => wire::put_bytes(out, &bytes),
            None => return wrong(BYTES),
        },
        (Kind::Fixed(fixed), json) => match bytes(json) {
            Some(bytes) if bytes.len() == fixed.size => out.extend(bytes),
            _ => return wrong(&format!("{BYTES}, {} of them", fixed.size)),
        },
        (Kind::Enum(enumeration), json) => {
            match enumeration
                .symbols
                .iter()
                .position(|symbol| json.as_str() == Some(symbol))
            {
                Some(index) => wire::put_index(out, index),
                None => return wrong("write one of its symbols"),
            }
        }
        (Kind::Array(items), Value::Array(list)) => {
            wire::put_blocks(out, list, |item, out| {
                write(nodes, *items, item, out, depth + 1, left)
            })?;
        }
        (Kind::Array(_), _) => return wrong("write a list"),
        (Kind::Map(values), Value::Object(entries)) => {
            let entries: Vec<_> = entries.iter().collect();
            wire::put_blocks(out, &entries, |(key, value), out| {
                wire::put_bytes(out, key.as_bytes());
                write(nodes, *values, value, out, depth + 1, left)
            })?;
        }
        (Kind::Union(branches), json) => {
            let start = out.len();
            for (index, branch) in branches.iter().enumerate() {
                wire::put_index(out, index);
                if write(nodes, *branch, json, out, depth + 1, left).is_ok() {
                    return Ok(());
                }
                out.truncate(start);
            }
            return wrong("write a default for one of its branches");
        }
        (Kind::Record(record), Value::Object(values)) => {
            if let Some(stranger) = values
                .keys()
                .find(|key| record.fields.iter().all(|field| field.name != **key))
            {
                return wrong(&format!("it has no field `{stranger}`"));
            }
            for field in &record.fields {
                let value = values
                    .get(&field.name)
                    .or(field.default.as_ref().map(|default| &default.json));
                match value {
                    Some(value) => write(nodes, field.node, value, out, depth + 1, left)
                        .map_err(|reason| format!("field `{}`: {reason}", field.name))?,
                    None => return wrong(&format!("the field `{}` is missing", field.name)),
                }
            }
        }
        (Kind::Map(_) | Kind::Record(_), _) => return wrong("write an object"),
    }
    Ok(())
}

const BYTES: &str = "write the bytes as a text of the characters U+0000 to U+00FF";

fn bytes(json: &Value) -> Option<Vec<u8>> {
    json.as_str()?
        .chars()
        .map(|character| u8::try_from(u32::from(character)).ok())
        .collect()
}
