//! Whether a default fits the schema of its field.

use serde_json::Value;

use super::schema::{Id, Primitive, Schema, Shape};

/// Values looked at for the defaults of one schema. Defaults that fill records that fill records double with every level.
const MOST_VALUES: u32 = 20_000;

pub(super) struct Defaults<'a> {
    schema: &'a Schema,
    /// The records whose missing fields are being filled from defaults: one inside itself would never end.
    filling: Vec<Id>,
    left: u32,
}

impl<'a> Defaults<'a> {
    pub(super) fn of(schema: &'a Schema) -> Self {
        Self {
            schema,
            filling: Vec::new(),
            left: MOST_VALUES,
        }
    }

    /// Why the default does not fit, or nothing.
    pub(super) fn problem(&mut self, id: Id, value: &Value) -> Option<String> {
        self.filling.clear();
        self.fits(id, value).err()
    }

    fn fits(&mut self, id: Id, value: &Value) -> Result<(), String> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            "all defaults of the schema, filled from each other, are too many to be judged"
                .to_owned()
        })?;
        let schema = self.schema;
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
                    Primitive::Bytes => value.as_str().is_some_and(|text| {
                        text.chars().all(|character| u32::from(character) < 256)
                    }),
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
                Value::Array(values) => {
                    values.iter().try_for_each(|value| self.fits(*items, value))
                }
                _ => refuse(),
            },
            Shape::Map(values) => match value {
                Value::Object(members) => members
                    .values()
                    .try_for_each(|value| self.fits(*values, value)),
                _ => refuse(),
            },
            // Since 1.12 it may be of any branch; older readers, and some newer ones, take it for one of the first and fail.
            Shape::Union(branches) => match branches.first() {
                Some(first) => self.fits(*first, value).map_err(|why| {
                    format!("{why} (the default of a union is of its first branch)")
                }),
                None => refuse(),
            },
            Shape::Record { fields, .. } => {
                let Value::Object(members) = value else {
                    return refuse();
                };
                for field in fields {
                    if let Some(member) = members.get(&field.name) {
                        self.fits(field.schema, member)?;
                    } else if let Some(default) = &field.default {
                        if self.filling.contains(&id) {
                            return Err(format!(
                                "filling the field {:?} from its default would never end",
                                field.name
                            ));
                        }
                        self.filling.push(id);
                        let filled = self.fits(field.schema, default);
                        self.filling.pop();
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
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
