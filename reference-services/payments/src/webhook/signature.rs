//! Verifies webhooks as [Standard Webhooks](https://www.standardwebhooks.com/) asks: a signature over id, time and body, a
//! time that is near, and any one of the secrets in force, so that secrets can be rotated.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// A webhook may be this old, and this far ahead of our clock.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// More signatures than this in one header are not a rotation.
const MOST_SIGNATURES: usize = 16;
const PREFIX: &str = "whsec_";

/// Knows the secrets in force.
#[derive(Clone)]
pub(crate) struct Verifier {
    keys: Vec<Hmac<Sha256>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// A secret that is not `whsec_` and base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is {}", Self::RIGHT)]
pub struct InvalidSecret;

impl InvalidSecret {
    pub(crate) const RIGHT: &'static str = "whsec_ followed by base64 of 24 to 64 bytes";
}

/// Why a webhook is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "the headers webhook-id, webhook-timestamp and webhook-signature are needed, each once"
    )]
    Headers,
    #[error("webhook-timestamp is not a time within five minutes of now")]
    Time,
    #[error("no signature is from a secret in force")]
    Signature,
}

impl Verifier {
    /// The secrets whose signatures count: the present one, and the previous one while it is being rotated.
    pub(crate) fn new<'a>(
        secrets: impl IntoIterator<Item = &'a SecretString>,
    ) -> Result<Self, InvalidSecret> {
        let keys = secrets.into_iter().map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// Returns the webhook's id if one of its signatures is good and its time is near.
    pub(crate) fn verify<'a>(
        &self,
        headers: &'a HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<&'a str, Refused> {
        let id = single(headers, "webhook-id")?;
        let timestamp = single(headers, "webhook-timestamp")?;
        let signatures = single(headers, "webhook-signature")?;
        // The id is signed in front of a dot: one that holds a dot could be read in two ways.
        if id.contains('.') {
            return Err(Refused::Headers);
        }
        // The time first: it costs nothing, and a replay is refused whatever its signature.
        let sent = timestamp
            .parse()
            .ok()
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let sent = sent.ok_or(Refused::Time)?;
        if (now - sent).abs() > TOLERANCE {
            return Err(Refused::Time);
        }
        if self.keys.iter().any(|key| {
            is_signed(
                key,
                signatures,
                [id.as_bytes(), b".", timestamp.as_bytes(), b".", body],
            )
        }) {
            Ok(id)
        } else {
            Err(Refused::Signature)
        }
    }
}

fn key(secret: &SecretString) -> Result<Hmac<Sha256>, InvalidSecret> {
    let text = secret
        .expose_secret()
        .strip_prefix(PREFIX)
        .ok_or(InvalidSecret)?;
    let bytes = STANDARD.decode(text).map_err(|_| InvalidSecret)?;
    if !(24..=64).contains(&bytes.len()) {
        return Err(InvalidSecret);
    }
    Hmac::new_from_slice(&bytes).map_err(|_| InvalidSecret)
}

/// Several values of one header could be verified as one and used as another.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value
            .to_str()
            .ok()
            .filter(|value| !value.is_empty())
            .ok_or(Refused::Headers),
        _ => Err(Refused::Headers),
    }
}

/// The header holds `v1,<base64>` once for each secret the sender uses, separated by spaces; other versions are not ours.
fn is_signed(key: &Hmac<Sha256>, signatures: &str, content: [&[u8]; 5]) -> bool {
    let mut mac = key.clone();
    for part in content {
        mac.update(part);
    }
    let expected = mac.finalize().into_bytes();
    signatures
        .split(' ')
        .take(MOST_SIGNATURES)
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
        // Every signature is compared, in constant time each: neither position nor content can be timed.
        .fold(false, |found, signature| {
            found | bool::from(signature.ct_eq(&expected))
        })
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
