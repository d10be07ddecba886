//! Why a token was refused.

/// Why a token was refused.
///
/// The text is for logs. It names the rule, never the token's content; and what a caller gets to read over HTTP is less
/// still: the error codes of RFC 6750 and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// Longer than 16 KiB.
    #[error("the token is longer than {} bytes", crate::token::MAX_LENGTH)]
    TooLong,
    /// Not a compact JWS: three parts of unpadded base64url, the first two being JSON objects of unique members.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// The signature algorithm is not on the list.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// Not an access token (`typ` other than `at+jwt`): an ID token, for instance, or something else signed with the same key.
    #[error("the token is not an access token (typ at+jwt)")]
    Type,
    /// The header asks for an extension (`crit`, `b64`, `cty`, `zip`) that nobody here understands.
    #[error("the token's header asks for {0:?}, which is not supported")]
    Extension(&'static str),
    /// A claim is missing.
    #[error("the claim {0:?} is missing")]
    MissingClaim(&'static str),
    /// A claim has the wrong form.
    #[error("the claim {0:?} has the wrong form")]
    InvalidClaim(&'static str),
    /// Somebody else issued it.
    #[error("the token comes from another issuer")]
    Issuer,
    /// It is meant for somebody else.
    #[error("the token is meant for another audience")]
    Audience,
    /// The token is bound to a key that its sender would have to prove (`cnf`), which is not supported.
    #[error("the token is bound to a key of its holder, which is not supported")]
    Bound,
    /// The issuer has no such key.
    #[error("the token names a key that its issuer does not publish")]
    UnknownKey,
    /// The signature does not match.
    #[error("the token's signature does not match")]
    Signature,
    /// It has ended.
    #[error("the token has expired")]
    Expired,
    /// It has not begun, or claims to have been issued in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The issuer's keys cannot be had, so nothing can be said about the token: not the caller's fault.
    #[error("the keys of the token's issuer are not available")]
    KeysUnavailable,
}

impl Rejected {
    /// Whether the token may be fine and the verifier could not tell: answer 503, not 401.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::KeysUnavailable)
    }
}
