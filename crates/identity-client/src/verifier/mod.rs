//! Decides whether a token is what it says it is.

mod builder;

use std::{fmt, sync::Arc};

use chrono::{TimeDelta, Utc};

pub(crate) use self::builder::http_url;
pub use self::builder::{InvalidVerifier, VerifierBuilder};
use crate::{
    Algorithm, Principal, Rejected,
    keys::{KeyCache, KeySet, Missing},
    token::{Claims, Token},
};

/// Verifies access tokens of one issuer for one audience. A clone shares the keys.
///
/// Nothing is fetched before the first token, [`ready`](Self::ready) or [`is_ready`](Self::is_ready): a service may start
/// before its identity provider.
///
/// ```no_run
/// # async fn run(token: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use commerce_identity_client::{Permission, Verifier};
///
/// let verifier = Verifier::discover("https://id.example.com", "https://api.example.com")?;
/// let principal = verifier.verify(token).await?;
/// principal.require(&Permission::from_static("orders.order.create"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Verifier {
    inner: Arc<Inner>,
}

struct Inner {
    issuer: String,
    audience: String,
    algorithms: Vec<Algorithm>,
    leeway: TimeDelta,
    keys: Keys,
}

enum Keys {
    Fixed(KeySet),
    Fetched(Arc<KeyCache>),
}

impl Verifier {
    /// Verifies tokens of `issuer` that are meant for `audience`. The place of the issuer's keys is read from its
    /// discovery document, `{issuer}/.well-known/openid-configuration`, when it is first needed.
    ///
    /// Both are compared with the token's `iss` and `aud` to the letter.
    pub fn discover(
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Result<Self, InvalidVerifier> {
        Self::builder(issuer, audience).build()
    }

    /// The same for an issuer whose key set's place is known.
    pub fn new(
        jwks_url: impl Into<String>,
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Result<Self, InvalidVerifier> {
        Self::builder(issuer, audience).jwks_url(jwks_url).build()
    }

    /// A verifier with settings of its own.
    pub fn builder(issuer: impl Into<String>, audience: impl Into<String>) -> VerifierBuilder {
        VerifierBuilder::new(issuer.into(), audience.into())
    }

    /// Who acts, if the token is genuine, meant for us and valid now.
    ///
    /// Usually waits for nothing: only a token that names an unknown key can cause the keys to be fetched again, at most
    /// every 30 seconds, by one fetch for all who wait.
    pub async fn verify(&self, token: &str) -> Result<Principal, Rejected> {
        let inner = &*self.inner;
        let token = Token::read(token, &inner.algorithms)?;
        if token.claims.issuer != inner.issuer {
            // Before any key is looked up: another issuer's tokens are none of this key set's business.
            return Err(Rejected::Issuer);
        }
        let kid = &*token.header.kid;
        let genuine = |keys: &KeySet| {
            keys.get(kid)
                .map(|key| key.verifies(token.header.algorithm, token.signed, &token.signature))
        };
        let genuine = match &inner.keys {
            Keys::Fixed(keys) => genuine(keys).ok_or(Missing::Unknown),
            Keys::Fetched(cache) => cache.with(genuine).await,
        };
        match genuine {
            Ok(true) => inner.admit(token.claims),
            Ok(false) => Err(Rejected::Signature),
            Err(Missing::Unknown) => Err(Rejected::UnknownKey),
            Err(Missing::Unavailable) => Err(Rejected::KeysUnavailable),
        }
    }

    /// Waits until the issuer's keys are there. They are fetched until then, at first every quarter of a second.
    pub async fn ready(&self) {
        if let Keys::Fetched(cache) = &self.inner.keys {
            cache.ready().await;
        }
    }

    /// Whether there are keys, for a readiness check. The first call begins to fetch them, if it is made within a Tokio
    /// runtime.
    pub fn is_ready(&self) -> bool {
        match &self.inner.keys {
            Keys::Fixed(_) => true,
            Keys::Fetched(cache) => {
                if tokio::runtime::Handle::try_current().is_ok() {
                    cache.start();
                }
                cache.is_ready()
            }
        }
    }
}

impl Inner {
    /// The rules about claims, for a token that is known to be the issuer's.
    fn admit(&self, claims: Claims) -> Result<Principal, Rejected> {
        if !claims.is_for(&self.audience) {
            return Err(Rejected::Audience);
        }
        let now = Utc::now();
        if now >= claims.expires_at + self.leeway {
            return Err(Rejected::Expired);
        }
        let begins = claims
            .not_before
            .map_or(claims.issued_at, |nbf| nbf.max(claims.issued_at));
        if now + self.leeway < begins {
            return Err(Rejected::NotYetValid);
        }
        Ok(Principal {
            subject: claims.subject,
            client_id: claims.client_id,
            organization: claims.organization,
            permissions: claims.permissions,
            token_id: claims.token_id,
            expires_at: claims.expires_at,
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("issuer", &self.inner.issuer)
            .field("audience", &self.inner.audience)
            .finish_non_exhaustive()
    }
}
