//! A request at the end of a chain of links.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorKind},
    follow::Follow,
    idempotency,
    journey::{Journey, Results},
    resource::Resource,
    retry::Safety,
};

/// A request that has not been sent yet. A mistake made while building it comes out when it is sent.
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    follow: Follow,
    method: Method,
    headers: HeaderMap,
    body: Option<Bytes>,
    repeatable: bool,
    mistake: Option<Error>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither headers nor body: both may hold secrets.
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("follow", &self.follow)
            .finish_non_exhaustive()
    }
}

impl Request {
    pub(crate) fn new(follow: Follow, method: Method) -> Self {
        Self {
            follow,
            method,
            headers: HeaderMap::new(),
            body: None,
            repeatable: false,
            mistake: None,
        }
    }

    /// Sets a header. It goes to allowed origins, and to an address given with [`Client::at`](crate::Client::at), but not
    /// to wherever else links and redirects lead.
    pub fn header<K, V>(mut self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K, Error: Into<http::Error>>,
        HeaderValue: TryFrom<V, Error: Into<http::Error>>,
    {
        let name = HeaderName::try_from(name).map_err(Into::into);
        let value = HeaderValue::try_from(value).map_err(Into::into);
        match (name, value) {
            (Ok(name), Ok(mut value)) => {
                if name == header::AUTHORIZATION || name == header::COOKIE {
                    value.set_sensitive(true);
                }
                self.headers.insert(name, value);
            }
            (Err(error), _) | (_, Err(error)) => {
                self.note(Error::new(ErrorKind::Request, "a bad header").because(error));
            }
        }
        self
    }

    /// Sends a value as JSON.
    pub fn json<B: Serialize + ?Sized>(mut self, body: &B) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => self.body = Some(body.into()),
            Err(error) => {
                self.note(
                    Error::new(ErrorKind::Request, "the body cannot be written as JSON")
                        .because(error),
                );
            }
        }
        self.content_type("application/json")
    }

    /// Sends an HTML form.
    pub fn form<K: AsRef<str>, V: AsRef<str>>(
        mut self,
        fields: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.body = Some(body.into());
        self.content_type("application/x-www-form-urlencoded")
    }

    /// Sends these bytes.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self.content_type(content_type)
    }

    pub(crate) fn content_type(self, content_type: &str) -> Self {
        self.header(header::CONTENT_TYPE, content_type)
    }

    /// Adds a fresh `Idempotency-Key`, the same in every attempt, so that the request can be retried safely against a
    /// server that honours it.
    pub fn idempotent(self) -> Self {
        self.idempotency_key(&idempotency::random())
    }

    /// The same with a key of the caller's own, which outlives this process: derive it from what the request means.
    pub fn idempotency_key(mut self, key: &str) -> Self {
        match idempotency::header_value(key) {
            Ok(value) => {
                self.headers.insert(idempotency::IDEMPOTENCY_KEY, value);
            }
            Err(error) => self.note(error),
        }
        self
    }

    /// The caller knows that doing this twice does no harm (a search by POST, a request for a token).
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Sends the request and reads the resulting document: of a write, what the server answers, or the document its
    /// `Location` names (201 without a body, 303), or the present state when nothing changed (304).
    ///
    /// An answer without a body is read as `null`: `Resource<()>` and `Resource<Option<T>>` take it.
    pub async fn send<T: DeserializeOwned>(self) -> Result<Resource<T>, Error> {
        let client = self.follow.client.clone();
        let arrived = self.travel(Results::Read).await?;
        Resource::read(client, arrived)
    }

    /// Sends the request and is content with its success: no body is read, no `Location` followed.
    pub async fn send_ignoring_body(self) -> Result<Resource<()>, Error> {
        let client = self.follow.client.clone();
        let arrived = self.travel(Results::Ignore).await?;
        Ok(Resource::without_data(client, arrived))
    }

    async fn travel(self, results: Results) -> Result<crate::journey::Arrived, Error> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let keyed = self.headers.contains_key(idempotency::IDEMPOTENCY_KEY);
        let safety = Safety::of(&self.method, keyed, self.repeatable);
        Journey::new(&self.follow, results)
            .run(self.method, self.headers, self.body, safety)
            .await
    }

    /// The first mistake is the one to tell.
    fn note(&mut self, mistake: Error) {
        self.mistake.get_or_insert(mistake);
    }
}
