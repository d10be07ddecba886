//! What is asked of a text, in forms that can be seen in the text itself.

use serde_json::{Map, Value};

/// What texts a part of the schema takes.
pub(super) enum Texts {
    /// One of these.
    OneOf(Vec<String>),
    Like {
        format: Option<Format>,
        /// In characters.
        min: usize,
        max: usize,
    },
}

/// The formats whose texts a type writes in one form. Others of a format's texts may be valid as well: that is the validator's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Uuid,
    Date,
    DateTime,
}

impl Texts {
    /// From the rules of a schema, without what says nothing; None where it asks for anything else.
    pub(super) fn of(rules: &Map<String, Value>) -> Option<Self> {
        if rules.get("type").is_some_and(|kind| kind != "string") {
            return None;
        }
        if let Some(choices) = choices(rules) {
            return Some(Self::OneOf(choices));
        }
        rules.get("type")?;
        let known = |keyword: &String| {
            ["type", "format", "minLength", "maxLength"].contains(&keyword.as_str())
        };
        if !rules.keys().all(known) {
            return None;
        }
        let format = match rules.get("format").map(|format| format.as_str()) {
            None => None,
            Some(Some("uuid")) => Some(Format::Uuid),
            Some(Some("date")) => Some(Format::Date),
            Some(Some("date-time")) => Some(Format::DateTime),
            Some(_) => return None,
        };
        let limit = |keyword: &str, none: usize| match rules.get(keyword) {
            None => Some(none),
            Some(limit) => limit.as_u64().and_then(|limit| usize::try_from(limit).ok()),
        };
        Some(Self::Like {
            format,
            min: limit("minLength", 0)?,
            max: limit("maxLength", usize::MAX)?,
        })
    }

    /// Whether the text is valid for sure.
    pub(super) fn accept(&self, text: &str) -> bool {
        match self {
            Self::OneOf(choices) => choices.iter().any(|choice| choice == text),
            Self::Like { format, min, max } => {
                let is_limited = *min > 0 || *max < usize::MAX;
                format.is_none_or(|format| format.accepts(text))
                    && (!is_limited || (*min..=*max).contains(&text.chars().count()))
            }
        }
    }
}

/// The texts of a closed list, however schemars wrote it: `enum`, `const`, or `oneOf` with one description each.
fn choices(rules: &Map<String, Value>) -> Option<Vec<String>> {
    let mut rest = rules.keys().filter(|keyword| *keyword != "type");
    let (keyword, None) = (rest.next()?, rest.next()) else {
        return None;
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match (keyword.as_str(), &rules[keyword]) {
        ("const", one) => Some(vec![text(one)?]),
        ("enum", Value::Array(all)) => all.iter().map(text).collect(),
        ("oneOf", Value::Array(branches)) => {
            let mut all = Vec::new();
            for branch in branches {
                let mut branch = branch.as_object()?.clone();
                branch.retain(|keyword, _| !super::is_annotation(keyword));
                if branch.get("type").is_some_and(|kind| kind != "string") {
                    return None;
                }
                all.extend(choices(&branch)?);
            }
            // Valid by exactly one branch: what two of them have is valid by none.
            let is_distinct = (1..all.len()).all(|index| !all[..index].contains(&all[index]));
            is_distinct.then_some(all)
        }
        _ => None,
    }
}

impl Format {
    fn accepts(self, text: &str) -> bool {
        let bytes = text.as_bytes();
        match self {
            Self::Uuid => {
                bytes.len() == 36
                    && bytes.iter().enumerate().all(|(place, byte)| match place {
                        8 | 13 | 18 | 23 => *byte == b'-',
                        _ => byte.is_ascii_hexdigit(),
                    })
            }
            Self::Date => is_date(bytes),
            Self::DateTime => bytes
                .split_at_checked(10)
                .is_some_and(|(date, time)| is_date(date) && is_time(time)),
        }
    }
}

/// `2026-01-31`.
fn is_date(bytes: &[u8]) -> bool {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = bytes else {
        return false;
    };
    let (Some(century), Some(year), Some(month), Some(day)) = (
        number(*y0, *y1),
        number(*y2, *y3),
        number(*m0, *m1),
        number(*d0, *d1),
    ) else {
        return false;
    };
    let year = century * 100 + year;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// `T13:45:30.25Z`, or with an offset. Leap seconds are left to the validator.
fn is_time(bytes: &[u8]) -> bool {
    let [b'T', h0, h1, b':', m0, m1, b':', s0, s1, rest @ ..] = bytes else {
        return false;
    };
    let rest = match rest {
        [b'.', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &rest[digits..]
        }
        rest => rest,
    };
    let is_at = |high: u8, low: u8, below: u32| number(high, low).is_some_and(|it| it < below);
    let is_offset = match rest {
        [b'Z'] => true,
        [b'+' | b'-', h0, h1, b':', m0, m1] => is_at(*h0, *h1, 24) && is_at(*m0, *m1, 60),
        _ => false,
    };
    is_offset && is_at(*h0, *h1, 24) && is_at(*m0, *m1, 60) && is_at(*s0, *s1, 60)
}

fn number(high: u8, low: u8) -> Option<u32> {
    let digit = |byte: u8| char::from(byte).to_digit(10);
    Some(digit(high)? * 10 + digit(low)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn texts(schema: &Value) -> Option<Texts> {
        Texts::of(schema.as_object().unwrap())
    }

    #[test]
    fn what_asks_for_more_is_left_to_the_validator() {
        for schema in [
            json!({"type": "string", "pattern": "a"}),
            json!({"type": "string", "format": "email"}),
            json!({"type": "string", "enum": ["a"], "minLength": 2}),
            json!({"enum": ["a", null]}),
            json!({"enum": ["a", 1]}),
            json!({"minLength": 1}),
            json!({"type": "string", "minLength": 1.5}),
            json!({"oneOf": [{"const": "a"}, {"enum": ["b", "a"]}]}),
            json!({"oneOf": [{"const": "a"}, {"const": "b", "minLength": 2}]}),
            json!({"oneOf": [{"const": "a"}, {"type": "integer", "const": "b"}]}),
        ] {
            assert!(texts(&schema).is_none(), "{schema}");
        }
        let all = json!({"type": "string", "oneOf": [{"const": "a", "description": "A."}, {"type": "string", "enum": ["b", "c"]}]});
        let all = texts(&all).unwrap();
        assert!(["a", "b", "c"].iter().all(|one| all.accept(one)) && !all.accept("d"));
    }

    #[test]
    fn what_types_write_is_seen_at_once() {
        let is_seen = |format: &str, text: &str| {
            texts(&json!({"type": "string", "format": format}))
                .unwrap()
                .accept(text)
        };
        assert!(is_seen("uuid", "0190a5f0-1111-7222-8333-444455556666"));
        assert!(is_seen("date", "2024-02-29") && !is_seen("date", "2026-02-29"));
        for text in [
            "2026-11-22T07:24:10Z",
            "2026-11-22T07:24:10.123456789+05:30",
        ] {
            assert!(is_seen("date-time", text), "{text}");
        }
        let short = texts(&json!({"type": "string", "minLength": 1, "maxLength": 2})).unwrap();
        assert!(short.accept("éé") && !short.accept("") && !short.accept("ééé"));
    }

    /// Texts that nearly are of a format, and often are.
    fn nearly() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "[0-9a-g]{7,8}-?[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4,5}-[0-9a-f]{11,12}",
            "[0-9]{4}-[01][0-9]-[0-3][0-9]",
            "[0-9]{4}-(0[1-9]|1[0-3])-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,9})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])?",
            "[0-9]{3}[0-9é]-02-(28|29|30)T23:59:(59|60)(Z|[+-](23|24):(59|60))",
        ]
    }

    #[test]
    fn what_is_accepted_is_valid() {
        let formats = ["uuid", "date", "date-time"].map(|format| {
            let schema = json!({"type": "string", "format": format});
            (
                crate::contract::compile(&schema).unwrap(),
                texts(&schema).unwrap(),
            )
        });
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(4_000));
        let accepted = std::cell::Cell::new(0);
        runner
            .run(&nearly(), |text| {
                for (validator, texts) in &formats {
                    if texts.accept(&text) {
                        accepted.set(accepted.get() + 1);
                        prop_assert!(validator.is_valid(&text.as_str().into()), "{}", text);
                    }
                }
                Ok(())
            })
            .unwrap();
        assert!(accepted.get() > 400, "{} accepted", accepted.get());
    }
}
