//! One attempt over the wire. The only module that knows the HTTP library underneath.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use url::Url;

use crate::error::{Error, ErrorKind};

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.headers.get(header::CONTENT_TYPE)?.to_str().ok()
    }

    /// Where `Location` points, seen from the answer's own address.
    pub(crate) fn location(&self) -> Option<Url> {
        self.url
            .join(self.headers.get(header::LOCATION)?.to_str().ok()?)
            .ok()
    }
}

/// Whether the server can have seen the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    No,
    Maybe,
}

/// An attempt without an answer.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) sent: Sent,
    pub(crate) error: Error,
}

#[derive(Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    longest_body: usize,
}

impl Transport {
    pub(crate) fn new(
        connect_timeout: Duration,
        longest_body: usize,
        user_agent: &str,
    ) -> Result<Self, Error> {
        // Redirects are ours: they decide where credentials go. The library's own retries stay on: it repeats only what
        // an HTTP/2 server refused unseen (REFUSED_STREAM, GOAWAY), which is always safe.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect_timeout)
            .user_agent(user_agent)
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Request, "no HTTP client can be made").because(error)
            })?;
        Ok(Self { http, longest_body })
    }

    pub(crate) async fn send(
        &self,
        method: &Method,
        url: &Url,
        headers: HeaderMap,
        body: Option<Bytes>,
        timeout: Duration,
    ) -> Result<Reply, Broken> {
        let mut request = self
            .http
            .request(method.clone(), url.clone())
            .headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        match tokio::time::timeout(timeout, self.exchange(request, url)).await {
            Ok(result) => result,
            Err(_) => Err(Broken {
                sent: Sent::Maybe,
                error: Error::new(ErrorKind::Timeout, format!("no answer within {timeout:?}")),
            }),
        }
    }

    async fn exchange(&self, request: reqwest::RequestBuilder, url: &Url) -> Result<Reply, Broken> {
        let mut response = request.send().await.map_err(broken)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > self.longest_body {
                let error = Error::new(
                    ErrorKind::TooLarge,
                    format!("the answer is longer than {} bytes", self.longest_body),
                )
                .answered(status, None);
                return Err(Broken {
                    sent: Sent::Maybe,
                    error,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            url: url.clone(),
            status,
            headers,
            body: body.freeze(),
        })
    }
}

/// Only a failed connection proves that nothing was sent; a reset or a closed connection proves nothing.
fn broken(error: reqwest::Error) -> Broken {
    // The URL's query may hold secrets; the error gets its own, shorter target.
    let error = error.without_url();
    let (sent, kind, message) = if error.is_connect() {
        (Sent::No, ErrorKind::Connect, "no connection")
    } else if error.is_builder() {
        (Sent::No, ErrorKind::Request, "the request cannot be sent")
    } else if error.is_timeout() {
        (Sent::Maybe, ErrorKind::Timeout, "no answer in time")
    } else {
        (Sent::Maybe, ErrorKind::Transport, "the connection broke")
    };
    Broken {
        sent,
        error: Error::new(kind, message).because(error),
    }
}
