//! Where data breaks its schema: what was expected there and what kind of value was found.

use std::fmt;

/// One place where data breaks its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Where, as a JSON pointer into the data; empty for the whole. What is missing is pointed to where it would be. A name that the schema
    /// does not know, the key of a map or a property beside those of the contract, is `*`: who sent it may have put anything there.
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

/// Every place where data breaks its schema (the first thousand, when there are more). They quote nothing of the data, neither values
/// nor keys: both can tell about a person.
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
    use std::collections::{BTreeMap, HashSet};

    use jsonschema::ValidationError;
    use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
    use jsonschema::paths::Location;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::{Violation, Violations};

    /// More violations than this are not listed: whoever sent them has enough to do.
    const MOST: usize = 1000;
    /// More names of an enumeration than this are not told.
    const MOST_NAMES: usize = 20;

    impl Violations {
        pub(crate) fn of<'a>(
            errors: impl Iterator<Item = ValidationError<'a>>,
            schema: &Value,
            data: &Value,
        ) -> Self {
            let names = Names::of(schema, data);
            let mut found = Vec::new();
            for error in errors {
                names.collect(&error, &mut found);
                if found.len() >= MOST {
                    found.truncate(MOST);
                    break;
                }
            }
            Self(found)
        }

        /// Integers that JSON can write and hardly anybody reads; None when there are none, or `json` is not JSON.
        pub(crate) fn of_wide_integers(json: &[u8], schema: &Value) -> Option<Self> {
            let mut found = Vec::new();
            let root = serde_json::from_slice(json).ok()?;
            wide_integers(
                &Names::of(schema, &Value::Null),
                String::new(),
                root,
                &mut found,
            );
            found.truncate(MOST);
            (!found.is_empty()).then_some(Self(found))
        }

        /// What the type refuses although the schema lets it through.
        pub(crate) fn of_type(
            schema: &Value,
            data: &Value,
            place: &[String],
            expected: &str,
        ) -> Self {
            let names = Names::of(schema, data);
            let (mut pointer, mut here) = (String::new(), Some(data));
            for name in place {
                let is_index = matches!(here, Some(Value::Array(_)));
                step(
                    &mut pointer,
                    if is_index { name } else { names.shown(name) },
                );
                here = here.and_then(|value| match value {
                    Value::Array(items) => items.get(name.parse::<usize>().ok()?),
                    value => value.get(name),
                });
            }
            Self(vec![Violation {
                pointer,
                expected: expected.to_owned(),
                found: here.map_or_else(|| "nothing".to_owned(), kind_of),
            }])
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

    /// The names of properties that the schema tells, wherever it does. All other names are the sender's.
    struct Names<'a> {
        told: HashSet<&'a str>,
        data: &'a Value,
    }

    impl<'a> Names<'a> {
        fn of(schema: &'a Value, data: &'a Value) -> Self {
            let mut told = HashSet::new();
            declared(schema, &mut told);
            Self { told, data }
        }

        /// The data says what is an index: a key can be of digits as well.
        fn pointer(&self, location: &Location) -> String {
            let mut pointer = String::new();
            let mut here = Some(self.data);
            for segment in location.as_str().split('/').skip(1) {
                let name = segment.replace("~1", "/").replace("~0", "~");
                if let Some(Value::Array(items)) = here {
                    let index = name.parse::<usize>().ok();
                    here = index.and_then(|index| items.get(index));
                    step(&mut pointer, if here.is_some() { &name } else { "*" });
                } else {
                    here = here.and_then(|value| value.get(&name));
                    step(&mut pointer, self.shown(&name));
                }
            }
            pointer
        }

        fn shown<'b>(&self, name: &'b str) -> &'b str {
            if self.told.contains(name) { name } else { "*" }
        }

        fn collect(&self, error: &ValidationError<'_>, found: &mut Vec<Violation>) {
            let mut pointer = self.pointer(error.instance_path());
            match error.kind() {
                // A choice that only one alternative comes near to is explained by that one: what may be null and is an object is
                // wrong where the object is.
                Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                    // A field that may stand under several names, and stands under none, is missing under its own.
                    let is_missing = |errors: &Vec<ValidationError<'_>>| matches!(&errors[..], [one] if matches!(one.kind(), Kind::Required { .. }));
                    if context.iter().all(is_missing)
                        && let Some(own) = context.first().and_then(|errors| errors.first())
                    {
                        return self.collect(own, found);
                    }
                    let mut near = context
                        .iter()
                        .filter(|errors| !errors.iter().any(|inner| is_other_kind(inner, error)));
                    if let (Some(only), None) = (near.next(), near.next())
                        && context.len() > 1
                    {
                        for inner in only {
                            self.collect(inner, found);
                        }
                        return;
                    }
                }
                Kind::Required { property } => {
                    // The name is the schema's.
                    step(&mut pointer, property.as_str().unwrap_or_default());
                    found.push(Violation {
                        pointer,
                        expected: "a value, which is required".to_owned(),
                        found: "nothing".to_owned(),
                    });
                    return;
                }
                _ => {}
            }
            let violation = Violation {
                pointer,
                expected: expected(error),
                found: match error.kind() {
                    Kind::AdditionalProperties { unexpected }
                    | Kind::UnevaluatedProperties { unexpected } => match unexpected.len() {
                        1 => "1 other property".to_owned(),
                        count => format!("{count} other properties"),
                    },
                    Kind::UnevaluatedItems { unexpected } => {
                        format!("{} more", counted(unexpected.len() as u64, "item"))
                    }
                    Kind::PropertyNames { error } => {
                        format!("a name that is {}", kind_of(error.instance()))
                    }
                    _ => kind_of(error.instance()),
                },
            };
            // Without their keys, the entries of a map are wrong in one and the same way.
            if found.last() != Some(&violation) {
                found.push(violation);
            }
        }
    }

    fn declared<'a>(schema: &'a Value, names: &mut HashSet<&'a str>) {
        match schema {
            Value::Object(members) => {
                for (keyword, value) in members {
                    match (keyword.as_str(), value) {
                        ("properties", Value::Object(properties)) => {
                            names.extend(properties.keys().map(String::as_str));
                        }
                        ("required", Value::Array(required)) => {
                            names.extend(required.iter().filter_map(Value::as_str));
                        }
                        _ => {}
                    }
                    declared(value, names);
                }
            }
            Value::Array(parts) => {
                for part in parts {
                    declared(part, names);
                }
            }
            _ => {}
        }
    }

    fn step(pointer: &mut String, name: &str) {
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }

    fn wide_integers(
        names: &Names<'_>,
        pointer: String,
        json: &RawValue,
        found: &mut Vec<Violation>,
    ) {
        let inside = |name: &str| {
            let mut pointer = pointer.clone();
            step(&mut pointer, name);
            pointer
        };
        match json.get().as_bytes().first() {
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> =
                    serde_json::from_str(json.get()).unwrap_or_default();
                for (name, value) in members {
                    wide_integers(names, inside(names.shown(&name)), value, found);
                }
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(json.get()).unwrap_or_default();
                for (index, value) in items.into_iter().enumerate() {
                    wide_integers(names, inside(&index.to_string()), value, found);
                }
            }
            Some(b'-' | b'0'..=b'9') => {
                let digits = json.get();
                let is_integer = !digits.contains(['.', 'e', 'E']);
                if is_integer && digits.parse::<i64>().is_err() && digits.parse::<u64>().is_err() {
                    found.push(Violation {
                        pointer,
                        expected: "an integer of at most 64 bits, which every language reads, or its digits as a string".to_owned(),
                        found: "an integer of more than 64 bits".to_owned(),
                    });
                }
            }
            _ => {}
        }
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
            Kind::UnevaluatedItems { .. } => "no items but those of the contract".to_owned(),
            Kind::PropertyNames { error } => {
                format!("properties whose name is {}", expected(error))
            }
            // The rest is rare, and what the validator says about it may quote the data.
            other => format!("what `{}` in the contract says", other.keyword()),
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
