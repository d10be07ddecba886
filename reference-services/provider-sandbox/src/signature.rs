//! Signs webhooks as [Standard Webhooks](https://www.standardwebhooks.com/) asks.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// A secret that signs.
#[derive(Clone)]
pub(crate) struct Signer(Hmac<Sha256>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// What a secret is like.
    pub(crate) const RIGHT: &str = "whsec_ and base64 of 24 to 64 bytes";

    /// Reads `whsec_` and base64 of 24 to 64 bytes, as long as the specification wants a secret to be.
    pub(crate) fn new(secret: &SecretString) -> anyhow::Result<Self> {
        let wrong = format!("webhook_secret must be {}", Self::RIGHT);
        let text = secret
            .expose_secret()
            .strip_prefix("whsec_")
            .with_context(|| wrong.clone())?;
        let key = STANDARD.decode(text).with_context(|| wrong.clone())?;
        anyhow::ensure!((24..=64).contains(&key.len()), wrong);
        Ok(Self(Hmac::new_from_slice(&key)?))
    }

    /// The header `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::Signer;

    /// The example of the specification's reference implementations.
    #[test]
    fn signs_as_the_reference_does() {
        let signer = Signer::new(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap();
        let signature = signer.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn refuses_a_secret_of_another_kind() {
        for secret in ["secret", "whsec_", "whsec_???", "whsec_c2hvcnQ="] {
            assert!(Signer::new(&secret.into()).is_err(), "{secret}");
        }
    }
}
