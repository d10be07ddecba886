//! A filter as SNS understands it.
//!
//! The policy looks into the body (`FilterPolicyScope=MessageBody`), which is the event in JSON: every attribute is there,
//! however many there are, where message attributes have room for ten. A filter that has no exact translation is not
//! translated at all; the member applies every filter anyway, so a policy only saves what would be thrown away.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::filter::{Condition, Filter, Test};

/// SNS takes no more attributes in one policy,
const MOST_ATTRIBUTES: usize = 5;
/// and no more combinations of their values.
const MOST_COMBINATIONS: usize = 150;

/// Attributes that are always text in the body.
const TEXT: [&str; 13] = [
    "id",
    "source",
    "specversion",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "partitionkey",
    "correlationid",
    "causationid",
    "traceparent",
    "tracestate",
];

/// The filter as the text of a policy; `None` where it has no exact one.
pub(super) fn policy(filter: &Filter) -> Option<String> {
    let conditions = filter.conditions();
    if conditions.is_empty() || conditions.len() > MOST_ATTRIBUTES {
        return None;
    }
    let mut policy = BTreeMap::new();
    let mut combinations = 1_usize;
    for condition in conditions {
        let values = values(condition)?;
        combinations = combinations.saturating_mul(values.len());
        // Two conditions on one attribute must both hold; in a policy either would do.
        if policy.insert(&condition.attribute, values).is_some() {
            return None;
        }
    }
    (combinations <= MOST_COMBINATIONS).then(|| json!(policy).to_string())
}

fn values(condition: &Condition) -> Option<Vec<Json>> {
    let Condition { attribute, test } = condition;
    let is_name = |name: &str| {
        let named = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        named && !name.is_empty() && name != "data"
    };
    if !is_name(attribute) {
        return None;
    }
    let is_text = TEXT.contains(&attribute.as_str());
    let values = match test {
        Test::Equals(wanted) => typed(wanted, is_text),
        Test::AnyOf(wanted) => wanted
            .iter()
            .flat_map(|wanted| typed(wanted, is_text))
            .collect(),
        // The text of a number or a boolean has a prefix; the number itself has none.
        Test::Prefix(prefix) if is_text && !prefix.is_empty() => vec![json!({ "prefix": prefix })],
        Test::Exists => vec![json!({ "exists": true })],
        Test::Prefix(_) => return None,
    };
    // Nothing passes an empty list here; SNS refuses it.
    (!values.is_empty()).then_some(values)
}

/// A text, and the boolean or number that an extension may be in JSON.
fn typed(wanted: &str, is_text: bool) -> Vec<Json> {
    let mut values = vec![json!(wanted)];
    if !is_text {
        let canonical = |number: &i32| number.to_string() == wanted;
        match (wanted, wanted.parse::<i32>().ok().filter(canonical)) {
            ("true", _) => values.push(json!(true)),
            ("false", _) => values.push(json!(false)),
            (_, Some(number)) => values.push(json!({ "numeric": ["=", number] })),
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sns_understands_is_translated() {
        let filter = Filter::new()
            .any_of("type", ["placed", "paid"])
            .prefix("subject", "br/")
            .exists("tenant")
            .equals("urgent", "true")
            .equals("retries", "3");
        let policy: Json = serde_json::from_str(&policy(&filter).unwrap()).unwrap();
        let expected = json!({
            "type": ["placed", "paid"],
            "subject": [{"prefix": "br/"}],
            "tenant": [{"exists": true}],
            "urgent": ["true", true],
            "retries": ["3", {"numeric": ["=", 3]}],
        });
        assert_eq!(policy, expected);
    }

    #[test]
    fn what_has_no_exact_translation_stays_here() {
        let many: Vec<String> = (0..151).map(|n| n.to_string()).collect();
        for filter in [
            Filter::new(),
            Filter::new().any_of("type", [] as [&str; 0]),
            Filter::new().prefix("tenant", "a"),
            Filter::new().equals("type", "a").prefix("type", "a"),
            Filter::new().equals("data", "a"),
            Filter::new().equals("Data", "a"),
            Filter::new().any_of("type", many),
            ["a", "b", "c", "d", "e", "f"]
                .into_iter()
                .fold(Filter::new(), Filter::exists),
        ] {
            assert_eq!(policy(&filter), None, "{filter:?}");
        }
    }
}
