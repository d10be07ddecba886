//! Where data breaks its schema: what was expected there and what kind of value was found.

use std::fmt;

/// One place where data breaks its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Where, as a JSON pointer into the data; empty for the whole. What is missing is pointed to where it would be.
    pub pointer: String,
    /// What the schema allows there: kinds of values, limits, the names of an enumeration.
    pub expected: String,
    /// What is there: its kind, and where that matters its length. Never the value.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() {
            "the data"
        } else {
            &self.pointer
        };
        write!(
            formatter,
            "{pointer}: expected {}, found {}",
            self.expected, self.found
        )
    }
}

/// Every place where data breaks its schema (the first thousand, when there are more).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// The violations, in the order of the schema.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.0.iter()
    }

    /// How many there are: one at least.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{violation}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

#[cfg(feature = "validation")]
mod describe {
    use jsonschema::ValidationError;
    use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
    use serde_json::Value;

    use super::{Violation, Violations};

    /// More violations than this are not listed: whoever sent them has enough to do.
    const MOST: usize = 1000;
    /// More names of an enumeration, or of unknown properties, than this are not told.
    const MOST_NAMES: usize = 20;

    impl Violations {
        pub(crate) fn of<'a>(errors: impl Iterator<Item = ValidationError<'a>>) -> Self {
            let mut found = Vec::new();
            for error in errors {
                collect(&error, &mut found);
                if found.len() >= MOST {
                    found.truncate(MOST);
                    break;
                }
            }
            Self(found)
        }

        pub(crate) fn of_schema(error: &ValidationError<'_>) -> Self {
            Self(vec![Violation {
                pointer: String::new(),
                expected: "data of a contract whose schema is valid".to_owned(),
                found: format!(
                    "a contract whose own schema is not, at {}: {}",
                    error.instance_path(),
                    error.masked()
                ),
            }])
        }
    }

    fn collect(error: &ValidationError<'_>, found: &mut Vec<Violation>) {
        let pointer = error.instance_path().to_string();
        match error.kind() {
            // A choice that only one alternative comes near to is explained by that one: what may be null and is an object is
            // wrong where the object is.
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                let mut near = context
                    .iter()
                    .filter(|errors| !errors.iter().any(|inner| is_other_kind(inner, error)));
                if let (Some(only), None) = (near.next(), near.next())
                    && context.len() > 1
                {
                    for inner in only {
                        collect(inner, found);
                    }
                    return;
                }
            }
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let name = name.replace('~', "~0").replace('/', "~1");
                found.push(Violation {
                    pointer: format!("{pointer}/{name}"),
                    expected: "a value, which is required".to_owned(),
                    found: "nothing".to_owned(),
                });
                return;
            }
            _ => {}
        }
        found.push(Violation {
            pointer,
            expected: expected(error),
            found: match error.kind() {
                Kind::AdditionalProperties { unexpected }
                | Kind::UnevaluatedProperties { unexpected } => {
                    let names = unexpected.iter().map(|name| quoted(name));
                    format!("also {}", joined(names, " and "))
                }
                _ => kind_of(error.instance()),
            },
        });
    }

    /// The alternative is for another kind of value than is there.
    fn is_other_kind(inner: &ValidationError<'_>, outer: &ValidationError<'_>) -> bool {
        inner.instance_path() == outer.instance_path() && matches!(inner.kind(), Kind::Type { .. })
    }

    fn expected(error: &ValidationError<'_>) -> String {
        match error.kind() {
            Kind::Type {
                kind: TypeKind::Single(kind),
            } => named(kind.as_str()).to_owned(),
            Kind::Type {
                kind: TypeKind::Multiple(kinds),
            } => {
                let names: Vec<_> = kinds
                    .iter()
                    .map(|kind| named(kind.as_str()).to_owned())
                    .collect();
                joined(names.into_iter(), " or ")
            }
            Kind::Enum { options } => match options.as_array() {
                Some(options) => joined(options.iter().map(ToString::to_string), " or "),
                None => options.to_string(),
            },
            Kind::Constant { expected_value } => expected_value.to_string(),
            Kind::AnyOf { context }
            | Kind::OneOfNotValid { context }
            | Kind::OneOfMultipleValid { context } => alternatives(error, context),
            Kind::Minimum { limit } => format!("a number that is {limit} or more"),
            Kind::Maximum { limit } => format!("a number that is {limit} or less"),
            Kind::ExclusiveMinimum { limit } => format!("a number that is more than {limit}"),
            Kind::ExclusiveMaximum { limit } => format!("a number that is less than {limit}"),
            Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
            Kind::MinLength { limit } => {
                format!("a string of at least {}", counted(*limit, "character"))
            }
            Kind::MaxLength { limit } => {
                format!("a string of at most {}", counted(*limit, "character"))
            }
            Kind::MinItems { limit } => format!("an array of at least {}", counted(*limit, "item")),
            Kind::MaxItems { limit } => format!("an array of at most {}", counted(*limit, "item")),
            Kind::AdditionalItems { limit } => {
                format!("an array of at most {}", counted(*limit as u64, "item"))
            }
            Kind::MinProperties { limit } => format!("an object of at least {limit} properties"),
            Kind::MaxProperties { limit } => format!("an object of at most {limit} properties"),
            Kind::Pattern { pattern } => format!("a string that matches {pattern}"),
            Kind::Format { format } => format!("a string of the format {format}"),
            Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
                "no properties but those of the contract".to_owned()
            }
            Kind::UniqueItems => "an array whose items all differ".to_owned(),
            Kind::Contains => "an array with an item of the kind that must be in it".to_owned(),
            Kind::FalseSchema => "nothing: no value is allowed here".to_owned(),
            // The rest is rare and speaks of the schema; the value is masked.
            other => format!("what `{}` says ({})", other.keyword(), error.masked()),
        }
    }

    /// What the alternatives of a choice expect of this very value; those that look deeper say only that they do.
    fn alternatives(error: &ValidationError<'_>, context: &[Vec<ValidationError<'_>>]) -> String {
        let mut told: Vec<String> = Vec::new();
        for errors in context {
            let here =
                |inner: &&ValidationError<'_>| inner.instance_path() == error.instance_path();
            let name = errors
                .iter()
                .filter(here)
                .find(|inner| matches!(inner.kind(), Kind::Constant { .. } | Kind::Enum { .. }));
            let only = errors.first().filter(here).filter(|_| errors.len() == 1);
            let text = name.or(only).map_or_else(
                || "one of the alternatives of the contract".to_owned(),
                expected,
            );
            if !told.contains(&text) {
                told.push(text);
            }
        }
        if told.is_empty() {
            return "exactly one of the alternatives of the contract".to_owned();
        }
        joined(told.into_iter(), " or ")
    }

    fn joined(names: impl ExactSizeIterator<Item = String>, last: &str) -> String {
        let count = names.len();
        let mut text = String::new();
        for (index, name) in names.take(MOST_NAMES).enumerate() {
            match index {
                0 => {}
                _ if index + 1 == count => text.push_str(last),
                _ => text.push_str(", "),
            }
            text.push_str(&name);
        }
        if count > MOST_NAMES {
            text.push_str(" and ");
            text.push_str(&(count - MOST_NAMES).to_string());
            text.push_str(" more");
        }
        text
    }

    /// The name of a property, which the sender chose: cut where it is longer than names are.
    fn quoted(name: &str) -> String {
        const LONGEST: usize = 40;
        match name.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("`{}…`", &name[..end]),
            None => format!("`{name}`"),
        }
    }

    fn named(kind: &str) -> &'static str {
        match kind {
            "null" => "null",
            "boolean" => "a boolean",
            "integer" => "an integer",
            "number" => "a number",
            "string" => "a string",
            "array" => "an array",
            _ => "an object",
        }
    }

    fn kind_of(value: &Value) -> String {
        match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "a boolean".to_owned(),
            Value::Number(number) if number.is_f64() => "a number".to_owned(),
            Value::Number(_) => "an integer".to_owned(),
            Value::String(text) => {
                format!(
                    "a string of {}",
                    counted(text.chars().count() as u64, "character")
                )
            }
            Value::Array(items) => format!("an array of {}", counted(items.len() as u64, "item")),
            Value::Object(_) => "an object".to_owned(),
        }
    }

    fn counted(count: u64, what: &str) -> String {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {what}{plural}")
    }
}
