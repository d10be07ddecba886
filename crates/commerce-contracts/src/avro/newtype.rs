//! The schema of a newtype that asks for a logical type, as the derive writes it.

use serde_json::{Value, json};

use super::definition::TypeSchema;
use super::logical::Logical;
use super::schema::Schema;
use super::text;

impl TypeSchema {
    /// A date or a time, on the type that it stands on.
    #[doc(hidden)]
    pub fn logical(on: &str, name: &str) -> Self {
        Self(json!({"type": on, "logicalType": name}))
    }

    /// A decimal of any size, so that its precision can grow.
    #[doc(hidden)]
    pub fn decimal(precision: u32, scale: u32) -> Self {
        Self(
            json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}),
        )
    }

    /// What the JSON of a value is as a default of this schema: Avro writes the number behind it. What does not fit becomes null, which the
    /// parser refuses with its place: the text itself could be read as the bytes of another number.
    #[doc(hidden)]
    pub fn default_of(&self, json: Value) -> Value {
        let Some(logical) = self.logical_type() else {
            return json;
        };
        let number = match &json {
            Value::String(text) => from_text(text, logical),
            Value::Number(number) => number
                .as_i128()
                .and_then(|number| from_whole(number, logical)),
            _ => None,
        };
        match (number, logical) {
            (Some(number), Logical::Decimal { .. }) => {
                let (bytes, start) = text::shortest(number);
                let characters = bytes[start..].iter().map(|byte| char::from(*byte));
                characters.collect::<String>().into()
            }
            (Some(number), _) => i64::try_from(number).map_or(Value::Null, Value::from),
            (None, _) => Value::Null,
        }
    }

    fn logical_type(&self) -> Option<Logical> {
        let schema = Schema::from_json(&self.0).ok()?;
        schema.nodes()[schema.root()].logical
    }
}

fn from_text(text: &str, logical: Logical) -> Option<i128> {
    let number = match logical {
        Logical::Decimal { precision, scale } => {
            return text::parse_decimal(text, precision, scale);
        }
        Logical::Date => text::parse_date(text),
        Logical::Time(unit) => text::parse_time(text, unit),
        Logical::Timestamp(unit) => text::parse_timestamp(text, unit),
        Logical::LocalTimestamp(unit) => text::parse_local(text, unit),
        Logical::Uuid | Logical::Duration => None,
    };
    number.map(i128::from)
}

fn from_whole(number: i128, logical: Logical) -> Option<i128> {
    let Logical::Decimal { precision, scale } = logical else {
        return Some(number);
    };
    let unscaled = number.checked_mul(10_i128.checked_pow(scale)?)?;
    text::within(unscaled, precision).then_some(unscaled)
}
