//! OAuth clients: programs that obtain tokens for themselves.

mod routes;
mod store;

pub(crate) use self::routes::routes;
pub(crate) use self::store::credentials;

/// What a client's id looks like.
pub(crate) const CLIENT_ID_RULE: &str =
    "3 to 100 lower-case letters, digits, '-', '.' and '_', beginning with a letter or digit";

/// Whether it can be a client's id: of characters that stand for themselves in headers, forms and paths.
pub(crate) fn is_client_id(text: &str) -> bool {
    (3..=100).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte)
        })
}
