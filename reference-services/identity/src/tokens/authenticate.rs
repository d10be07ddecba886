//! Who asks: `client_secret_basic` or `client_secret_post`, one of them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use secrecy::SecretString;

use super::error::OAuthError;
use super::form::Form;

/// What a client says about itself; not checked yet.
pub(super) struct Claimed {
    pub(super) client_id: String,
    pub(super) client_secret: SecretString,
}

impl Claimed {
    pub(super) fn read(headers: &HeaderMap, form: &Form) -> Result<Self, OAuthError> {
        let (id, secret) = (form.get("client_id"), form.get("client_secret"));
        let Some(basic) = basic(headers)? else {
            let (Some(id), Some(secret)) = (id, secret) else {
                return Err(OAuthError::invalid_client());
            };
            return Ok(Self {
                client_id: id.to_owned(),
                client_secret: secret.into(),
            });
        };
        if secret.is_some() || id.is_some_and(|id| id != basic.client_id) {
            return Err(OAuthError::invalid_request(
                "the client authenticates in two ways; one is right",
            ));
        }
        Ok(basic)
    }
}

fn basic(headers: &HeaderMap) -> Result<Option<Claimed>, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let malformed = || OAuthError::invalid_request("the Authorization header is malformed");
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, encoded) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(OAuthError::invalid_client());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| malformed())?;
    let pair = String::from_utf8(decoded).map_err(|_| malformed())?;
    let (id, secret) = pair.split_once(':').ok_or_else(malformed)?;
    Ok(Some(Claimed {
        client_id: form_decoded(id),
        client_secret: form_decoded(secret).into(),
    }))
}

/// RFC 6749, section 2.3.1: both parts are form-encoded inside of Basic.
fn form_decoded(part: &str) -> String {
    let field = format!("part={part}");
    let decoded = url::form_urlencoded::parse(field.as_bytes()).next();
    decoded
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
