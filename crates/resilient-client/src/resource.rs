//! A document that was read: its data, its links, and how it was answered.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use url::Url;

use crate::{
    client::Client,
    entry::Linked,
    error::{Error, ErrorKind},
    follow::Follow,
    journey::Arrived,
    links::{Link, Links},
    transport::Reply,
};

/// A typed document with its links.
#[derive(Clone, Debug)]
pub struct Resource<T> {
    client: Client,
    url: Url,
    status: StatusCode,
    already_applied: bool,
    headers: HeaderMap,
    links: Arc<Links>,
    body: Bytes,
    data: T,
}

impl<T> Resource<T> {
    /// What the document says.
    pub fn data(&self) -> &T {
        &self.data
    }

    /// What the document says, without the rest.
    pub fn into_data(self) -> T {
        self.data
    }

    /// How the request was answered. Of a write it is the write's own status, also when the document was read from where
    /// the answer pointed.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The server recognised the write as one it had done before (303 or 304) and changed nothing.
    pub fn already_applied(&self) -> bool {
        self.already_applied
    }

    /// The document's address.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The answer's headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The document's links.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The first link of this relation, if the document offers it now.
    pub fn link(&self, rel: &str) -> Option<&Link> {
        self.links.get(rel)
    }

    /// Follows a link of this document. Nothing is sent yet; that the link is missing is told when it is.
    pub fn follow(&self, rel: impl Into<String>) -> Follow {
        let linked = Linked {
            base: self.url.clone(),
            links: Arc::clone(&self.links),
        };
        Follow::document(self.client.clone(), linked).follow(rel)
    }

    /// Reads the same document again.
    pub async fn reload<U: DeserializeOwned>(&self) -> Result<Resource<U>, Error> {
        self.client.at(self.url.as_str()).get().await
    }

    /// The documents that HAL embeds under this relation, each with its own links.
    pub fn embedded<U: DeserializeOwned>(&self, rel: &str) -> Result<Vec<Resource<U>>, Error> {
        let document: Embedding<'_> = serde_json::from_slice(&self.body).unwrap_or_default();
        let Some(found) = document.embedded.get(rel) else {
            return Ok(Vec::new());
        };
        let one_or_many: Vec<&RawValue> = if found.get().trim_start().starts_with('[') {
            serde_json::from_str(found.get()).map_err(|error| self.not_expected(error))?
        } else {
            vec![*found]
        };
        one_or_many
            .into_iter()
            .map(|document| self.embed(document))
            .collect()
    }

    fn embed<U: DeserializeOwned>(&self, document: &RawValue) -> Result<Resource<U>, Error> {
        let body = Bytes::copy_from_slice(document.get().as_bytes());
        let headers = HeaderMap::new();
        let links = Links::of(&headers, &body);
        // An embedded document's address is its own `self`; its links are still seen from the one that embeds it.
        let url = links
            .get("self")
            .and_then(|link| self.url.join(&link.href).ok());
        Ok(Resource {
            client: self.client.clone(),
            url: url.unwrap_or_else(|| self.url.clone()),
            status: self.status,
            already_applied: false,
            headers,
            links: Arc::new(links),
            data: serde_json::from_slice(&body).map_err(|error| self.not_expected(error))?,
            body,
        })
    }

    fn not_expected(&self, error: serde_json::Error) -> Error {
        Error::new(
            ErrorKind::Decode,
            "an embedded document is not the expected one",
        )
        .because(error)
        .on(&http::Method::GET, &self.url)
    }
}

#[derive(Default, Deserialize)]
struct Embedding<'a> {
    #[serde(rename = "_embedded", default, borrow)]
    embedded: BTreeMap<String, &'a RawValue>,
}

impl<T: DeserializeOwned> Resource<T> {
    pub(crate) fn read(client: Client, arrived: Arrived) -> Result<Self, Error> {
        let body = if arrived.reply.body.is_empty() {
            b"null".as_slice()
        } else {
            &arrived.reply.body
        };
        let data = serde_json::from_slice(body).map_err(|error| not_expected(&arrived, error))?;
        Ok(Self::assemble(client, arrived, data))
    }
}

impl Resource<()> {
    pub(crate) fn without_data(client: Client, arrived: Arrived) -> Self {
        Self::assemble(client, arrived, ())
    }
}

impl<T> Resource<T> {
    fn assemble(client: Client, arrived: Arrived, data: T) -> Self {
        let Arrived {
            reply: Reply {
                url, headers, body, ..
            },
            status,
            already_applied,
        } = arrived;
        let links = Arc::new(Links::of(&headers, &body));
        // The document that a write created is at its Location, not where the write was sent.
        let created = (status == StatusCode::CREATED)
            .then(|| {
                url.join(headers.get(http::header::LOCATION)?.to_str().ok()?)
                    .ok()
            })
            .flatten();
        Self {
            client,
            url: created.unwrap_or(url),
            status,
            already_applied,
            headers,
            links,
            body,
            data,
        }
    }
}

fn not_expected(arrived: &Arrived, error: serde_json::Error) -> Error {
    let reply = &arrived.reply;
    let what = match (reply.body.is_empty(), reply.content_type()) {
        (true, _) => "the answer has no body".to_owned(),
        (false, content_type) => {
            format!(
                "the answer ({}) is not the expected document",
                content_type.unwrap_or("no content type")
            )
        }
    };
    let error = Error::new(ErrorKind::Decode, what)
        .because(error)
        .answered(reply.status, None)
        .on(&http::Method::GET, &reply.url);
    if arrived.status.is_success() && arrived.status != StatusCode::OK || arrived.already_applied {
        error.after_the_write()
    } else {
        error
    }
}
