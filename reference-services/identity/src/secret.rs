//! Secrets of clients: long and random, shown once, kept as a digest.
//!
//! They are not passwords. Thirty-two random bytes cannot be guessed however fast the guessing is, so SHA-256 is enough;
//! a slow password hash would only spend processor time at every token.

use aws_lc_rs::{constant_time, digest, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;

/// What a secret chosen by somebody else must be like.
pub(crate) const RULE: &str =
    "32 to 200 random letters, digits, '-', '.' and '_', such as `openssl rand -hex 32` makes";

/// A new secret. The prefix lets scanners of source code recognise one that was committed.
pub(crate) fn generate() -> anyhow::Result<SecretString> {
    let mut random = [0; 32];
    rand::fill(&mut random)?;
    Ok(format!("cs_{}", URL_SAFE_NO_PAD.encode(random)).into())
}

/// Whether a chosen secret is long enough, and of characters that form-encoding leaves alone: clients disagree about
/// encoding it (RFC 6749, section 2.3.1).
pub(crate) fn is_strong_enough(secret: &str) -> bool {
    (32..=200).contains(&secret.len())
        && secret
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// What is kept of a secret.
pub(crate) fn digest_of(secret: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, secret.as_bytes())
        .as_ref()
        .to_vec()
}

/// Whether it is the secret that the digest was made of. Takes as long whatever the answer.
pub(crate) fn matches(secret: &str, digest: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(&digest_of(secret), digest).is_ok()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn secrets_are_long_differ_and_match_themselves_only() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        let (one, other) = (one.expose_secret(), other.expose_secret());
        assert!(is_strong_enough(one) && one != other);
        assert!(matches(one, &digest_of(one)));
        assert!(
            !matches(other, &digest_of(one)) && !matches("", &digest_of(one)) && !matches(one, &[])
        );
        for weak in [
            "",
            "hunter2",
            &"a".repeat(31),
            &format!("{}+", "a".repeat(40)),
            &"a".repeat(201),
        ] {
            assert!(!is_strong_enough(weak), "{weak}");
        }
    }
}
