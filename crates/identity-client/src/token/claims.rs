//! The claims of an access token (RFC 9068, section 2.2, plus ours: `org` and `permissions`).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::json;
use crate::{Permission, Permissions, Rejected};

#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audience: Vec<String>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) not_before: Option<DateTime<Utc>>,
    pub(crate) issued_at: DateTime<Utc>,
    pub(crate) token_id: String,
    pub(crate) client_id: String,
    pub(crate) organization: Option<Uuid>,
    pub(crate) permissions: Permissions,
}

/// The members as they came, so that each is judged by itself and a mistake can be named without quoting its value.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default, deserialize_with = "some")]
    iss: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    sub: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    aud: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    exp: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    nbf: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    iat: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    jti: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    client_id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    org: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "some")]
    permissions: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "json::present")]
    cnf: bool,
}

/// Keeps `null` apart from absence: a claim that is there and null is malformed, not missing.
fn some<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl Claims {
    pub(super) fn read(json: &[u8]) -> Result<Self, Rejected> {
        json::check_object(json)?;
        let raw: Raw<'_> = serde_json::from_slice(json)
            .map_err(|_| Rejected::Malformed("the claims cannot be read"))?;
        if raw.cnf {
            return Err(Rejected::Bound);
        }
        Ok(Self {
            issuer: text("iss", raw.iss)?,
            subject: text("sub", raw.sub)?,
            audience: audience(raw.aud)?,
            expires_at: time("exp", raw.exp)?,
            not_before: raw.nbf.map(|nbf| time("nbf", Some(nbf))).transpose()?,
            issued_at: time("iat", raw.iat)?,
            token_id: text("jti", raw.jti)?,
            client_id: text("client_id", raw.client_id)?,
            organization: raw.org.map(|org| required("org", Some(org))).transpose()?,
            permissions: permissions(raw.permissions)?,
        })
    }

    pub(crate) fn is_for(&self, audience: &str) -> bool {
        self.audience.iter().any(|one| one == audience)
    }
}

fn required<T: DeserializeOwned>(
    name: &'static str,
    value: Option<&RawValue>,
) -> Result<T, Rejected> {
    let value = value.ok_or(Rejected::MissingClaim(name))?;
    serde_json::from_str(value.get()).map_err(|_| Rejected::InvalidClaim(name))
}

fn text(name: &'static str, value: Option<&RawValue>) -> Result<String, Rejected> {
    let text: String = required(name, value)?;
    if text.is_empty() {
        Err(Rejected::InvalidClaim(name))
    } else {
        Ok(text)
    }
}

/// A NumericDate: seconds since 1970, fractions allowed (RFC 7519, section 2).
fn time(name: &'static str, value: Option<&RawValue>) -> Result<DateTime<Utc>, Rejected> {
    let seconds: f64 = required(name, value)?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|since| TimeDelta::from_std(since).ok())
        .and_then(|since| DateTime::UNIX_EPOCH.checked_add_signed(since))
        .ok_or(Rejected::InvalidClaim(name))
}

fn audience(value: Option<&RawValue>) -> Result<Vec<String>, Rejected> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    match required("aud", value)? {
        Audience::One(audience) => Ok(vec![audience]),
        Audience::Many(audiences) if audiences.is_empty() => Err(Rejected::InvalidClaim("aud")),
        Audience::Many(audiences) => Ok(audiences),
    }
}

/// Names that are no permissions here grant nothing: an issuer may serve other systems, too.
fn permissions(value: Option<&RawValue>) -> Result<Permissions, Rejected> {
    if value.is_none() {
        return Ok(Permissions::default());
    }
    let names: Vec<String> = required("permissions", value)?;
    Ok(names
        .into_iter()
        .filter_map(|name| Permission::try_from(name).ok())
        .collect())
}
