//! Resolution of values by the text of the specification.

use std::collections::HashMap;

use apache_avro::types::Value as Datum;
use serde_json::{Value, json};

use super::{kind, resolved};

/// Resolution of values by the text of the specification.
pub(super) struct Specification<'a> {
    pub(super) writer: &'a HashMap<String, &'a Value>,
    pub(super) reader: &'a HashMap<String, &'a Value>,
}

impl<'a> Specification<'a> {
    pub(super) fn read(
        &self,
        datum: &Datum,
        writer: &'a Value,
        reader: &'a Value,
    ) -> Result<(), String> {
        let (from, to) = (resolved(writer, self.writer), resolved(reader, self.reader));
        if let (Value::Array(branches), Datum::Union(at, inner)) = (from, datum) {
            return self.read(inner, &branches[*at as usize], to);
        }
        if let Value::Array(branches) = to {
            // The first that matches, or the one that is the same; whichever a reader takes must do.
            let matching: Vec<&Value> = branches
                .iter()
                .filter(|branch| self.matches(from, branch))
                .collect();
            let same = matching
                .iter()
                .find(|branch| kind(resolved(branch, self.reader)) == kind(from));
            let first = matching
                .first()
                .ok_or_else(|| format!("no branch of {to} matches {from}"))?;
            self.read(datum, from, first)?;
            return same.map_or(Ok(()), |same| self.read(datum, from, same));
        }
        if !self.matches(from, to) {
            return Err(format!("{from} does not match {to}"));
        }
        for meaning in ["logicalType", "precision", "scale"] {
            if from.get(meaning) != to.get(meaning) {
                return Err(format!("{from} means something else than {to}"));
            }
        }
        match (kind(from), datum) {
            ("bytes", Datum::Bytes(bytes)) if kind(to) == "string" => std::str::from_utf8(bytes)
                .map(drop)
                .map_err(|error| error.to_string()),
            ("enum", Datum::Enum(_, symbol)) => {
                let known = to["symbols"].as_array().unwrap().contains(&json!(symbol))
                    || to.get("default").is_some();
                known
                    .then_some(())
                    .ok_or_else(|| format!("{symbol} is not in {to}"))
            }
            ("array", Datum::Array(items)) => items
                .iter()
                .try_for_each(|item| self.read(item, &from["items"], &to["items"])),
            ("map", Datum::Map(values)) => values
                .values()
                .try_for_each(|value| self.read(value, &from["values"], &to["values"])),
            ("record", Datum::Record(values)) => {
                let written = from["fields"].as_array().unwrap();
                for field in to["fields"].as_array().unwrap() {
                    let feeds = |source: &&Value| {
                        source["name"] == field["name"]
                            || field
                                .get("aliases")
                                .and_then(Value::as_array)
                                .is_some_and(|aliases| aliases.contains(&source["name"]))
                    };
                    let sources: Vec<&Value> = written.iter().filter(feeds).collect();
                    match sources[..] {
                        [source] => {
                            let name = source["name"].as_str().unwrap();
                            let value = &values.iter().find(|(field, _)| field == name).unwrap().1;
                            self.read(value, &source["type"], &field["type"])?;
                        }
                        [] if field.get("default").is_some() => {}
                        _ => {
                            return Err(format!(
                                "the field {field} has {} sources and no default",
                                sources.len()
                            ));
                        }
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn matches(&self, writer: &Value, reader: &Value) -> bool {
        let (from, to) = (resolved(writer, self.writer), resolved(reader, self.reader));
        match (kind(from), kind(to)) {
            ("union", _) | (_, "union") => true,
            ("array", "array") => self.matches(&from["items"], &to["items"]),
            ("map", "map") => self.matches(&from["values"], &to["values"]),
            ("record", "record") | ("enum", "enum") => same_name(from, to),
            ("fixed", "fixed") => same_name(from, to) && from["size"] == to["size"],
            (one, other) if one == other => true,
            ("int", "long" | "float" | "double")
            | ("long", "float" | "double")
            | ("float", "double")
            | ("string", "bytes")
            | ("bytes", "string") => true,
            _ => false,
        }
    }
}

fn same_name(writer: &Value, reader: &Value) -> bool {
    let short = |schema: &Value| {
        schema["name"]
            .as_str()
            .unwrap()
            .rsplit('.')
            .next()
            .unwrap()
            .to_owned()
    };
    short(writer) == short(reader)
        || reader
            .get("aliases")
            .and_then(Value::as_array)
            .is_some_and(|aliases| aliases.contains(&writer["name"]))
}
