//! Where a page ends, as a text that callers pass on without reading it.

use chrono::DateTime;
use uuid::Uuid;

use crate::store::Position;

/// Hexadecimal: 16 digits of microseconds, 32 of the id.
pub(super) fn encode(position: Position) -> String {
    format!(
        "{:016x}{}",
        position.created_at.timestamp_micros(),
        position.order_id.simple()
    )
}

/// The position that [`encode`] wrote; None for any other text.
pub(super) fn decode(cursor: &str) -> Option<Position> {
    if cursor.len() != 48
        || !cursor
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    {
        return None;
    }
    let (micros, id) = cursor.split_at(16);
    let created_at = DateTime::from_timestamp_micros(i64::from_str_radix(micros, 16).ok()?)?;
    Some(Position {
        created_at,
        order_id: Uuid::try_parse(id).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_position_is_read_back(micros in 0_i64..253_402_300_799_000_000, id: u128) {
            let created_at = DateTime::from_timestamp_micros(micros).unwrap();
            let position = Position { created_at, order_id: Uuid::from_u128(id) };
            prop_assert_eq!(decode(&encode(position)), Some(position));
        }

        #[test]
        fn other_texts_are_refused_or_mean_themselves(text in ".{0,60}|[0-9a-f]{48}") {
            if let Some(position) = decode(&text) {
                prop_assert_eq!(encode(position), text);
            }
        }
    }
}
