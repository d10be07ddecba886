//! Settings of a verifier.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use url::Url;

use super::{Inner, Keys, Verifier};
use crate::{
    Algorithm,
    keys::{HttpSource, InvalidKeySet, KeyCache, KeyPolicy, KeySet},
};

/// Clocks differ, but not by more than this; a larger allowance only lengthens the life of a stolen token.
const LONGEST_LEEWAY: Duration = Duration::from_mins(1);

/// Settings of a [`Verifier`]; made by [`Verifier::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct VerifierBuilder {
    issuer: String,
    audience: String,
    algorithms: Vec<Algorithm>,
    leeway: Duration,
    policy: KeyPolicy,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Discovered,
    Url(String),
    Here(Vec<u8>),
}

impl VerifierBuilder {
    pub(super) fn new(issuer: String, audience: String) -> Self {
        Self {
            issuer,
            audience,
            algorithms: Algorithm::ALL.to_vec(),
            leeway: Duration::from_secs(10),
            policy: KeyPolicy::default(),
            place: Place::Discovered,
        }
    }

    /// Fetches the key set from this URL instead of discovering it.
    pub fn jwks_url(mut self, url: impl Into<String>) -> Self {
        self.place = Place::Url(url.into());
        self
    }

    /// Uses this key set (JSON) and fetches nothing, ever.
    pub fn jwks(mut self, json: impl Into<Vec<u8>>) -> Self {
        self.place = Place::Here(json.into());
        self
    }

    /// Accepts these signature algorithms only. Default: all that this crate knows.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// How much the issuer's clock and ours may differ. Default 10 seconds, at most 60.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// How often the keys are fetched when nothing special happens. Default 5 minutes, less a random tenth.
    pub fn refresh_every(mut self, interval: Duration) -> Self {
        self.policy.refresh = interval;
        self
    }

    /// How long keys are still believed while they cannot be fetched again. Default 24 hours.
    pub fn keep_keys_for(mut self, limit: Duration) -> Self {
        self.policy.keep = limit;
        self
    }

    /// How long a caller whose token names an unknown key waits for the fetch that it caused. Default 5 seconds.
    pub fn wait_for_keys(mut self, limit: Duration) -> Self {
        self.policy.wait = limit;
        self
    }

    /// Checks the settings. Nothing is fetched yet.
    pub fn build(self) -> Result<Verifier, InvalidVerifier> {
        if self.issuer.is_empty() {
            return Err(InvalidVerifier::Empty("issuer"));
        }
        if self.audience.is_empty() {
            return Err(InvalidVerifier::Empty("audience"));
        }
        if self.algorithms.is_empty() {
            return Err(InvalidVerifier::Empty("list of algorithms"));
        }
        if self.leeway > LONGEST_LEEWAY {
            return Err(InvalidVerifier::Leeway);
        }
        if self.policy.refresh.is_zero() || self.policy.refresh > self.policy.keep {
            return Err(InvalidVerifier::Refresh);
        }
        let keys = match self.place {
            Place::Here(json) => Keys::Fixed(KeySet::parse(&json)?),
            Place::Url(url) => fetched(HttpSource::new(&http_url(&url)?)?, self.policy),
            Place::Discovered => fetched(
                HttpSource::discover(&self.issuer, &http_url(&self.issuer)?)?,
                self.policy,
            ),
        };
        Ok(Verifier {
            inner: Arc::new(Inner {
                issuer: self.issuer,
                audience: self.audience,
                algorithms: self.algorithms,
                leeway: TimeDelta::from_std(self.leeway).map_err(|_| InvalidVerifier::Leeway)?,
                keys,
            }),
        })
    }
}

fn fetched(source: HttpSource, policy: KeyPolicy) -> Keys {
    Keys::Fetched(KeyCache::new(source, policy))
}

pub(crate) fn http_url(text: &str) -> Result<Url, InvalidVerifier> {
    let invalid = |reason| InvalidVerifier::Url {
        url: text.to_owned(),
        reason,
    };
    let url = Url::parse(text).map_err(|_| invalid("it cannot be parsed"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(invalid("it is not an https or http URL"));
    }
    if url.fragment().is_some() {
        return Err(invalid("it has a fragment"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidVerifier::Url {
            url: "(with credentials)".to_owned(),
            reason: "credentials do not belong there",
        });
    }
    Ok(url)
}

/// A setting of a [`Verifier`] is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidVerifier {
    /// A setting that must have a value has none.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// Not a usable URL.
    #[error("the URL {url} is not usable: {reason}")]
    Url {
        /// The URL as it was given, unless it held credentials.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More leeway than makes sense.
    #[error("the leeway is longer than {} seconds", LONGEST_LEEWAY.as_secs())]
    Leeway,
    /// Keys that would be too old before they are fetched again.
    #[error("the time between refreshes is zero, or longer than keys are kept")]
    Refresh,
    /// The given key set is of no use.
    #[error("the key set cannot be used")]
    KeySet(#[from] InvalidKeySet),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made")]
    Client(#[source] crate::BoxError),
}
