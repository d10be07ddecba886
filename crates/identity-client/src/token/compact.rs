//! The three parts of a compact JWS.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{Rejected, token::MAX_LENGTH};

pub(super) struct Parts<'a> {
    pub(super) header: Vec<u8>,
    pub(super) claims: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) signed: &'a [u8],
}

pub(super) fn split(token: &str) -> Result<Parts<'_>, Rejected> {
    if token.len() > MAX_LENGTH {
        return Err(Rejected::TooLong);
    }
    let (signed, signature) = token
        .rsplit_once('.')
        .ok_or(Rejected::Malformed("not three parts"))?;
    let (header, claims) = signed
        .split_once('.')
        .ok_or(Rejected::Malformed("not three parts"))?;
    // A fourth part would be inside `claims`, where the dot is not base64url.
    Ok(Parts {
        header: decode(header)?,
        claims: decode(claims)?,
        signature: decode(signature)?,
        signed: signed.as_bytes(),
    })
}

/// Strict: no padding, no white space, no stray bits at the end, so one token has exactly one spelling.
fn decode(part: &str) -> Result<Vec<u8>, Rejected> {
    if part.is_empty() {
        return Err(Rejected::Malformed("a part is empty"));
    }
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Rejected::Malformed("a part is not unpadded base64url"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_parts_of_unpadded_base64url_pass() {
        assert!(split("YWI.YQ.YWJj").is_ok());
        for bad in [
            "",
            ".",
            "..",
            "YQ",
            "YQ.YQ",
            "YQ.YQ.",
            ".YQ.YQ",
            "YQ..YQ",
            "YQ.YQ.YQ.YQ",
            "YQ.YQ.YQ.YQ.YQ",
            "YQ==.YQ.YQ",
            "YQ.YQ.YQ=",
            "Y Q.YQ.YQ",
            "YQ.YQ.YQ\n",
            "YR.YQ.YQ",
            "YQ.Y.YQ",
            "Y+.YQ.YQ",
            "Y/8.YQ.YQ",
            "YQ.YÅ.YQ",
        ] {
            assert!(
                matches!(split(bad), Err(Rejected::Malformed(_))),
                "{bad:?} was accepted"
            );
        }
    }

    #[test]
    fn length_is_checked_first() {
        let long = "A".repeat(MAX_LENGTH + 1);
        assert!(matches!(split(&long), Err(Rejected::TooLong)));
    }
}
