//! What happened to a message before: it travels in headers when the message leaves the queue and comes back.

use chrono::{DateTime, SecondsFormat, Utc};
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};

use super::headers::{is_brokers_own, long, text};
use crate::dead_letter::REASONS;

const ATTEMPTS: &str = "commerce-attempts";
const FIRST_SEEN: &str = "commerce-first-seen";
const FIRST_FAILED: &str = "commerce-first-failed";
const REASONS_GIVEN: &str = "commerce-reasons";
/// The rest of what only dead letters have.
pub(super) const DEAD_LETTER: &str = "commerce-dead-letter-";

/// What happened to a message before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    /// Deliveries.
    pub(super) attempts: u32,
    /// When the subscription was first given it.
    pub(super) first_seen_at: Option<DateTime<Utc>>,
    /// When an attempt first failed.
    pub(super) first_failed_at: Option<DateTime<Utc>>,
    /// Why it was rejected, each time it was.
    pub(super) reasons: Vec<String>,
}

impl Trail {
    /// Foreign values are as good as none.
    pub(super) fn read(headers: &FieldTable) -> Self {
        let headers = headers.inner();
        let time = |name| {
            let time = text(headers.get(name)?)?;
            DateTime::parse_from_rfc3339(&time)
                .ok()
                .map(|time| time.to_utc())
        };
        let attempts = headers.get(ATTEMPTS).and_then(text);
        let reasons = match headers.get(REASONS_GIVEN) {
            Some(AMQPValue::FieldArray(reasons)) => reasons.as_slice(),
            _ => &[],
        };
        let surplus = reasons.len().saturating_sub(REASONS);
        Self {
            attempts: attempts
                .and_then(|attempts| attempts.parse().ok())
                .unwrap_or_default(),
            first_seen_at: time(FIRST_SEEN),
            first_failed_at: time(FIRST_FAILED),
            reasons: reasons.iter().skip(surplus).filter_map(text).collect(),
        }
    }

    /// Adds what there is.
    pub(super) fn write(&self, headers: &mut FieldTable) {
        let mut insert = |name: &str, value| {
            headers.insert(ShortString::from(name), value);
        };
        if self.attempts > 0 {
            insert(ATTEMPTS, AMQPValue::LongLongInt(self.attempts.into()));
        }
        for (name, time) in [
            (FIRST_SEEN, self.first_seen_at),
            (FIRST_FAILED, self.first_failed_at),
        ] {
            if let Some(time) = time {
                insert(name, long(time_text(time)));
            }
        }
        if !self.reasons.is_empty() {
            let reasons = self.reasons.iter().map(|reason| long(reason.as_str()));
            let reasons = FieldArray::from(reasons.collect::<Vec<_>>());
            insert(REASONS_GIVEN, AMQPValue::FieldArray(reasons));
        }
    }
}

pub(super) fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// The headers that the message was published with.
pub(super) fn without_trail(headers: &FieldTable) -> FieldTable {
    let mut original = FieldTable::default();
    for (name, value) in headers.inner() {
        if !is_trail(name.as_str()) {
            original.insert(name.clone(), value.clone());
        }
    }
    original
}

/// Whether a header was added on the way.
pub(super) fn is_trail(name: &str) -> bool {
    [ATTEMPTS, FIRST_SEEN, FIRST_FAILED, REASONS_GIVEN].contains(&name)
        || name.starts_with(DEAD_LETTER)
        || is_brokers_own(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_comes_back_as_it_went_and_leaves_the_rest_alone() {
        let now = Utc::now();
        let trail = Trail {
            attempts: 4,
            first_seen_at: Some(now),
            first_failed_at: None,
            reasons: vec!["one".to_owned(), String::new(), "three".to_owned()],
        };
        let mut headers = FieldTable::default();
        headers.insert("own".into(), long("1"));
        let own = headers.clone();
        trail.write(&mut headers);
        assert_eq!(Trail::read(&headers), trail);
        assert_eq!(without_trail(&headers), own);
    }

    #[test]
    fn foreign_values_are_as_good_as_none() {
        let mut headers = FieldTable::default();
        headers.insert(ATTEMPTS.into(), long("many"));
        headers.insert(FIRST_SEEN.into(), AMQPValue::Void);
        headers.insert(FIRST_FAILED.into(), long("yesterday"));
        headers.insert(REASONS_GIVEN.into(), long("because"));
        assert_eq!(Trail::read(&headers), Trail::default());
    }
}
