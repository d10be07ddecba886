//! Logical types: what a value means beyond its bytes.

use serde_json::{Map, Value};

use super::schema::Kind;

/// A logical type of specification 1.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logical {
    /// `unscaled × 10^-scale`, two's complement, on `bytes` or `fixed`.
    Decimal {
        precision: u32,
        scale: u32,
    },
    /// On `string`, or on `fixed` of 16 bytes.
    Uuid,
    Date,
    Time(Unit),
    Timestamp(Unit),
    LocalTimestamp(Unit),
    /// Months, days and milliseconds, on `fixed` of 12 bytes.
    Duration,
}

/// How finely time is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Millis => "millis",
            Self::Micros => "micros",
            Self::Nanos => "nanos",
        }
    }

    pub(crate) const fn per_second(self) -> i64 {
        match self {
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }
}

impl Logical {
    /// The logical type that a schema's object names, when it fits what it is on. The specification says to ignore any other.
    pub(crate) fn read(object: &Map<String, Value>, kind: &Kind) -> Option<Self> {
        let found = match (object.get("logicalType")?.as_str()?, kind) {
            ("decimal", Kind::Bytes | Kind::Fixed(_)) => {
                let number = |key: &str| {
                    object
                        .get(key)
                        .map(|value| value.as_u64().and_then(|number| u32::try_from(number).ok()))
                };
                let precision = number("precision")??;
                let scale = number("scale").unwrap_or(Some(0))?;
                let fits = match kind {
                    Kind::Fixed(fixed) => precision <= digits(fixed.size),
                    _ => true,
                };
                if precision == 0 || scale > precision || !fits {
                    return None;
                }
                Self::Decimal { precision, scale }
            }
            ("uuid", Kind::String) => Self::Uuid,
            ("uuid", Kind::Fixed(fixed)) if fixed.size == 16 => Self::Uuid,
            ("date", Kind::Int) => Self::Date,
            ("time-millis", Kind::Int) => Self::Time(Unit::Millis),
            ("time-micros", Kind::Long) => Self::Time(Unit::Micros),
            ("timestamp-millis", Kind::Long) => Self::Timestamp(Unit::Millis),
            ("timestamp-micros", Kind::Long) => Self::Timestamp(Unit::Micros),
            ("timestamp-nanos", Kind::Long) => Self::Timestamp(Unit::Nanos),
            ("local-timestamp-millis", Kind::Long) => Self::LocalTimestamp(Unit::Millis),
            ("local-timestamp-micros", Kind::Long) => Self::LocalTimestamp(Unit::Micros),
            ("local-timestamp-nanos", Kind::Long) => Self::LocalTimestamp(Unit::Nanos),
            ("duration", Kind::Fixed(fixed)) if fixed.size == 12 => Self::Duration,
            _ => return None,
        };
        Some(found)
    }

    /// The name, as a schema writes it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Decimal { .. } => "decimal".to_owned(),
            Self::Uuid => "uuid".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Time(unit) => format!("time-{}", unit.name()),
            Self::Timestamp(unit) => format!("timestamp-{}", unit.name()),
            Self::LocalTimestamp(unit) => format!("local-timestamp-{}", unit.name()),
            Self::Duration => "duration".to_owned(),
        }
    }

    /// What it is, for messages.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
            _ => self.name(),
        }
    }

    /// Writes the attributes into a schema's object.
    pub(crate) fn write(self, object: &mut Map<String, Value>) {
        object.insert("logicalType".to_owned(), self.name().into());
        if let Self::Decimal { precision, scale } = self {
            object.insert("precision".to_owned(), precision.into());
            object.insert("scale".to_owned(), scale.into());
        }
    }
}

/// The names of the specification, which stand in the way of no other meaning: where one does not fit, it is ignored.
const KNOWN: [&str; 12] = [
    "decimal",
    "uuid",
    "date",
    "time-millis",
    "time-micros",
    "timestamp-millis",
    "timestamp-micros",
    "timestamp-nanos",
    "local-timestamp-millis",
    "local-timestamp-micros",
    "local-timestamp-nanos",
    "duration",
];

/// A logical type that is none of those that are read here. Values are read without it; others may know what it means.
pub(crate) fn foreign(object: &Map<String, Value>) -> Option<String> {
    let name = object.get("logicalType")?.as_str()?;
    (!KNOWN.contains(&name)).then(|| name.to_owned())
}

/// How many decimal digits always fit into so many bytes of two's complement: `floor(log10(2^(8·size - 1) - 1))`.
fn digits(size: usize) -> u32 {
    // log10(2) as a fraction that is a little too small: rounding down never claims a digit that does not fit.
    let bits = (size as u64).saturating_mul(8).saturating_sub(1);
    u32::try_from(u128::from(bits) * 30_102_999_566 / 100_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn digits_are_those_that_always_fit() {
        for (size, expected) in [(0, 0), (1, 2), (2, 4), (4, 9), (8, 18), (16, 38)] {
            assert_eq!(digits(size), expected, "{size}");
        }
    }
}
