//! Fetches an issuer's key set over HTTP.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use commerce_resilient_client::{BreakerPolicy, Client, RetryPolicy};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use url::Url;

use super::{KeySet, cache::KeySource, set::MAX_BYTES};
use crate::{
    BoxError,
    verifier::{InvalidVerifier, http_url},
};

/// Where an issuer publishes its keys.
pub(crate) struct HttpSource {
    client: Client,
    place: Place,
}

enum Place {
    KeySet(Url),
    /// The discovery document says where. It is read anew at every fetch, since what it says may change.
    Discovery {
        document: Url,
        issuer: String,
    },
}

/// What is of interest in a discovery document.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl HttpSource {
    /// The key set at this URL.
    pub(crate) fn new(url: &Url) -> Result<Self, InvalidVerifier> {
        Ok(Self {
            client: client(url)?,
            place: Place::KeySet(url.clone()),
        })
    }

    /// The key set that the issuer's discovery document points to.
    pub(crate) fn discover(issuer: &str, url: &Url) -> Result<Self, InvalidVerifier> {
        let mut document = url.clone();
        document.set_query(None);
        // OpenID Connect Discovery, section 4: appended, after any final slash is taken off.
        document.set_path(&format!(
            "{}/.well-known/openid-configuration",
            url.path().trim_end_matches('/')
        ));
        Ok(Self {
            client: client(url)?,
            place: Place::Discovery {
                document,
                issuer: issuer.to_owned(),
            },
        })
    }

    async fn key_set_url(&self) -> Result<Url, BoxError> {
        let (document, issuer) = match &self.place {
            Place::KeySet(url) => return Ok(url.clone()),
            Place::Discovery { document, issuer } => (document, issuer),
        };
        let metadata: Metadata = self.get(document).await?;
        if metadata.issuer != *issuer {
            return Err(format!(
                "{document} describes the issuer {:?}, not {issuer:?}",
                metadata.issuer
            )
            .into());
        }
        let keys = http_url(&metadata.jwks_uri)?;
        if keys.scheme() != "https" && keys.scheme() != document.scheme() {
            return Err(format!("{document} points to keys that are less secured: {keys}").into());
        }
        Ok(keys)
    }

    /// Gets a document from exactly this place: who can redirect us must not choose the keys.
    async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, BoxError> {
        let answer = self.client.at(url.as_str()).get::<T>().await?;
        if answer.url() != url.as_str() {
            return Err(format!(
                "{url} redirects to {}: give that place itself",
                answer.url()
            )
            .into());
        }
        Ok(answer.into_data())
    }
}

fn client(url: &Url) -> Result<Client, InvalidVerifier> {
    let client = || {
        Client::builder(url.as_str())?
            .timeout(Duration::from_secs(8))
            .attempt_timeout(Duration::from_secs(3))
            .connect_timeout(Duration::from_secs(2))
            .longest_body(MAX_BYTES)
            .retry(RetryPolicy::default().attempts(2))
            // The cache makes its own pauses, and has a say in when to ask again.
            .breaker(BreakerPolicy::disabled())
            .build()
    };
    client().map_err(|error| InvalidVerifier::Client(error.into()))
}

#[async_trait]
impl KeySource for HttpSource {
    async fn fetch(&self) -> Result<KeySet, BoxError> {
        let url = self.key_set_url().await?;
        let json: Box<RawValue> = self.get(&url).await?;
        Ok(KeySet::parse(json.get().as_bytes())?)
    }
}

impl fmt::Debug for HttpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::KeySet(url) | Place::Discovery { document: url, .. } => {
                f.write_str(url.as_str())
            }
        }
    }
}
