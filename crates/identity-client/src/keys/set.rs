//! A JSON Web Key Set, as far as it is of use.

use std::collections::{HashMap, hash_map::Entry};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::jwk::{Jwk, Unusable, VerifyingKey};
use crate::token;

/// The largest set that is read, in bytes and in keys.
pub(super) const MAX_BYTES: usize = 256 * 1024;
const MAX_KEYS: usize = 100;

/// The usable keys of an issuer by their ids.
#[derive(Debug)]
pub(crate) struct KeySet {
    keys: HashMap<String, VerifyingKey>,
}

/// The document is no key set, or none of its keys is usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeySet {
    /// Too many bytes.
    #[error("the key set is larger than {} bytes", MAX_BYTES)]
    TooLarge,
    /// Too many keys.
    #[error("the key set has more than {} keys", MAX_KEYS)]
    TooManyKeys,
    /// Not JSON with a list of keys.
    #[error("not a JSON Web Key Set")]
    Malformed,
    /// Nothing that could verify a token.
    #[error("the key set holds no usable key")]
    NoUsableKey,
}

impl KeySet {
    /// Reads a set and leaves out every key that cannot be used: one odd key must not cost the others.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, InvalidKeySet> {
        #[derive(Deserialize)]
        struct Set<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }
        if json.len() > MAX_BYTES {
            return Err(InvalidKeySet::TooLarge);
        }
        let set: Set<'_> = serde_json::from_slice(json).map_err(|_| InvalidKeySet::Malformed)?;
        if set.keys.len() > MAX_KEYS {
            return Err(InvalidKeySet::TooManyKeys);
        }
        let mut keys = HashMap::new();
        let mut ambiguous = Vec::new();
        for raw in set.keys {
            match usable(raw) {
                Ok((kid, key)) => match keys.entry(kid) {
                    Entry::Vacant(free) => {
                        free.insert(key);
                    }
                    Entry::Occupied(taken) => ambiguous.push(taken.key().clone()),
                },
                Err(reason) => tracing::debug!(%reason, "a key of the set is left out"),
            }
        }
        for kid in ambiguous {
            // Neither can be trusted to be the one that was meant.
            tracing::warn!(kid, "two keys of the set share an id: both are left out");
            keys.remove(&kid);
        }
        if keys.is_empty() {
            Err(InvalidKeySet::NoUsableKey)
        } else {
            Ok(Self { keys })
        }
    }

    pub(crate) fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.get(kid)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

fn usable(raw: &RawValue) -> Result<(String, VerifyingKey), Unusable> {
    let jwk: Jwk = serde_json::from_str(raw.get()).map_err(|_| Unusable("not a JSON Web Key"))?;
    let kid = jwk
        .kid
        .as_deref()
        .filter(|kid| token::is_key_id(kid))
        .ok_or(Unusable("kid is missing or strange"))?;
    Ok((kid.to_owned(), jwk.parse()?))
}

#[cfg(test)]
pub(super) mod tests {
    use aws_lc_rs::{
        encoding::{AsBigEndian, EcPublicKeyUncompressedBin},
        rsa::KeySize,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
            RsaPublicKeyComponents,
        },
    };
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;

    fn p256(kid: &str) -> Value {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point: EcPublicKeyUncompressedBin<'_> = pair.public_key().as_be_bytes().unwrap();
        let (x, y) = point.as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
    }

    /// A key set of one fresh key.
    pub(in crate::keys) fn set_of(kid: &str) -> String {
        json!({"keys": [p256(kid)]}).to_string()
    }

    fn rsa(kid: &str) -> Value {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        json!({"kty": "RSA", "kid": kid, "n": URL_SAFE_NO_PAD.encode(public.n), "e": URL_SAFE_NO_PAD.encode(public.e)})
    }

    fn with(mut key: Value, name: &str, value: impl Into<Value>) -> Value {
        key[name] = value.into();
        key
    }

    fn parse(keys: &[Value]) -> Result<KeySet, InvalidKeySet> {
        KeySet::parse(json!({"keys": keys}).to_string().as_bytes())
    }

    #[test]
    fn every_accepted_kind_of_key_is_read() {
        let ed = Ed25519KeyPair::generate().unwrap();
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "use": "sig", "key_ops": ["verify"], "alg": "EdDSA",
            "x": URL_SAFE_NO_PAD.encode(ed.public_key())});
        assert_eq!(
            parse(&[p256("ec"), rsa("rsa"), with(rsa("pss"), "alg", "PS256"), ed])
                .unwrap()
                .len(),
            4
        );
    }

    #[test]
    fn an_unusable_key_is_left_out_and_the_others_stay() {
        let big = |length: usize| URL_SAFE_NO_PAD.encode(vec![0xff_u8; length]);
        let ec = || p256("bad");
        let unusable = [
            json!("not even an object"),
            json!({"kty": "oct", "kid": "bad", "k": "c2VjcmV0"}),
            with(ec(), "d", "c2VjcmV0"),
            with(ec(), "use", "enc"),
            with(ec(), "key_ops", json!(["sign"])),
            with(ec(), "alg", "ES384"),
            with(ec(), "alg", "RS256"),
            with(ec(), "alg", "HS256"),
            with(ec(), "alg", "none"),
            with(ec(), "crv", "P-384"),
            with(ec(), "crv", "secp256k1"),
            with(ec(), "kty", "OKP"),
            with(ec(), "kty", "RSA"),
            with(ec(), "x", big(32)),
            with(ec(), "x", "AAAA"),
            with(ec(), "y", Value::Null),
            with(ec(), "y", "===="),
            with(ec(), "kid", Value::Null),
            with(ec(), "kid", "white space"),
            with(ec(), "kid", 7),
            with(rsa("bad"), "e", "AQ"),
            with(rsa("bad"), "e", "Ag"),
            with(rsa("bad"), "e", ""),
            with(rsa("bad"), "e", big(8)),
            with(rsa("bad"), "n", big(128)),
            with(rsa("bad"), "n", big(1025)),
            with(rsa("bad"), "n", ""),
            json!({"kty": "RSA", "kid": "bad"}),
        ];
        for key in unusable {
            let set = parse(&[key.clone(), p256("good")]).unwrap();
            assert!(
                set.get("good").is_some() && set.len() == 1,
                "{key} was taken"
            );
            assert_eq!(parse(&[key]).unwrap_err(), InvalidKeySet::NoUsableKey);
        }
    }

    #[test]
    fn keys_that_share_an_id_are_both_left_out() {
        let set = parse(&[p256("twice"), rsa("twice"), p256("good")]).unwrap();
        assert!(set.get("twice").is_none() && set.get("good").is_some());
        let other_use = with(rsa("once"), "use", "enc");
        assert!(
            parse(&[p256("once"), other_use])
                .unwrap()
                .get("once")
                .is_some(),
            "the other is no signing key"
        );
    }

    #[test]
    fn a_set_is_bounded() {
        let keys: Vec<_> = std::iter::repeat_n(json!({}), MAX_KEYS + 1).collect();
        assert_eq!(parse(&keys).unwrap_err(), InvalidKeySet::TooManyKeys);
        assert_eq!(
            KeySet::parse(&vec![b' '; MAX_BYTES + 1]).unwrap_err(),
            InvalidKeySet::TooLarge
        );
        for bad in ["", "{}", "[]", "null", r#"{"keys":{}}"#, "<html>"] {
            assert_eq!(
                KeySet::parse(bad.as_bytes()).unwrap_err(),
                InvalidKeySet::Malformed,
                "{bad}"
            );
        }
    }
}
