//! What differs between two schemas, place by place.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::canonical;

/// Longer values are cut where they are shown to people.
const LONGEST: usize = 160;

/// One place where two schemas differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Edit {
    /// Where, as a JSON pointer; for an element of `required` or `enum` that of the list.
    pub pointer: String,
    /// What was there; none where something was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What is there now; none where something was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

impl fmt::Display for Edit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "the whole schema"
        } else {
            &self.pointer
        };
        match (&self.old, &self.new) {
            (None, Some(new)) => write!(formatter, "+ {place}: {}", shown(new)),
            (Some(old), None) => write!(formatter, "- {place}: {}", shown(old)),
            (Some(old), Some(new)) => {
                write!(formatter, "~ {place}: {} -> {}", shown(old), shown(new))
            }
            (None, None) => Ok(()),
        }
    }
}

fn shown(value: &Value) -> String {
    let text = canonical::compact(value);
    if text.chars().count() <= LONGEST {
        return text;
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start}…")
}

/// Everything that makes the new schema of the old one.
pub(super) fn edits(old: &Value, new: &Value) -> Vec<Edit> {
    let mut found = Vec::new();
    collect(String::new(), old, new, &mut found);
    found
}

fn collect(pointer: String, old: &Value, new: &Value, found: &mut Vec<Edit>) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let place = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                match (before.get(key), after.get(key)) {
                    (Some(old), Some(new)) => collect(place, old, new, found),
                    (old, new) => found.push(Edit {
                        pointer: place,
                        old: old.cloned(),
                        new: new.cloned(),
                    }),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if scalars(before) && scalars(after) => {
            let start = found.len();
            let missing = |from: &[Value], value: &Value| !from.contains(value);
            for value in before.iter().filter(|value| missing(after, value)) {
                found.push(Edit {
                    pointer: pointer.clone(),
                    old: Some(value.clone()),
                    new: None,
                });
            }
            for value in after.iter().filter(|value| missing(before, value)) {
                found.push(Edit {
                    pointer: pointer.clone(),
                    old: None,
                    new: Some(value.clone()),
                });
            }
            // Nothing came or went, and yet they differ: another order, or a repetition.
            if found.len() == start && before != after {
                found.push(replaced(pointer, old, new));
            }
        }
        // The fields of an Avro record: one that comes in the middle does not change those behind it.
        (Value::Array(before), Value::Array(after)) if named(before) && named(after) => {
            let start = found.len();
            let position = |list: &[Value], one: &Value| {
                list.iter().position(|other| other["name"] == one["name"])
            };
            for (index, old) in before.iter().enumerate() {
                match position(after, old) {
                    Some(now) => collect(format!("{pointer}/{now}"), old, &after[now], found),
                    None => found.push(Edit {
                        pointer: format!("{pointer}/{index}"),
                        old: Some(old.clone()),
                        new: None,
                    }),
                }
            }
            for (index, new) in after.iter().enumerate() {
                if position(before, new).is_none() {
                    found.push(Edit {
                        pointer: format!("{pointer}/{index}"),
                        old: None,
                        new: Some(new.clone()),
                    });
                }
            }
            if found.len() == start && before != after {
                found.push(replaced(pointer, old, new));
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (old, new)) in before.iter().zip(after).enumerate() {
                collect(format!("{pointer}/{index}"), old, new, found);
            }
        }
        (old, new) if old == new => {}
        (old, new) => found.push(replaced(pointer, old, new)),
    }
}

fn scalars(values: &[Value]) -> bool {
    !values
        .iter()
        .any(|value| value.is_object() || value.is_array())
}

/// Each with a name of its own.
fn named(values: &[Value]) -> bool {
    let mut names: Vec<&str> = values
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.len() == values.len()
}

fn replaced(pointer: String, old: &Value, new: &Value) -> Edit {
    Edit {
        pointer,
        old: Some(old.clone()),
        new: Some(new.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(old: &Value, new: &Value) -> Vec<String> {
        edits(old, new).iter().map(Edit::to_string).collect()
    }

    #[test]
    fn what_came_what_went_and_what_changed() {
        let old = json!({"properties": {"a": {"minimum": 1}, "b/c": {}}, "required": ["a", "b"]});
        let new = json!({"properties": {"a": {"minimum": 5}, "d": {}}, "required": ["a", "d"]});
        assert_eq!(
            lines(&old, &new),
            [
                "~ /properties/a/minimum: 1 -> 5",
                "- /properties/b~1c: {}",
                "+ /properties/d: {}",
                r#"- /required: "b""#,
                r#"+ /required: "d""#,
            ]
        );
    }

    #[test]
    fn the_order_of_values_is_a_change_and_equal_schemas_have_none() {
        let (one, other) = (json!({"enum": [1, 2]}), json!({"enum": [2, 1]}));
        assert_eq!(lines(&one, &other), ["~ /enum: [1,2] -> [2,1]"]);
        assert_eq!(lines(&one, &one), [""; 0]);
    }

    #[test]
    fn fields_of_avro_are_told_by_their_names() {
        let old = json!([{"name": "a"}, {"name": "b", "type": "int"}, {"name": "c"}]);
        let new = json!([{"name": "b", "type": "long"}, {"name": "c"}, {"name": "d"}]);
        assert_eq!(
            lines(&old, &new),
            [
                r#"- /0: {"name":"a"}"#,
                r#"~ /0/type: "int" -> "long""#,
                r#"+ /2: {"name":"d"}"#,
            ]
        );
        let turned = json!([{"name": "c"}, {"name": "b", "type": "int"}, {"name": "a"}]);
        assert_eq!(lines(&old, &turned).len(), 1);
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let shown = lines(&json!({}), &json!({"x": "ç".repeat(500)})).remove(0);
        assert!(
            shown.chars().count() < 200 && shown.ends_with('…'),
            "{shown}"
        );
    }
}
