//! What this bus knows of a message that was rejected, kept beside it: in its dead letter, and again when it is redriven.

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::wire::{HISTORY, Wire};
use crate::dead_letter::{REASONS, add_reason};

/// What a message keeps free for it.
pub(super) const RESERVE: usize = 4096;
/// Its longest text; the rest of the reserve is for the attribute's name and type, and for a queue's own counting.
const LONGEST: usize = RESERVE - 256;

/// What is known of a message that was rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    pub(super) topic: String,
    pub(super) subscription: String,
    /// What SQS called the message when it was rejected.
    pub(super) position: String,
    /// The message group, where the queue has groups.
    pub(super) group: Option<String>,
    pub(super) attempts: u32,
    pub(super) reasons: Vec<String>,
    /// Microseconds since 1970, as all times here.
    pub(super) first_failed_at: i64,
    pub(super) rejected_at: i64,
    /// The place among dead letters: when it was sent for the first time, and when it was rejected for the first time.
    pub(super) order: (i64, i64),
}

impl History {
    /// What a message brings along.
    pub(super) fn of(wire: &Wire) -> Option<Self> {
        wire.text(HISTORY).and_then(Self::read)
    }

    /// A reason more, of now.
    pub(super) fn rejected(mut self, reason: &str, now: i64) -> Self {
        // Text that no queue would take in an attribute.
        let reason = reason.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
        add_reason(&mut self.reasons, reason);
        self.rejected_at = now;
        self
    }

    /// As text within the reserve, and within the room that there is: reasons are cut, the oldest go first. The rest stays,
    /// however little room there is.
    pub(super) fn written(&self, room: usize) -> String {
        let mut fitting = self.clone();
        loop {
            let text = fitting.json();
            let surplus = text.len().saturating_sub(LONGEST.min(room));
            if surplus == 0 {
                return text;
            }
            if fitting.reasons.len() > 1 {
                fitting.reasons.remove(0);
            } else if let Some(reason) = fitting.reasons.first_mut().filter(|it| !it.is_empty()) {
                // One character may have taken six in JSON.
                let kept = reason
                    .chars()
                    .count()
                    .saturating_sub(surplus.div_ceil(6).max(1));
                *reason = reason.chars().take(kept).collect();
            } else {
                return text;
            }
        }
    }

    fn json(&self) -> String {
        json!({
            "topic": self.topic,
            "subscription": self.subscription,
            "position": self.position,
            "group": self.group,
            "attempts": self.attempts,
            "reasons": self.reasons,
            "first_failed_at": self.first_failed_at,
            "rejected_at": self.rejected_at,
            "order": [self.order.0, self.order.1],
        })
        .to_string()
    }

    fn read(text: &str) -> Option<Self> {
        let json: Json = serde_json::from_str(text).ok()?;
        let text = |name: &str| json[name].as_str().map(ToOwned::to_owned);
        let reasons = json["reasons"].as_array()?.iter().take(REASONS);
        Some(Self {
            topic: text("topic")?,
            subscription: text("subscription")?,
            position: text("position")?,
            group: text("group"),
            attempts: u32::try_from(json["attempts"].as_u64()?).ok()?,
            reasons: reasons
                .map(|it| it.as_str().map(ToOwned::to_owned))
                .collect::<Option<_>>()?,
            first_failed_at: json["first_failed_at"].as_i64()?,
            rejected_at: json["rejected_at"].as_i64()?,
            order: (json["order"][0].as_i64()?, json["order"][1].as_i64()?),
        })
    }
}

/// Microseconds as a time; what is none is 1970.
pub(super) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn history() -> History {
        History {
            topic: "orders".to_owned(),
            subscription: "billing".to_owned(),
            position: "b1c0".to_owned(),
            group: Some("order-17".to_owned()),
            attempts: 3,
            first_failed_at: 5,
            order: (1, 2),
            ..History::default()
        }
    }

    #[test]
    fn it_travels_with_the_message() {
        let known = history()
            .rejected("of no use: \u{ffff}\u{1}✗", 7)
            .rejected("again", 9);
        let wire = Wire::default().with(HISTORY, known.written(usize::MAX));
        assert_eq!(History::of(&wire), Some(known.clone()));
        assert_eq!(known.reasons, ["of no use: \u{fffd}\u{1}✗", "again"]);
        assert_eq!((known.rejected_at, time(9).timestamp_micros()), (9, 9));
        assert_eq!(History::of(&Wire::default()), None);
    }

    proptest! {
        #[test]
        fn it_always_fits_and_keeps_the_newest_reason(reasons in proptest::collection::vec("\\PC{0,3000}|[\\x00-\\x1f]{0,3000}", 1..5)) {
            let mut known = history();
            for reason in &reasons {
                known = known.rejected(reason, 1);
            }
            let text = known.written(usize::MAX);
            prop_assert!(text.len() <= LONGEST);
            let read = History::read(&text).unwrap();
            let (newest, whole) = (read.reasons.last().unwrap(), known.reasons.last().unwrap());
            prop_assert!(whole.starts_with(newest.as_str()));
            prop_assert!(whole.is_empty() || !newest.is_empty());
        }

        #[test]
        fn where_there_is_little_room_the_reasons_give_way(room in 0..2000_usize, reasons in proptest::collection::vec("[a-z]{0,500}", 1..20)) {
            let mut known = history();
            for reason in &reasons {
                known = known.rejected(reason, 1);
            }
            let bare = history().rejected("", 1).written(0).len();
            let text = known.written(room);
            prop_assert!(text.len() <= room.max(bare), "{} of {room}", text.len());
            let read = History::read(&text).unwrap();
            prop_assert_eq!((read.attempts, read.first_failed_at), (3, 5));
        }

        #[test]
        fn any_text_is_read_or_not(text in "\\PC{0,200}") {
            drop(History::read(&text));
        }
    }
}
