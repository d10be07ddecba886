//! Whether a default fits the schema of its field.

use serde_json::Value;

use super::schema::Schema;
use crate::avro::default::DEEPEST;
use crate::avro::schema::{Kind, NodeId as Id};

/// Values looked at for the defaults of one schema. Defaults that fill records that fill records double with every level.
const MOST_VALUES: u32 = 20_000;

pub(super) struct Defaults<'a> {
    schema: &'a Schema,
    /// The records whose missing fields are being filled from defaults: one inside itself would never end.
    filling: Vec<Id>,
    left: u32,
    /// Values inside values around the one that is looked at.
    depth: usize,
}

impl<'a> Defaults<'a> {
    pub(super) fn of(schema: &'a Schema) -> Self {
        Self {
            schema,
            filling: Vec::new(),
            left: MOST_VALUES,
            depth: 0,
        }
    }

    /// Why the default does not fit, or nothing.
    pub(super) fn problem(&mut self, id: Id, value: &Value) -> Option<String> {
        self.filling.clear();
        self.depth = 0;
        self.fits(id, value).err()
    }

    fn fits(&mut self, id: Id, value: &Value) -> Result<(), String> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            "all defaults of the schema, filled from each other, are too many to be judged"
                .to_owned()
        })?;
        if self.depth > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        self.depth += 1;
        let fits = self.fits_here(id, value);
        self.depth -= 1;
        fits
    }

    fn fits_here(&mut self, id: Id, value: &Value) -> Result<(), String> {
        let schema = self.schema;
        let node = &schema[id];
        let refuse = || {
            Err(format!(
                "{} is not a {}",
                shortened(value),
                node.kind.name()
            ))
        };
        let fits = match &node.kind {
            Kind::Null => value.is_null(),
            Kind::Boolean => value.is_boolean(),
            Kind::Int => value
                .as_i64()
                .is_some_and(|number| i32::try_from(number).is_ok()),
            Kind::Long => value.as_i64().is_some(),
            Kind::Float | Kind::Double => value.is_number(),
            Kind::String => value.is_string(),
            Kind::Bytes => bytes(value).is_some(),
            Kind::Fixed(fixed) => bytes(value) == Some(fixed.size),
            Kind::Enum(enumeration) => value
                .as_str()
                .is_some_and(|text| enumeration.symbols.iter().any(|symbol| symbol == text)),
            Kind::Array(items) => {
                let Value::Array(values) = value else {
                    return refuse();
                };
                return values.iter().try_for_each(|value| self.fits(*items, value));
            }
            Kind::Map(values) => {
                let Value::Object(members) = value else {
                    return refuse();
                };
                return members
                    .values()
                    .try_for_each(|value| self.fits(*values, value));
            }
            // Since 1.12 it may be of any branch; older readers, and some newer ones, take it for one of the first and fail.
            Kind::Union(branches) => {
                let Some(first) = branches.first() else {
                    return refuse();
                };
                return self.fits(*first, value).map_err(|why| {
                    format!("{why} (the default of a union is of its first branch)")
                });
            }
            Kind::Record(record) => {
                let Value::Object(members) = value else {
                    return refuse();
                };
                let declared =
                    |name: &String| record.fields.iter().any(|field| field.name == *name);
                if let Some(stranger) = members.keys().find(|name| !declared(name)) {
                    return Err(format!("the record has no field {stranger:?}"));
                }
                for field in &record.fields {
                    if let Some(member) = members.get(&field.name) {
                        self.fits(field.node, member)?;
                    } else if let Some(default) = &field.default {
                        if self.filling.contains(&id) {
                            return Err(format!(
                                "filling the field {:?} from its default would never end",
                                field.name
                            ));
                        }
                        self.filling.push(id);
                        let filled = self.fits(field.node, &default.json);
                        self.filling.pop();
                        filled?;
                    } else {
                        return Err(format!(
                            "the field {:?} is missing and has no default",
                            field.name
                        ));
                    }
                }
                true
            }
        };
        if fits { Ok(()) } else { refuse() }
    }
}

/// How many bytes a text stands for: one for each character, if it can be one.
fn bytes(value: &Value) -> Option<usize> {
    let text = value.as_str()?;
    let are_bytes = text.chars().all(|character| u32::from(character) < 256);
    are_bytes.then(|| text.chars().count())
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
