//! Random schemas.

use fastrand::Rng;
use serde_json::{Value, json};

pub(super) const FIELDS: [&str; 5] = ["a", "b", "c", "d", "e"];
pub(super) const SYMBOLS: [&str; 4] = ["A", "B", "C", "D"];
const PRIMITIVES: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];

/// Makes schemas, each named type with another name.
pub(super) struct Maker {
    named: Vec<String>,
    count: usize,
}

impl Maker {
    /// Its names end in numbers above `count`.
    pub(super) fn after(count: usize) -> Self {
        Self {
            named: Vec::new(),
            count,
        }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("n.{prefix}{}", self.count)
    }

    pub(super) fn record(&mut self, rng: &mut Rng, depth: u32) -> Value {
        let name = self.name("R");
        // Fields may refer to the record around them, through a union that ends the recursion.
        let mut fields = Vec::new();
        for field in &FIELDS[..rng.usize(1..5)] {
            let schema = if rng.u8(..10) == 0 {
                json!(["null", name])
            } else {
                self.schema(rng, depth - 1)
            };
            let mut field = json!({"name": format!("f_{field}"), "type": schema});
            if rng.u8(..3) == 0
                && let Some(default) = default(&field["type"])
            {
                field["default"] = default;
            }
            fields.push(field);
        }
        self.named.push(name.clone());
        json!({"type": "record", "name": name, "fields": fields})
    }

    pub(super) fn schema(&mut self, rng: &mut Rng, depth: u32) -> Value {
        match rng.u8(..20) {
            0 | 1 if depth > 0 => self.record(rng, depth),
            2 | 3 if depth > 0 => json!({"type": "array", "items": self.schema(rng, depth - 1)}),
            4 if depth > 0 => json!({"type": "map", "values": self.schema(rng, depth - 1)}),
            5 | 6 if depth > 0 => self.union(rng, depth),
            7 | 8 => {
                let name = self.name("E");
                self.named.push(name.clone());
                let mut schema =
                    json!({"type": "enum", "name": name, "symbols": SYMBOLS[..rng.usize(1..4)]});
                if rng.u8(..3) == 0 {
                    schema["default"] = json!("A");
                }
                schema
            }
            9 => {
                let name = self.name("F");
                self.named.push(name.clone());
                json!({"type": "fixed", "name": name, "size": rng.usize(1..4)})
            }
            10 | 11 if !self.named.is_empty() => json!(rng.choice(self.named.iter()).unwrap()),
            12 | 13 => logical(rng),
            _ => json!(rng.choice(PRIMITIVES.iter()).unwrap()),
        }
    }

    fn union(&mut self, rng: &mut Rng, depth: u32) -> Value {
        let mut branches: Vec<Value> = if rng.bool() {
            vec![json!("null")]
        } else {
            Vec::new()
        };
        for _ in 0..rng.usize(1..4) {
            let branch = self.schema(rng, depth - 1);
            if !branch.is_array() {
                branches.push(branch);
            }
        }
        if branches.is_empty() {
            json!(["null", "long"])
        } else {
            json!(branches)
        }
    }
}

pub(super) fn logical(rng: &mut Rng) -> Value {
    match rng.u8(..6) {
        0 => json!({"type": "int", "logicalType": "date"}),
        1 => json!({"type": "long", "logicalType": "timestamp-millis"}),
        2 => json!({"type": "long", "logicalType": "timestamp-micros"}),
        3 => json!({"type": "string", "logicalType": "uuid"}),
        _ => {
            json!({"type": "bytes", "logicalType": "decimal", "precision": rng.u8(4..6), "scale": rng.u8(..3)})
        }
    }
}

/// A default for the schema, where one is easily made; of a union for its first branch.
pub(super) fn default(schema: &Value) -> Option<Value> {
    Some(match schema {
        Value::String(name) => match name.as_str() {
            "null" => Value::Null,
            "boolean" => json!(true),
            "int" | "long" => json!(7),
            "float" | "double" => json!(1.5),
            "bytes" | "string" => json!("x"),
            _ => return None,
        },
        Value::Array(branches) => return default(branches.first()?),
        Value::Object(object) => match object["type"].as_str()? {
            "array" => json!([]),
            "map" => json!({}),
            "enum" => object["symbols"][0].clone(),
            "int" | "long" => json!(7),
            _ => return None,
        },
        _ => return None,
    })
}
