//! What is ordered, and how many of it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::avro::AvroSchema;
use crate::commerce::Money;

/// How many: one or more.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, AvroSchema,
)]
#[serde(try_from = "u32", into = "u32")]
pub struct Quantity(u32);

/// Nothing is not a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quantity is 1 or more")]
#[non_exhaustive]
pub struct InvalidQuantity;

impl Quantity {
    /// One.
    pub const ONE: Self = Self(1);

    /// A quantity, which zero is not.
    pub const fn new(quantity: u32) -> Result<Self, InvalidQuantity> {
        match quantity {
            0 => Err(InvalidQuantity),
            _ => Ok(Self(quantity)),
        }
    }

    /// The number.
    pub const fn get(&self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Quantity {
    type Error = InvalidQuantity;

    fn try_from(quantity: u32) -> Result<Self, Self::Error> {
        Self::new(quantity)
    }
}

impl From<Quantity> for u32 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // `format: uint32` says nothing to a JSON Schema validator; bounds do.
        json_schema!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

/// The code of what is sold: 1 to 64 printable ASCII characters, spaces only between others.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, AvroSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Sku(String);

/// Not the code of anything sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a SKU is 1 to {} printable ASCII characters, with spaces only between others",
    Sku::LONGEST
)]
#[non_exhaustive]
pub struct InvalidSku;

impl Sku {
    const LONGEST: usize = 64;

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sku {
    type Error = InvalidSku;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let edges = text.starts_with(' ') || text.ends_with(' ');
        if text.is_empty() || text.len() > Self::LONGEST || !printable || edges {
            return Err(InvalidSku);
        }
        Ok(Self(text))
    }
}

impl FromStr for Sku {
    type Err = InvalidSku;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl From<Sku> for String {
    fn from(sku: Sku) -> Self {
        sku.0
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl JsonSchema for Sku {
    fn schema_name() -> Cow<'static, str> {
        "Sku".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[!-~]([ -~]{0,62}[!-~])?$" })
    }
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, AvroSchema)]
pub struct OrderItem {
    /// The code of what is ordered.
    pub sku: Sku,
    /// What the customer read.
    pub name: String,
    /// How many.
    pub quantity: Quantity,
    /// The price of one.
    pub unit_price: Money,
}

#[cfg(test)]
mod tests {
    use super::Quantity;
    #[cfg(feature = "validation")]
    use super::Sku;

    #[test]
    fn a_quantity_is_one_or_more() {
        assert!(Quantity::new(0).is_err());
        assert!(serde_json::from_str::<Quantity>("0").is_err());
        assert_eq!(
            serde_json::from_str::<Quantity>("4294967295")
                .unwrap()
                .get(),
            u32::MAX
        );
        assert_eq!(serde_json::to_string(&Quantity::ONE).unwrap(), "1");
    }

    #[test]
    #[cfg(feature = "validation")]
    fn the_schema_of_a_sku_and_its_type_agree() {
        let schema = schemars::schema_for!(Sku).to_value();
        let long = "x".repeat(64);
        let too_long = "x".repeat(65);
        for (text, good) in [
            ("A", true),
            ("ABC-1 2/x", true),
            (&*long, true),
            (&*too_long, false),
            ("", false),
            (" A", false),
            ("A ", false),
            ("A\n", false),
            ("CAFÉ", false),
            ("A\tB", false),
        ] {
            assert_eq!(text.parse::<Sku>().is_ok(), good, "{text:?}");
            assert_eq!(
                jsonschema::is_valid(&schema, &text.into()),
                good,
                "{text:?}"
            );
        }
    }
}
