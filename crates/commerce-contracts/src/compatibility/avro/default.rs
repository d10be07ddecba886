//! Whether a default fits the schema of its field.

use serde_json::Value;

use super::schema::{Id, Primitive, Schema, Shape};

/// Why not, or nothing.
pub(super) fn problem(schema: &Schema, id: Id, value: &Value) -> Option<String> {
    fits(schema, id, value, &mut Vec::new()).err()
}

/// `filling` are the records whose missing fields are being filled from defaults: one inside itself would never end.
fn fits(schema: &Schema, id: Id, value: &Value, filling: &mut Vec<Id>) -> Result<(), String> {
    let node = &schema[id];
    let refuse = || {
        Err(format!(
            "{} is not a {}",
            shortened(value),
            node.shape.kind()
        ))
    };
    match &node.shape {
        Shape::Primitive(primitive) => {
            let fits = match primitive {
                Primitive::Null => value.is_null(),
                Primitive::Boolean => value.is_boolean(),
                Primitive::Int => value
                    .as_i64()
                    .is_some_and(|number| i32::try_from(number).is_ok()),
                Primitive::Long => value.as_i64().is_some(),
                Primitive::Float | Primitive::Double => value.is_number(),
                Primitive::String => value.is_string(),
                // One byte for each character.
                Primitive::Bytes => value
                    .as_str()
                    .is_some_and(|text| text.chars().all(|character| u32::from(character) < 256)),
            };
            if fits { Ok(()) } else { refuse() }
        }
        Shape::Fixed { size, .. } => {
            let fits = value.as_str().is_some_and(|text| {
                text.chars().all(|character| u32::from(character) < 256)
                    && text.chars().count() as u64 == *size
            });
            if fits { Ok(()) } else { refuse() }
        }
        Shape::Enum { symbols, .. } => {
            if value
                .as_str()
                .is_some_and(|text| symbols.iter().any(|symbol| symbol == text))
            {
                Ok(())
            } else {
                refuse()
            }
        }
        Shape::Array(items) => match value {
            Value::Array(values) => values
                .iter()
                .try_for_each(|value| fits(schema, *items, value, filling)),
            _ => refuse(),
        },
        Shape::Map(values) => match value {
            Value::Object(members) => members
                .values()
                .try_for_each(|value| fits(schema, *values, value, filling)),
            _ => refuse(),
        },
        // Since 1.12 the default may be of any branch.
        Shape::Union(branches) => {
            let mut reason = None;
            for branch in branches {
                match fits(schema, *branch, value, filling) {
                    Ok(()) => return Ok(()),
                    Err(why) => reason = reason.or(Some(why)),
                }
            }
            Err(reason.unwrap_or_default())
        }
        Shape::Record { fields, .. } => {
            let Value::Object(members) = value else {
                return refuse();
            };
            for field in fields {
                if let Some(member) = members.get(&field.name) {
                    fits(schema, field.schema, member, filling)?;
                } else if let Some(default) = &field.default {
                    if filling.contains(&id) {
                        return Err(format!(
                            "filling the field {:?} from its default would never end",
                            field.name
                        ));
                    }
                    filling.push(id);
                    let filled = fits(schema, field.schema, default, filling);
                    filling.pop();
                    filled?;
                } else {
                    return Err(format!(
                        "the field {:?} is missing and has no default",
                        field.name
                    ));
                }
            }
            Ok(())
        }
    }
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
