//! What is certain about the values of `format`. Formats are taken as assertions, as the contracts of this crate are validated.

use super::number::Decimal;

/// After the name of a format that is no format of the schema's own draft.
pub(super) const LATER: &str = " (later than draft-07)";

/// Texts that have the format, known by everyone.
pub(super) fn examples(format: &str) -> &'static [&'static str] {
    match format.trim_end_matches(LATER) {
        "date" => &["2026-01-31", "1999-12-31"],
        "time" => &["13:45:30Z"],
        "date-time" => &["2026-01-31T13:45:30Z", "1999-12-31T23:59:59Z"],
        "duration" => &["P1D", "PT5M"],
        "uuid" => &[
            "0190a5f0-1111-7222-8333-444455556666",
            "00000000-0000-4000-8000-000000000000",
        ],
        "email" | "idn-email" => &["someone@example.com"],
        "hostname" | "idn-hostname" => &["example.com"],
        "ipv4" => &["192.0.2.1"],
        "ipv6" => &["2001:db8::1"],
        "uri" | "iri" => &["https://example.com/a"],
        "uri-reference" | "iri-reference" => &["https://example.com/a", "/a"],
        "uri-template" => &["https://example.com/{a}"],
        "json-pointer" => &["/a", ""],
        "relative-json-pointer" => &["0"],
        "regex" => &["^a$"],
        _ => &[],
    }
}

/// Formats that no text has two of.
const EXCLUSIVE: [&str; 9] = [
    "date",
    "time",
    "date-time",
    "duration",
    "uuid",
    "email",
    "ipv4",
    "ipv6",
    "uri",
];

/// The one of [`EXCLUSIVE`] that the format is, or widens.
fn exclusive(format: &str) -> Option<&'static str> {
    // `idn-email` is not among them: validators take nearly everything for one.
    let kind = if format == "iri" { "uri" } else { format };
    EXCLUSIVE.into_iter().find(|one| *one == kind)
}

/// Whether the text has the format; None when that is left to validators.
pub(super) fn accepts(format: &str, text: &str) -> Option<bool> {
    if examples(format).contains(&text) {
        return Some(true);
    }
    let kind = exclusive(format)?;
    // Nothing but words and spaces: no validator takes this for any of these formats.
    let words = text
        .chars()
        .all(|character| character.is_ascii_lowercase() || character == ' ');
    let has_another = || {
        EXCLUSIVE
            .iter()
            .any(|other| *other != kind && examples(other).contains(&text))
    };
    let refused = (words && (text.is_empty() || text.contains(' '))) || has_another();
    refused.then_some(false)
}

/// A text that has none of the formats of [`accepts`]' list.
pub(super) const NO_FORMAT: &str = "no such format";

/// Whether everything with one format has the other, whoever validates.
pub(super) fn implies(writer: &str, reader: &str) -> bool {
    writer == reader
        || matches!(
            (writer, reader),
            ("uri", "uri-reference") | ("iri", "iri-reference")
        )
}

/// The numbers that a format of OpenAPI allows: `int32`. They are no formats of JSON Schema, but some validators obey them.
pub(super) fn integers(format: &str) -> Option<(Decimal, Decimal)> {
    let (least, most) = match format {
        "int8" => (i128::from(i8::MIN), i128::from(i8::MAX)),
        "int16" => (i128::from(i16::MIN), i128::from(i16::MAX)),
        "int32" => (i128::from(i32::MIN), i128::from(i32::MAX)),
        "int64" => (i128::from(i64::MIN), i128::from(i64::MAX)),
        "uint8" => (0, i128::from(u8::MAX)),
        "uint16" => (0, i128::from(u16::MAX)),
        "uint32" | "uint" => (0, i128::from(u32::MAX)),
        "uint64" => (0, i128::from(u64::MAX)),
        _ => return None,
    };
    Some((Decimal::integer(least), Decimal::integer(most)))
}

/// Whether the format is about numbers, and strings have none.
pub(super) fn is_numeric(format: &str) -> bool {
    integers(format).is_some() || matches!(format, "float" | "double")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is called certain here is so for the validator that contracts are validated with.
    #[cfg(feature = "validation")]
    #[test]
    fn what_is_certain_is_what_the_validator_says() {
        let formats = [
            "date",
            "time",
            "date-time",
            "duration",
            "uuid",
            "email",
            "idn-email",
            "hostname",
            "ipv4",
            "ipv6",
            "uri",
            "iri",
            "uri-reference",
            "uri-template",
            "json-pointer",
            "relative-json-pointer",
            "regex",
        ];
        let mut texts: Vec<&str> = formats
            .iter()
            .flat_map(|one| examples(one))
            .copied()
            .collect();
        texts.extend(["", "other", NO_FORMAT]);
        for format in formats {
            let schema = serde_json::json!({"format": format});
            let validator = jsonschema::options()
                .should_validate_formats(true)
                .build(&schema)
                .unwrap();
            for text in &texts {
                if let Some(certain) = accepts(format, text) {
                    assert_eq!(
                        validator.is_valid(&(*text).into()),
                        certain,
                        "{format} {text:?}"
                    );
                }
            }
        }
    }
}
