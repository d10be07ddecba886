//! Where a page ends, in a form that callers pass on without reading it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A text that is no cursor of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotACursor;

/// The position after a payment.
pub(crate) fn encode(created_at: DateTime<Utc>, id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(
        [
            created_at.timestamp_micros().to_be_bytes().as_slice(),
            id.as_bytes(),
        ]
        .concat(),
    )
}

/// The position that [`encode`] wrote.
pub(crate) fn decode(cursor: &str) -> Result<(DateTime<Utc>, Uuid), NotACursor> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(NotACursor)?;
    let (micros, id) = bytes.split_first_chunk::<8>().ok_or(NotACursor)?;
    let created_at =
        DateTime::from_timestamp_micros(i64::from_be_bytes(*micros)).ok_or(NotACursor)?;
    Ok((created_at, Uuid::from_slice(id).map_err(|_| NotACursor)?))
}

#[cfg(test)]
mod tests {
    use chrono::SubsecRound as _;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_position_is_read_back() {
        let (now, id) = (Utc::now().trunc_subsecs(6), Uuid::now_v7());
        assert_eq!(decode(&encode(now, id)), Ok((now, id)));
    }

    proptest! {
        #[test]
        fn nonsense_is_refused_not_believed(text in "[a-zA-Z0-9_=. -]{0,40}") {
            if let Ok((created_at, id)) = decode(&text) {
                prop_assert_eq!(encode(created_at, id), text);
            }
        }
    }
}
