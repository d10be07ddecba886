//! An issuer of tokens: real keys, real signatures, and a real HTTP server that publishes them.
#![allow(dead_code, reason = "each test program uses a part of it")]

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use commerce_identity_client::{Principal, Rejected, Verifier, VerifierBuilder};
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

pub(crate) const AUDIENCE: &str = "https://api.example.com";
pub(crate) const ISSUER: &str = "https://id.example.com";

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A P-256 key with an id.
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) pkcs8: Vec<u8>,
    pair: EcdsaKeyPair,
}

impl Key {
    pub(crate) fn new(kid: &str) -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap();
        Self {
            kid: kid.to_owned(),
            pkcs8: pkcs8.as_ref().to_vec(),
            pair,
        }
    }

    /// The uncompressed point.
    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub(crate) fn jwk(&self) -> Value {
        let (x, y) = self.public()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
            "x": base64url(x), "y": base64url(y)})
    }

    pub(crate) fn header(&self) -> String {
        json!({"alg": "ES256", "typ": "at+jwt", "kid": self.kid}).to_string()
    }

    /// Signs whatever it is given: tests need tokens that no library would make.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", base64url(signature))
    }

    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), &claims.to_string())
    }
}

pub(crate) fn key_set(keys: &[&Key]) -> Value {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()})
}

/// The claims of a token that is in order, for this issuer.
pub(crate) fn claims_of(issuer: &str) -> Value {
    let now = Utc::now().timestamp();
    json!({
        "iss": issuer, "aud": AUDIENCE, "sub": "importer", "client_id": "importer", "jti": Uuid::now_v7(),
        "iat": now, "exp": now + 300, "permissions": ["orders.order.create", "orders.order.read"],
    })
}

pub(crate) fn claims() -> Value {
    claims_of(ISSUER)
}

/// A verifier of that key alone, without HTTP.
pub(crate) fn builder(key: &Key) -> VerifierBuilder {
    Verifier::builder(ISSUER, AUDIENCE).jwks(key_set(&[key]).to_string())
}

pub(crate) async fn verify_with(key: &Key, token: &str) -> Result<Principal, Rejected> {
    builder(key).build().unwrap().verify(token).await
}

/// Publishes the keys in place of those published before.
pub(crate) async fn publish(server: &MockServer, keys: &[&Key]) {
    server.reset().await;
    let metadata = json!({"issuer": server.uri(), "jwks_uri": format!("{}/keys", server.uri())});
    for (place, body) in [
        ("/.well-known/openid-configuration", metadata),
        ("/keys", key_set(keys)),
    ] {
        let answer = ResponseTemplate::new(200).set_body_json(body);
        Mock::given(path(place))
            .respond_with(answer)
            .mount(server)
            .await;
    }
}

/// How often a path was asked for since the last `publish`.
pub(crate) async fn requests(server: &MockServer, path: &str) -> usize {
    server
        .received_requests()
        .await
        .unwrap()
        .iter()
        .filter(|request| request.url.path() == path)
        .count()
}
