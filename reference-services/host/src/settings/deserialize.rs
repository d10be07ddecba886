//! Reads a type from a tree and finds every mistake on the way, where serde alone would stop at the first.
//!
//! Each pass ends at its first mistake. The mistake is noted and its value left out (or, when it was missing, replaced
//! by a placeholder), and the next pass goes further. The result counts only if there was no mistake at all.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::fault::Fault;
use super::mistake::{Mistake, Origin, meant};
use super::source::{Node, PREFIX, Table, Value};

/// What was found in all passes.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) mistakes: Vec<Mistake>,
    /// Environment variables that could be set.
    pub(crate) variables: BTreeSet<String>,
    left_out: BTreeSet<String>,
    missing: BTreeSet<String>,
}

/// Reads `T` from `table`, the section called `name` (empty for the root).
pub(crate) fn read<T: DeserializeOwned>(name: &str, table: &Table) -> (Option<T>, Findings) {
    let findings = RefCell::new(Findings::default());
    let value = loop {
        let place = Place {
            path: name.to_owned(),
            origin: Origin::Nowhere,
            findings: &findings,
        };
        let fault = match T::deserialize(Tree {
            value: &Value::Table(table.clone()),
            place,
        }) {
            Ok(value) => break Some(value),
            Err(fault) => fault,
        };
        if !findings.borrow_mut().note(name, fault) {
            break None;
        }
    };
    let findings = findings.into_inner();
    (value.filter(|_| findings.mistakes.is_empty()), findings)
}

impl Findings {
    /// Notes a mistake; false when nothing new was learned, so that another pass would not either.
    fn note(&mut self, section: &str, fault: Fault) -> bool {
        let path = fault.path.unwrap_or_else(|| section.to_owned());
        if fault.missing {
            if self.left_out.contains(&path) {
                // Its value was wrong, which has been said.
                return self.missing.insert(path);
            }
            let variable = variable(&path);
            self.mistakes.push(Mistake {
                setting: path.clone(),
                wrong: format!("missing (or environment variable {variable})"),
                right: fault.right,
                origin: Origin::Nowhere,
            });
            return self.missing.insert(path);
        }
        if self.missing.contains(&path) {
            // The placeholder did not fit: the mistakes behind it stay unseen until this one is mended.
            return false;
        }
        let new = self.left_out.insert(path.clone());
        if new {
            self.mistakes.push(Mistake {
                setting: path,
                wrong: fault.wrong,
                right: fault.right,
                origin: fault.origin.map_or(Origin::Nowhere, |origin| *origin),
            });
        }
        new
    }
}

fn variable(path: &str) -> String {
    let mut parts = path.split('.');
    let mut variable = format!("{PREFIX}{}", parts.next().unwrap_or_default());
    for (depth, part) in parts.enumerate() {
        variable.push_str(if depth == 0 { "_" } else { "__" });
        variable.push_str(part);
    }
    variable.to_ascii_uppercase().replace('-', "_")
}

#[derive(Clone)]
struct Place<'a> {
    path: String,
    origin: Origin,
    findings: &'a RefCell<Findings>,
}

impl Place<'_> {
    fn child(&self, key: &str, origin: Origin) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Self {
            path,
            origin,
            findings: self.findings,
        }
    }

    /// Gives a fault its place, unless it arose further down and has one.
    fn locate<T>(&self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.map_err(|mut fault| {
            if fault.path.is_none() {
                fault.path = Some(match fault.field.take() {
                    Some(field) => self.child(field, Origin::Nowhere).path,
                    None => self.path.clone(),
                });
            }
            if fault.origin.is_none() {
                fault.origin = Some(Box::new(self.origin.clone()));
            }
            fault
        })
    }
}

struct Tree<'t, 'a> {
    value: &'t Value,
    place: Place<'a>,
}

impl Tree<'_, '_> {
    /// Text from the environment as the scalar that is wanted.
    fn parsed<T: std::str::FromStr>(&self) -> Option<T> {
        match self.value {
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    fn any<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Text(text) | Value::String(text) => visitor.visit_str(text),
            Value::Integer(integer) => visitor.visit_i64(*integer),
            Value::Float(float) => visitor.visit_f64(*float),
            Value::Boolean(boolean) => visitor.visit_bool(*boolean),
            Value::Array(nodes) => {
                let place = &self.place;
                let elements = nodes.iter().enumerate().map(|(index, node)| {
                    Element(Tree {
                        value: &node.value,
                        place: place.child(&index.to_string(), node.origin.clone()),
                    })
                });
                visitor.visit_seq(SeqDeserializer::new(elements))
            }
            Value::Table(table) => visitor.visit_map(Entries::new(table, &self.place)),
        }
    }
}

struct Element<'t, 'a>(Tree<'t, 'a>);

impl<'t, 'a> IntoDeserializer<'_, Fault> for Element<'t, 'a> {
    type Deserializer = Tree<'t, 'a>;

    fn into_deserializer(self) -> Self::Deserializer {
        self.0
    }
}

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $number:ty,)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let result = match self.parsed::<$number>() {
                Some(number) => visitor.$visit(number),
                None => self.any(visitor),
            };
            self.place.locate(result)
        }
    )*};
}

impl<'de> serde::Deserializer<'de> for Tree<'_, '_> {
    type Error = Fault;

    numbers! {
        deserialize_bool visit_bool bool,
        deserialize_i8 visit_i64 i64,
        deserialize_i16 visit_i64 i64,
        deserialize_i32 visit_i64 i64,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_i64 i64,
        deserialize_u16 visit_i64 i64,
        deserialize_u32 visit_i64 i64,
        deserialize_u64 visit_i64 i64,
        deserialize_f32 visit_f64 f64,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = self.any(visitor);
        self.place.locate(result)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let place = self.place.clone();
        place.locate(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match self.value {
            Value::Text(text) => {
                let elements = text
                    .split(',')
                    .map(|element| StringDeserializer::<Fault>::new(element.trim().to_owned()));
                visitor.visit_seq(SeqDeserializer::new(elements))
            }
            _ => self.any(visitor),
        };
        self.place.locate(result)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if let Value::Table(table) = self.value {
            refuse_unknown(table, fields, &self.place);
        }
        let result = match self.value {
            Value::Table(table) => {
                visitor.visit_map(Entries::of_struct(table, fields, &self.place))
            }
            _ => self.any(visitor),
        };
        self.place.locate(result)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let result = match self.value {
            Value::Text(text) | Value::String(text) => {
                StrDeserializer::<Fault>::new(text).deserialize_enum(name, variants, visitor)
            }
            Value::Table(table) => {
                let entries = table.iter().map(|(key, node)| {
                    let place = self.place.child(key, node.origin.clone());
                    (
                        key.as_str(),
                        Element(Tree {
                            value: &node.value,
                            place,
                        }),
                    )
                });
                serde::de::value::MapAccessDeserializer::new(MapDeserializer::new(entries))
                    .deserialize_enum(name, variants, visitor)
            }
            _ => self.any(visitor),
        };
        self.place.locate(result)
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map identifier ignored_any
    }
}

fn refuse_unknown(table: &Table, fields: &[&str], place: &Place<'_>) {
    let mut findings = place.findings.borrow_mut();
    let variables = fields
        .iter()
        .map(|field| variable(&place.child(field, Origin::Nowhere).path));
    findings.variables.extend(variables);
    for (key, node) in table
        .iter()
        .filter(|(key, _)| !fields.contains(&key.as_str()))
    {
        let setting = place.child(key, node.origin.clone()).path;
        if !findings.left_out.insert(setting.clone()) {
            continue;
        }
        let right = match meant(key, fields.iter().copied()) {
            Some(meant) => format!("`{meant}`: did you mean it?"),
            None => format!("one of {}", fields.join(", ")),
        };
        findings.mistakes.push(Mistake {
            setting,
            wrong: "there is no such setting".to_owned(),
            right: Some(right),
            origin: node.origin.clone(),
        });
    }
}

/// The entries of a table: those not left out, and a placeholder for each missing one.
struct Entries<'t, 'a> {
    place: Place<'a>,
    rest: Vec<(String, Option<&'t Node>)>,
    value: Option<(String, Option<&'t Node>)>,
}

impl<'t, 'a> Entries<'t, 'a> {
    fn new(table: &'t Table, place: &Place<'a>) -> Self {
        let findings = place.findings.borrow();
        let mut rest: Vec<_> = table
            .iter()
            .filter(|(key, _)| {
                !findings
                    .left_out
                    .contains(&place.child(key, Origin::Nowhere).path)
            })
            .map(|(key, node)| (key.clone(), Some(node)))
            .collect();
        // Taken from the end.
        rest.reverse();
        Self {
            place: place.clone(),
            rest,
            value: None,
        }
    }

    fn of_struct(table: &'t Table, fields: &[&str], place: &Place<'a>) -> Self {
        let mut entries = Self::new(table, place);
        let findings = place.findings.borrow();
        for field in fields {
            if findings
                .missing
                .contains(&place.child(field, Origin::Nowhere).path)
            {
                entries.rest.push(((*field).to_owned(), None));
            }
        }
        drop(findings);
        entries
    }
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((key, node)) = self.rest.pop() else {
            return Ok(None);
        };
        let value = seed.deserialize(StringDeserializer::<Fault>::new(key.clone()))?;
        self.value = Some((key, node));
        Ok(Some(value))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self.value.take().unwrap_or_default();
        let Some(node) = node else {
            let place = self.place.child(&key, Origin::Nowhere);
            return place.locate(seed.deserialize(Placeholder));
        };
        let place = self.place.child(&key, node.origin.clone());
        place.locate(seed.deserialize(Tree {
            value: &node.value,
            place: place.clone(),
        }))
    }
}

/// Stands for a missing value so that the mistakes behind it are found too.
struct Placeholder;

impl<'de> serde::Deserializer<'de> for Placeholder {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        // Text and URL alike.
        visitor.visit_str("http://localhost/")
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bool(false)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u64(1)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(1.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
