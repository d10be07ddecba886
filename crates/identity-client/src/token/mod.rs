//! Reads a token strictly, before any key is looked up: what is not plainly a JWT access token (RFC 9068) never gets as
//! far as the cryptography, let alone as far as asking the issuer for keys.

mod claims;
mod compact;
mod header;
mod json;

pub(crate) use self::{
    claims::Claims,
    header::{Header, is_key_id},
};
use crate::{Algorithm, Rejected};

/// The longest token that is looked at. A header of a request has no more room either.
pub(crate) const MAX_LENGTH: usize = 16 * 1024;

/// A well-formed token whose signature is still to be checked.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) header: Header,
    pub(crate) claims: Claims,
    /// What was signed: the first two parts as they came.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    pub(crate) fn read(token: &'a str, algorithms: &[Algorithm]) -> Result<Self, Rejected> {
        let parts = compact::split(token)?;
        let header = Header::read(&parts.header, algorithms)?;
        let claims = Claims::read(&parts.claims)?;
        Ok(Self {
            header,
            claims,
            signed: parts.signed,
            signature: parts.signature,
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!(
            "{}.{}.c2ln",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        )
    }

    const HEADER: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"k1"}"#;

    fn claims() -> serde_json::Value {
        json!({"iss": "i", "sub": "s", "aud": "a", "exp": 20, "iat": 10, "jti": "t", "client_id": "c"})
    }

    fn read(header: &str, claims: &str) -> Result<(), Rejected> {
        Token::read(&token(header, claims), &Algorithm::ALL).map(drop)
    }

    #[test]
    fn a_plain_access_token_is_read() {
        let text = token(HEADER, &claims().to_string());
        let token = Token::read(&text, &Algorithm::ALL).unwrap();
        assert_eq!(
            (token.header.kid.as_str(), token.header.algorithm),
            ("k1", Algorithm::Es256)
        );
        assert_eq!(token.claims.subject, "s");
        assert_eq!(token.signature, b"sig");
        assert_eq!(token.signed, text.rsplit_once('.').unwrap().0.as_bytes());
        let long_type = r#"{"alg":"EdDSA","typ":"application/AT+JWT","kid":"k1"}"#;
        assert_eq!(read(long_type, &claims().to_string()), Ok(()));
    }

    #[test]
    fn headers_are_strict() {
        let claims = claims().to_string();
        let cases = [
            (
                r#"{"alg":"none","typ":"at+jwt","kid":"k"}"#,
                Rejected::Algorithm,
            ),
            (
                r#"{"alg":"HS256","typ":"at+jwt","kid":"k"}"#,
                Rejected::Algorithm,
            ),
            (
                r#"{"alg":"es256","typ":"at+jwt","kid":"k"}"#,
                Rejected::Algorithm,
            ),
            (r#"{"typ":"at+jwt","kid":"k"}"#, Rejected::Algorithm),
            (r#"{"alg":"ES256","typ":"JWT","kid":"k"}"#, Rejected::Type),
            (r#"{"alg":"ES256","kid":"k"}"#, Rejected::Type),
            (
                r#"{"alg":"ES256","typ":"at+jwt","kid":"k","crit":["exp"]}"#,
                Rejected::Extension("crit"),
            ),
            (
                r#"{"alg":"ES256","typ":"at+jwt","kid":"k","crit":[]}"#,
                Rejected::Extension("crit"),
            ),
            (
                r#"{"alg":"ES256","typ":"at+jwt","kid":"k","crit":null}"#,
                Rejected::Extension("crit"),
            ),
            (
                r#"{"alg":"ES256","typ":"at+jwt","kid":"k","b64":false}"#,
                Rejected::Extension("b64"),
            ),
            (
                r#"{"alg":"ES256","typ":"at+jwt","kid":"k","cty":"JWT"}"#,
                Rejected::Extension("cty"),
            ),
            (
                r#"{"alg":"ES256","typ":"at+jwt","kid":"k","zip":"DEF"}"#,
                Rejected::Extension("zip"),
            ),
            (
                r#"{"alg":"ES256","typ":"at+jwt"}"#,
                Rejected::Malformed("kid is missing, too long or of strange characters"),
            ),
            (
                r#"{"alg":"ES256","typ":"at+jwt","kid":""}"#,
                Rejected::Malformed("kid is missing, too long or of strange characters"),
            ),
            (
                r#"{"alg":"ES256","typ":"at+jwt","kid":"a b"}"#,
                Rejected::Malformed("kid is missing, too long or of strange characters"),
            ),
            (
                r#"{"alg":"ES256","typ":"at+jwt","kid":7}"#,
                Rejected::Malformed("header members have the wrong type"),
            ),
            (
                r#"{"alg":"ES256","alg":"none","typ":"at+jwt","kid":"k"}"#,
                Rejected::Malformed("a member occurs twice, or the JSON is invalid or too deep"),
            ),
            (
                r#"{"alg":"ES256","\u0061lg":"none","typ":"at+jwt","kid":"k"}"#,
                Rejected::Malformed("a member occurs twice, or the JSON is invalid or too deep"),
            ),
            (r#"["alg"]"#, Rejected::Malformed("not a JSON object")),
            ("", Rejected::Malformed("a part is empty")),
        ];
        for (header, expected) in cases {
            assert_eq!(read(header, &claims), Err(expected), "{header}");
        }
        let kid = "k".repeat(129);
        assert!(
            read(
                &format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{kid}"}}"#),
                &claims
            )
            .is_err()
        );
        assert_eq!(
            Token::read(&token(HEADER, &claims), &[Algorithm::EdDsa]).unwrap_err(),
            Rejected::Algorithm,
            "the verifier's own list decides"
        );
    }

    #[test]
    fn claims_are_strict() {
        let cases = [
            ("iss", json!(["i"]), Rejected::InvalidClaim("iss")),
            ("sub", json!(1), Rejected::InvalidClaim("sub")),
            ("sub", json!(""), Rejected::InvalidClaim("sub")),
            ("aud", json!([]), Rejected::InvalidClaim("aud")),
            ("aud", json!(["a", 1]), Rejected::InvalidClaim("aud")),
            ("exp", json!("20"), Rejected::InvalidClaim("exp")),
            ("exp", json!(null), Rejected::InvalidClaim("exp")),
            ("exp", json!(-1), Rejected::InvalidClaim("exp")),
            ("exp", json!(1e300), Rejected::InvalidClaim("exp")),
            ("nbf", json!(null), Rejected::InvalidClaim("nbf")),
            ("nbf", json!("now"), Rejected::InvalidClaim("nbf")),
            ("iat", json!(true), Rejected::InvalidClaim("iat")),
            ("jti", json!({}), Rejected::InvalidClaim("jti")),
            ("org", json!("not a uuid"), Rejected::InvalidClaim("org")),
            (
                "permissions",
                json!("orders.order.read"),
                Rejected::InvalidClaim("permissions"),
            ),
            (
                "permissions",
                json!([1]),
                Rejected::InvalidClaim("permissions"),
            ),
            ("cnf", json!({"jkt": "x"}), Rejected::Bound),
            ("cnf", json!(null), Rejected::Bound),
        ];
        for (name, value, expected) in cases {
            let mut claims = claims();
            claims[name] = value.clone();
            assert_eq!(
                read(HEADER, &claims.to_string()),
                Err(expected),
                "{name} = {value}"
            );
        }
        for name in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            assert_eq!(
                read(HEADER, &claims.to_string()),
                Err(Rejected::MissingClaim(name))
            );
        }
    }

    #[test]
    fn unknown_claims_are_allowed_and_unknown_permissions_grant_nothing() {
        let mut claims = claims();
        claims["permissions"] = json!(["orders.order.read", "*", "a.b.c.d"]);
        claims["aud"] = json!(["b", "a"]);
        claims["exp"] = json!(20.5);
        claims["address"] = json!({"country": "BR"});
        let text = token(HEADER, &claims.to_string());
        let claims = Token::read(&text, &Algorithm::ALL).unwrap().claims;
        assert_eq!(claims.permissions.len(), 1);
        assert!(claims.is_for("a") && claims.is_for("b") && !claims.is_for("ab"));
        assert_eq!(claims.expires_at.timestamp_millis(), 20_500);
    }

    #[test]
    fn members_are_unique_at_any_depth_and_depth_is_bounded() {
        let text = claims().to_string();
        let open = text.strip_suffix('}').unwrap();
        for (extra, good) in [
            (r#","x":{"a":1,"b":{"a":1}}"#.to_owned(), true),
            (r#","x":{"a":1,"a":1}"#.to_owned(), false),
            (r#","x":[{"a":[{"b":1,"b":2}]}]"#.to_owned(), false),
            (r#","sub":"other""#.to_owned(), false),
            (
                format!(r#","x":{}1{}"#, "[".repeat(14), "]".repeat(14)),
                true,
            ),
            (
                format!(r#","x":{}1{}"#, "[".repeat(40), "]".repeat(40)),
                false,
            ),
        ] {
            assert_eq!(
                read(HEADER, &format!("{open}{extra}}}")).is_ok(),
                good,
                "{extra}"
            );
        }
        assert!(
            read(HEADER, &format!("{text} {{}}")).is_err(),
            "trailing JSON"
        );
    }
}
