//! An issuer of tokens inside a test, with a key of its own.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{TimeDelta, Utc};
use commerce_identity_client::Verifier;
use serde_json::{Value, json};
use uuid::Uuid;

const ISSUER: &str = "http://issuer.test";
const KEY_ID: &str = "test";

/// Signs tokens as the identity service does, and verifies them without asking anybody.
#[derive(Debug)]
pub struct Tokens {
    key: EcdsaKeyPair,
}

impl Tokens {
    /// A new key.
    pub fn new() -> anyhow::Result<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        Ok(Self { key })
    }

    /// The issuer that stands in the tokens.
    pub fn issuer(&self) -> &str {
        ISSUER
    }

    /// The key set that verifies the tokens.
    pub fn jwks(&self) -> Value {
        // An uncompressed point: a marker, then both coordinates.
        let point = &self.key.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }] })
    }

    /// A verifier for this issuer.
    pub fn verifier(&self, audience: &str) -> anyhow::Result<Verifier> {
        Ok(Verifier::builder(ISSUER, audience)
            .jwks(self.jwks().to_string())
            .build()?)
    }

    /// The claims of a token that is good for five minutes at services with default settings; to be changed by tests of
    /// bad ones.
    pub fn claims(organization: Option<Uuid>, permissions: &[&str]) -> Value {
        let now = Utc::now();
        let mut claims = json!({
            "iss": ISSUER, "sub": "test-client", "client_id": "test-client", "aud": "commerce",
            "iat": now.timestamp(), "exp": (now + TimeDelta::minutes(5)).timestamp(),
            "jti": Uuid::now_v7(), "permissions": permissions,
        });
        if let Some(organization) = organization {
            claims["org"] = json!(organization);
        }
        claims
    }

    /// A token for an organization with these permissions.
    pub fn token(&self, organization: Uuid, permissions: &[&str]) -> anyhow::Result<String> {
        self.sign(&Self::claims(Some(organization), permissions))
    }

    /// A token with these claims, whatever they are.
    pub fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": KEY_ID });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
