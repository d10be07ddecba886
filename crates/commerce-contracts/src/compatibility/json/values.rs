//! The values of an `enum` or `const`.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::number::Decimal;

/// Different values, in the order of the schema. There may be thousands, and each is looked up among thousands.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    list: Vec<Value>,
    keys: HashSet<String>,
}

impl Values {
    pub(super) fn contains(&self, value: &Value) -> bool {
        self.keys.contains(&key(value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.list.iter()
    }
}

impl FromIterator<Value> for Values {
    fn from_iter<I: IntoIterator<Item = Value>>(all: I) -> Self {
        let mut values = Self::default();
        for value in all {
            if values.keys.insert(key(&value)) {
                values.list.push(value);
            }
        }
        values
    }
}

/// A text that equal values share and different ones do not. Equal as JSON Schema has it: `1` and `1.0` are the same number, and
/// members have no order.
fn key(value: &Value) -> String {
    let mut key = String::new();
    write_key(value, &mut key);
    key
}

fn write_key(value: &Value, key: &mut String) {
    match value {
        Value::Number(number) => {
            let _ = match Decimal::of(number) {
                Some(decimal) => write!(key, "{decimal:?}"),
                None => write!(key, "{number}"),
            };
        }
        Value::Array(items) => {
            key.push('[');
            for item in items {
                write_key(item, key);
                key.push(',');
            }
            key.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            key.push('{');
            for (name, value) in sorted {
                let _ = write!(key, "{name:?}:");
                write_key(value, key);
                key.push(',');
            }
            key.push('}');
        }
        Value::String(text) => {
            let _ = write!(key, "{text:?}");
        }
        other => {
            let _ = write!(key, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_found_as_json_schema_compares_them() {
        let values: Values = [json!(1), json!("1"), json!({"a": 1.0, "b": []}), json!(1.0)]
            .into_iter()
            .collect();
        assert_eq!(values.iter().count(), 3);
        for (value, known) in [
            (json!(1.0), true),
            (json!(1e0), true),
            (json!("1"), true),
            (json!("1.0"), false),
            (json!({"b": [], "a": 1}), true),
            (json!({"a": 1, "b": {}}), false),
            (json!([1]), false),
            (json!(null), false),
            (json!("null"), false),
        ] {
            assert_eq!(values.contains(&value), known, "{value}");
        }
    }
}
