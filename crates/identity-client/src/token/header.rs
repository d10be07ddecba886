//! The JOSE header of an access token.

use serde::Deserialize;

use super::json;
use crate::{Algorithm, Rejected};

const MAX_KEY_ID: usize = 128;

/// What the header says once it was found acceptable.
///
/// `jku`, `jwk`, `x5u` and `x5c` are not even read: a token does not get to say which key it is checked with, beyond
/// naming one of those the issuer publishes.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: String,
}

#[derive(Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each member that must not be there"
)]
struct Raw {
    #[serde(default)]
    alg: String,
    #[serde(default)]
    typ: String,
    #[serde(default)]
    kid: String,
    #[serde(default, deserialize_with = "json::present")]
    crit: bool,
    #[serde(default, deserialize_with = "json::present")]
    b64: bool,
    #[serde(default, deserialize_with = "json::present")]
    cty: bool,
    #[serde(default, deserialize_with = "json::present")]
    zip: bool,
}

impl Header {
    pub(super) fn read(json: &[u8], algorithms: &[Algorithm]) -> Result<Self, Rejected> {
        json::check_object(json)?;
        let raw: Raw = serde_json::from_slice(json)
            .map_err(|_| Rejected::Malformed("header members have the wrong type"))?;
        let forbidden = [
            ("crit", raw.crit),
            ("b64", raw.b64),
            ("cty", raw.cty),
            ("zip", raw.zip),
        ];
        if let Some((name, _)) = forbidden.into_iter().find(|(_, present)| *present) {
            return Err(Rejected::Extension(name));
        }
        let algorithm = raw.alg.parse().map_err(|_| Rejected::Algorithm)?;
        if !algorithms.contains(&algorithm) {
            return Err(Rejected::Algorithm);
        }
        // A media type, so without regard to case; "application/" may be left out (RFC 7515, section 4.1.9).
        if !["at+jwt", "application/at+jwt"]
            .iter()
            .any(|name| raw.typ.eq_ignore_ascii_case(name))
        {
            return Err(Rejected::Type);
        }
        if !is_key_id(&raw.kid) {
            return Err(Rejected::Malformed(
                "kid is missing, too long or of strange characters",
            ));
        }
        Ok(Self {
            algorithm,
            kid: raw.kid,
        })
    }
}

/// Key ids end up in logs and as keys of a map: printable ASCII without quotes, and short.
pub(crate) fn is_key_id(kid: &str) -> bool {
    (1..=MAX_KEY_ID).contains(&kid.len())
        && kid
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}
