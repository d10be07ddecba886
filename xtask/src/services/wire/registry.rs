//! A schema registry, by Confluent's REST API.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::http::{self, Answer};
use super::unique;
use super::url::Url;

const MEDIA_TYPE: (&str, &str) = ("Content-Type", "application/vnd.schemaregistry.v1+json");

/// Registers a schema under a subject of its own, reads it back, and deletes it.
pub(crate) fn round_trip(url: &str) -> Result<String> {
    let base = Url::parse(url, 80)?;
    let path = match base.path.trim_end_matches('/') {
        "" => String::new(),
        path => format!("/{path}"),
    };
    let subject = format!("{path}/subjects/{}", unique("xtask-round-trip"));
    let schema =
        json!({"type": "record", "name": "RoundTrip", "doc": unique("schema"), "fields": []});
    let body = json!({"schema": schema.to_string()}).to_string();
    let ask = |method: &str, path: &str, body: &str| -> Result<Answer> {
        let answer = http::request(&base, method, path, &[MEDIA_TYPE], body)?;
        ensure!(
            answer.status == 200,
            "{method} {path} was answered with {}: {}",
            answer.status,
            answer.body
        );
        Ok(answer)
    };
    ask("POST", &format!("{subject}/versions"), &body)?;
    let read = ask("GET", &format!("{subject}/versions/1"), "");
    // Once to hide it, once for good.
    ask("DELETE", &subject, "")?;
    ask("DELETE", &format!("{subject}?permanent=true"), "")?;
    let read: Value = serde_json::from_str(&read?.body)?;
    let text = read["schema"].as_str().unwrap_or_default();
    // A registry may write the same schema in another way.
    ensure!(
        serde_json::from_str::<Value>(text).is_ok_and(|came| came == schema),
        "another schema came back: {read}"
    );
    Ok("schema registry".to_owned())
}
