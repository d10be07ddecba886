//! What to do about a break, and which field it is about.

use serde_json::Value;

use crate::compatibility::{Direction, Rule};

/// The field that a pointer into a JSON Schema or Avro schema means, as a person would call it: `customer.email`, `items[].sku`.
pub(super) fn field(schema: &Value, pointer: &str) -> String {
    let mut name = String::new();
    let mut here = Some(schema);
    let mut steps = pointer
        .split('/')
        .skip(1)
        .map(|step| step.replace("~1", "/").replace("~0", "~"));
    while let Some(step) = steps.next() {
        let inside = here.and_then(|value| match value {
            Value::Array(values) => values.get(step.parse::<usize>().ok()?),
            value => value.get(&step),
        });
        here = inside;
        match step.as_str() {
            // The fields of an Avro record are a list; a record's name is told by its fields' path.
            "fields" => {
                let Some(index) = steps.next() else { break };
                here = index
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| here?.get(index));
                let called = here.and_then(|field| field.get("name")?.as_str());
                push(&mut name, called.unwrap_or(&index));
            }
            "properties" => {
                let Some(property) = steps.next() else { break };
                here = here.and_then(|properties| properties.get(&property));
                push(&mut name, &property);
            }
            "$defs" | "definitions" => {
                let Some(definition) = steps.next() else {
                    break;
                };
                here = here.and_then(|definitions| definitions.get(&definition));
                name = definition;
            }
            "items" | "prefixItems" => name.push_str("[]"),
            "additionalProperties" | "values" => name.push_str("{}"),
            _ => {}
        }
    }
    name
}

pub(super) fn push(path: &mut String, step: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(step);
}

/// Who breaks.
pub(super) fn who(direction: Direction) -> &'static str {
    match direction {
        Direction::Backward => {
            "New consumers cannot read what the recorded version writes: stored events, events in flight, producers that are not upgraded yet."
        }
        Direction::Forward => {
            "Old consumers, which run the recorded version, cannot read what new producers write."
        }
    }
}

/// What helps against this kind of break without a new version; none where nothing does.
pub(super) fn remedy(rule: Rule, direction: Direction) -> Option<&'static str> {
    use Direction::{Backward, Forward};
    Some(match (rule, direction) {
        (Rule::RequiredAttributeAdded, Backward) => {
            "a field that the recorded version may leave out has to be optional: `Option<T>`, or `#[serde(default)]`"
        }
        (Rule::RequiredAttributeAdded, Forward) => {
            "consumers of this version require the field: keep it, and always write it"
        }
        (Rule::EnumArrayNarrowed | Rule::MissingEnumSymbols, Backward) => {
            "a value that may be stored somewhere stays: keep the variant, and stop producing it"
        }
        (Rule::EnumArrayNarrowed | Rule::EnumArrayAdded, Forward) => {
            "a consumer that knows a closed list refuses what is new in it: keep the list, and put the new case into a new optional field"
        }
        (Rule::MissingEnumSymbols, Forward) => {
            "an enum reads unknown symbols only when the recorded schema has a default symbol: give new enums one from the start"
        }
        (Rule::ReaderFieldMissingDefaultValue, Backward) => {
            "a field that the recorded version does not write needs a default (`Option<T>`, or `#[serde(default)]`), or, when it was renamed, an alias"
        }
        (Rule::ReaderFieldMissingDefaultValue, Forward) => {
            "the recorded version has no default for the field, so its consumers need it: keep it"
        }
        (Rule::NameMismatch, _) => {
            "keep the recorded name of the type on the wire, or give the new one an alias"
        }
        (
            Rule::MinimumAdded
            | Rule::MinimumIncreased
            | Rule::MaximumAdded
            | Rule::MaximumDecreased
            | Rule::MinLengthAdded
            | Rule::MinLengthIncreased
            | Rule::MaxLengthAdded
            | Rule::MaxLengthDecreased
            | Rule::MinItemsAdded
            | Rule::MinItemsIncreased
            | Rule::MaxItemsAdded
            | Rule::MaxItemsDecreased
            | Rule::PatternAdded
            | Rule::PatternChanged
            | Rule::FormatAdded
            | Rule::FormatChanged
            | Rule::MultipleOfAdded
            | Rule::MultipleOfChanged,
            Backward,
        ) => {
            "what was valid stays valid: leave the schema as it is, and let producers check the tighter rule before they publish"
        }
        (Rule::AdditionalPropertiesRemoved | Rule::PropertyRemovedFromClosedContentModel, _) => {
            "leave the object open: no `#[serde(deny_unknown_fields)]`"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_become_names_of_fields() {
        for (pointer, name) in [
            ("", ""),
            (
                "/properties/customer/properties/email/format",
                "customer.email",
            ),
            ("/properties/items/items/properties/sku", "items[].sku"),
            (
                "/$defs/Money/properties/amount_minor/minimum",
                "Money.amount_minor",
            ),
            ("/properties/properties/type", "properties"),
            ("/properties/a~1b/additionalProperties", "a/b{}"),
        ] {
            assert_eq!(field(&json!({}), pointer), name, "{pointer}");
        }
        let avro = json!({"fields": [{"name": "total", "type": {"type": "record", "fields": [{"name": "amount"}]}}]});
        assert_eq!(field(&avro, "/fields/0/type/fields/0/type"), "total.amount");
    }
}
