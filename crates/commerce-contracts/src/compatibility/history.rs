//! All earlier versions at once.

use serde_json::Value;

use super::json::Policy;
use super::report::Report;
use super::{Mode, avro, json};

/// The published versions of one schema, oldest first.
///
/// A transitive [`Mode`] checks against all of them, newest first, for a consumer may replay from the beginning; the other modes check
/// against the newest only.
///
/// ```
/// use commerce_contracts::compatibility::{History, Mode};
/// use serde_json::json;
///
/// let field = |default: Option<&str>| match default {
///     Some(default) => json!({"name": "channel", "type": "string", "default": default}),
///     None => json!({"name": "channel", "type": "string"}),
/// };
/// let order = |fields| json!({"type": "record", "name": "Order", "fields": fields});
///
/// let mut history = History::avro();
/// history.push("v1", order(json!([])));
/// history.push("v2", order(json!([field(Some("shop"))])));
///
/// let v3 = order(json!([field(None)])); // the default is gone
/// assert!(history.check(&v3, Mode::Backward).is_compatible()); // v2 always wrote the field
/// let report = history.check(&v3, Mode::BackwardTransitive);
/// assert_eq!(report.findings()[0].version.as_deref(), Some("v1")); // v1 never did
/// ```
#[derive(Clone, Debug)]
pub struct History {
    format: Format,
    versions: Vec<Version>,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Avro,
    Json(Policy),
}

#[derive(Clone, Debug)]
struct Version {
    name: String,
    on_write: Value,
    on_read: Option<Value>,
}

impl History {
    /// Of an Avro schema.
    pub fn avro() -> Self {
        Self {
            format: Format::Avro,
            versions: Vec::new(),
        }
    }

    /// Of a JSON Schema.
    pub fn json(policy: Policy) -> Self {
        Self {
            format: Format::Json(policy),
            versions: Vec::new(),
        }
    }

    /// Adds the next version, with the name that findings call it by.
    pub fn push(&mut self, name: impl Into<String>, schema: Value) {
        self.versions.push(Version {
            name: name.into(),
            on_write: schema,
            on_read: None,
        });
    }

    /// Adds the next version of a JSON Schema that differs between what is written and what is read. For Avro the first one counts.
    pub fn push_both(&mut self, name: impl Into<String>, on_write: Value, on_read: Value) {
        self.versions.push(Version {
            name: name.into(),
            on_write,
            on_read: Some(on_read),
        });
    }

    /// Checks a schema that is to be the next version. Without an earlier version everything is compatible.
    pub fn check<'a>(&self, new: impl Into<json::Schemas<'a>>, mode: Mode) -> Report {
        let new = new.into();
        let many = if mode.is_transitive() {
            self.versions.len()
        } else {
            1
        };
        let mut all = Vec::new();
        for version in self.versions.iter().rev().take(many) {
            let mut findings = match self.format {
                Format::Avro => avro::findings(&version.on_write, new.on_write, mode),
                Format::Json(policy) => {
                    let old = json::Schemas {
                        on_write: &version.on_write,
                        on_read: version.on_read.as_ref().unwrap_or(&version.on_write),
                    };
                    json::findings(old, new, mode, policy)
                }
            };
            for finding in &mut findings {
                finding.version = Some(version.name.clone());
            }
            all.append(&mut findings);
        }
        Report::new(all)
    }
}
