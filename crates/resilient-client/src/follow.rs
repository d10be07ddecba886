//! A way to a document: where it starts and which links lead on. Lazy: nothing is sent before the request at its end.

use std::fmt;

use http::Method;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    client::Client, entry::Linked, error::Error, request::Request, resource::Resource,
    template::Variables,
};

/// A chain of links to follow, with values for their templates.
#[derive(Clone)]
#[must_use = "following does nothing until a request is sent at the end"]
pub struct Follow {
    pub(crate) client: Client,
    pub(crate) start: Start,
    /// For the address that the chain starts with.
    pub(crate) variables: Variables,
    pub(crate) hops: Vec<Hop>,
}

#[derive(Clone)]
pub(crate) enum Start {
    Entry,
    Address(String),
    /// The links of a document that was read before.
    Document(Linked),
}

#[derive(Clone)]
pub(crate) struct Hop {
    pub(crate) rel: String,
    pub(crate) name: Option<String>,
    pub(crate) variables: Variables,
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hops: Vec<&str> = self.hops.iter().map(|hop| hop.rel.as_str()).collect();
        f.debug_struct("Follow")
            .field("client", &self.client)
            .field("hops", &hops)
            .finish_non_exhaustive()
    }
}

impl Follow {
    pub(crate) fn entry(client: Client) -> Self {
        Self {
            client,
            start: Start::Entry,
            variables: Variables::new(),
            hops: Vec::new(),
        }
    }

    pub(crate) fn address(client: Client, address: String) -> Self {
        Self {
            client,
            start: Start::Address(address),
            variables: Variables::new(),
            hops: Vec::new(),
        }
    }

    pub(crate) fn document(client: Client, linked: Linked) -> Self {
        Self {
            client,
            start: Start::Document(linked),
            variables: Variables::new(),
            hops: Vec::new(),
        }
    }

    /// Then follows this link of the document reached so far.
    pub fn follow(mut self, rel: impl Into<String>) -> Self {
        self.hops.push(Hop {
            rel: rel.into(),
            name: None,
            variables: Variables::new(),
        });
        self
    }

    /// Among several links of the last relation, takes the one of this name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        if let Some(hop) = self.hops.last_mut() {
            hop.name = Some(name.into());
        }
        self
    }

    /// Gives a variable of the last link's template its value. A variable that the template does not have is an error.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "`.with(\"id\", 7)` should need no ampersand"
    )]
    pub fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        let variables = match self.hops.last_mut() {
            Some(hop) => &mut hop.variables,
            None => &mut self.variables,
        };
        variables.insert(name.into(), value.to_string());
        self
    }

    /// Reads the document.
    pub async fn get<T: DeserializeOwned>(self) -> Result<Resource<T>, Error> {
        self.request(Method::GET).send().await
    }

    /// Posts a value as JSON. Repeated after a failure only when the failure proves that nothing was sent; make it
    /// [`idempotent`](Request::idempotent) to have it retried like a read.
    pub fn post<B: Serialize + ?Sized>(self, body: &B) -> Request {
        self.request(Method::POST).json(body)
    }

    /// Posts nothing: for links that are actions.
    pub fn post_empty(self) -> Request {
        self.request(Method::POST)
    }

    /// Posts an HTML form (`application/x-www-form-urlencoded`).
    pub fn post_form<K: AsRef<str>, V: AsRef<str>>(
        self,
        fields: impl IntoIterator<Item = (K, V)>,
    ) -> Request {
        self.request(Method::POST).form(fields)
    }

    /// Puts a value as JSON in the place of the document.
    pub fn put<B: Serialize + ?Sized>(self, body: &B) -> Request {
        self.request(Method::PUT).json(body)
    }

    /// Changes the document with a JSON Merge Patch (RFC 7396).
    pub fn patch<B: Serialize + ?Sized>(self, body: &B) -> Request {
        self.request(Method::PATCH)
            .json(body)
            .content_type("application/merge-patch+json")
    }

    /// Deletes the document.
    pub fn delete(self) -> Request {
        self.request(Method::DELETE)
    }

    /// Any other request at the end of the chain.
    pub fn request(self, method: Method) -> Request {
        Request::new(self, method)
    }
}
