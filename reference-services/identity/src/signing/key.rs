//! One signing key: ECDSA on P-256.

use anyhow::Context as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use chrono::{DateTime, Utc};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// A key pair, when it was made and from when on it signs.
pub(crate) struct SigningKey {
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) active_from: DateTime<Utc>,
    /// The public half, as it is published.
    pub(crate) jwk: serde_json::Value,
    header: Header,
    private: EncodingKey,
}

impl SigningKey {
    /// A new private key in PKCS#8.
    pub(crate) fn generate() -> anyhow::Result<Vec<u8>> {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
        Ok(pkcs8.as_ref().to_vec())
    }

    pub(crate) fn from_pkcs8(
        pkcs8: &[u8],
        created_at: DateTime<Utc>,
        active_from: DateTime<Utc>,
    ) -> anyhow::Result<Self> {
        let private = EncodingKey::from_ec_der(pkcs8);
        let mut jwk = Jwk::from_encoding_key(&private, Algorithm::ES256)
            .context("a signing key cannot be read")?;
        // The id is the key's own fingerprint (RFC 7638): no two keys ever share one.
        let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let header = Header {
            typ: Some("at+jwt".to_owned()),
            kid: Some(kid),
            ..Header::new(Algorithm::ES256)
        };
        Ok(Self {
            created_at,
            active_from,
            jwk: serde_json::to_value(jwk)?,
            header,
            private,
        })
    }

    /// The key's id.
    pub(crate) fn kid(&self) -> &str {
        self.header.kid.as_deref().unwrap_or_default()
    }

    /// Signs an access token.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> anyhow::Result<String> {
        jsonwebtoken::encode(&self.header, claims, &self.private)
            .context("a token cannot be signed")
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid())
            .field("active_from", &self.active_from)
            .finish_non_exhaustive()
    }
}
