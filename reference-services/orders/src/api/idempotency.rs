//! The header `Idempotency-Key`: a request that comes again is not done again.

use commerce_host::Problem;
use http::HeaderMap;

const HEADER: &str = "idempotency-key";
const LONGEST: usize = 255;

/// 422: the key stands for another request, of another kind or with another body.
pub(super) fn key_of_another() -> Problem {
    Problem::unprocessable(
        "this Idempotency-Key was used for another request; send that request again as it was, or this one with a new key",
    )
    .kind("/problems/idempotency-key-reused")
    .title("Idempotency-Key used for another request")
}

/// The key of a request, if it has one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=LONGEST).contains(&key.len()));
    match key {
        Some(key) => Ok(Some(key)),
        None => Err(Problem::bad_request(format!(
            "Idempotency-Key must be 1 to {LONGEST} printable ASCII characters"
        ))),
    }
}
