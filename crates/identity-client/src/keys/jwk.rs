//! One JSON Web Key, turned into something that verifies signatures.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, de::IgnoredAny};

use crate::Algorithm;

/// A parsed public key and the algorithms it may be used with: one, except for RSA keys that do not say.
#[derive(Debug)]
pub(crate) struct VerifyingKey {
    parsed: Vec<(Algorithm, ParsedPublicKey)>,
}

impl VerifyingKey {
    /// Whether the signature is this key's. An algorithm the key is not for is no match.
    pub(crate) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        self.parsed
            .iter()
            .find(|(own, _)| *own == algorithm)
            .is_some_and(|(_, key)| key.verify_sig(signed, signature).is_ok())
    }
}

/// Why a key of a set is of no use here. Sets carry keys for other purposes, so this is news only to somebody debugging.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(pub(crate) &'static str);

#[derive(Deserialize)]
pub(super) struct Jwk {
    pub(super) kid: Option<String>,
    kty: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    /// The private half of any kind of key.
    d: Option<IgnoredAny>,
    /// A symmetric key.
    k: Option<IgnoredAny>,
}

impl Jwk {
    pub(super) fn parse(&self) -> Result<VerifyingKey, Unusable> {
        if self.d.is_some() || self.k.is_some() {
            // Whoever reads the set can sign with it, too.
            return Err(Unusable(
                "a private or symmetric key was published: it proves nothing any more",
            ));
        }
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(Unusable("not for signatures (use)"));
        }
        if self
            .key_ops
            .as_ref()
            .is_some_and(|ops| ops.iter().all(|op| op != "verify"))
        {
            return Err(Unusable("not for verifying (key_ops)"));
        }
        let parsed = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => vec![(Algorithm::Es256, self.p256()?)],
            ("OKP", Some("Ed25519")) => vec![(Algorithm::EdDsa, self.ed25519()?)],
            ("RSA", _) => self.rsa()?,
            _ => return Err(Unusable("a kind of key that no accepted algorithm uses")),
        };
        let parsed: Vec<_> = match &self.alg {
            None => parsed,
            Some(name) => parsed
                .into_iter()
                .filter(|(algorithm, _)| algorithm.as_str() == name)
                .collect(),
        };
        if parsed.is_empty() {
            Err(Unusable("alg does not fit the key or is not accepted"))
        } else {
            Ok(VerifyingKey { parsed })
        }
    }

    fn p256(&self) -> Result<ParsedPublicKey, Unusable> {
        let mut point = Vec::with_capacity(65);
        point.push(4);
        point.extend(fixed(self.x.as_deref())?);
        point.extend(fixed(self.y.as_deref())?);
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .map_err(|_| Unusable("not a point of P-256"))
    }

    fn ed25519(&self) -> Result<ParsedPublicKey, Unusable> {
        ParsedPublicKey::new(&ED25519, fixed(self.x.as_deref())?)
            .map_err(|_| Unusable("not an Ed25519 key"))
    }

    fn rsa(&self) -> Result<Vec<(Algorithm, ParsedPublicKey)>, Unusable> {
        let (n, e) = (decode(self.n.as_deref())?, decode(self.e.as_deref())?);
        let (Some(first), Some(last)) = (n.first(), n.last()) else {
            return Err(Unusable("no modulus"));
        };
        let bits = n.len() * 8 - first.leading_zeros() as usize;
        if *first == 0 || last % 2 == 0 || !(2048..=8192).contains(&bits) {
            return Err(Unusable(
                "the modulus is even, padded, or not of 2048 to 8192 bits",
            ));
        }
        // e = 1 makes every message its own signature. Real keys have 3 to 65537.
        if e.len() > 4
            || e.first() == Some(&0)
            || e.last().is_none_or(|last| last % 2 == 0)
            || e == [1]
        {
            return Err(Unusable("the exponent is not an odd number from 3 to 2^32"));
        }
        let components = RsaPublicKeyComponents { n, e };
        [
            (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
        ]
        .into_iter()
        .map(|(algorithm, parameters)| {
            let key = components
                .to_parsed_public_key(parameters)
                .map_err(|_| Unusable("not an RSA key"))?;
            Ok((algorithm, key))
        })
        .collect()
    }
}

fn decode(text: Option<&str>) -> Result<Vec<u8>, Unusable> {
    let text = text.ok_or(Unusable("a coordinate is missing"))?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Unusable("a coordinate is not unpadded base64url"))
}

fn fixed(text: Option<&str>) -> Result<[u8; 32], Unusable> {
    decode(text)?
        .try_into()
        .map_err(|_| Unusable("a coordinate is not of 32 bytes"))
}
