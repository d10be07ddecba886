//! From the start of a chain to the document at its end: hops, the request itself, redirects and results.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::{
    client::Inner,
    entry::Linked,
    error::{Error, ErrorKind},
    exchange::{self, Outgoing},
    follow::{Follow, Hop, Start},
    links::Links,
    origins,
    retry::Safety,
    template::{self, Variables},
    transport::Reply,
};

/// More redirects than this are a loop.
const MOST_REDIRECTS: usize = 10;

/// Whether the caller wants the document that a write results in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Results {
    Read,
    Ignore,
}

/// The answer at the end.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) reply: Reply,
    /// The status of the write itself, when `reply` is the document that it led to.
    pub(crate) status: StatusCode,
    pub(crate) already_applied: bool,
}

pub(crate) struct Journey<'a> {
    client: &'a Inner,
    follow: &'a Follow,
    results: Results,
    deadline: Instant,
}

impl<'a> Journey<'a> {
    pub(crate) fn new(follow: &'a Follow, results: Results) -> Self {
        let client = &follow.client.inner;
        Self {
            client,
            follow,
            results,
            deadline: Instant::now() + client.timeout,
        }
    }

    pub(crate) async fn run(
        self,
        method: Method,
        headers: HeaderMap,
        body: Option<Bytes>,
        safety: Safety,
    ) -> Result<Arrived, Error> {
        let (url, named_by_caller) = self.destination().await?;
        let outgoing = Outgoing {
            method,
            url,
            headers,
            body,
            safety,
            named_by_caller,
        };
        let arrived = if outgoing.method.is_safe() {
            self.read(outgoing).await.map(|reply| Arrived {
                status: reply.status,
                reply,
                already_applied: false,
            })
        } else {
            self.write(outgoing).await
        };
        // The entry point may have moved what it links to since its links were read.
        if let Err(error) = &arrived
            && matches!(
                error.status(),
                Some(StatusCode::NOT_FOUND | StatusCode::GONE)
            )
        {
            self.client.entry_memory.forget();
        }
        arrived
    }

    /// The address of the last document, and whether the caller named its origin.
    async fn destination(&self) -> Result<(Url, bool), Error> {
        let client = self.client;
        let named = |url: Url| (url, true);
        let (mut here, mut hops) = match &self.follow.start {
            Start::Document(linked) => (linked.clone(), self.follow.hops.iter()),
            Start::Entry => {
                if self.follow.hops.is_empty() {
                    return template::resolve(
                        &client.entry,
                        client.entry.as_str(),
                        false,
                        &self.follow.variables,
                    )
                    .map(named);
                }
                (self.entry().await?, self.follow.hops.iter())
            }
            Start::Address(address) => {
                let templated = address.contains('{');
                let url =
                    template::resolve(&client.entry, address, templated, &self.follow.variables)?;
                if self.follow.hops.is_empty() {
                    return Ok((url, true));
                }
                (self.links_at(url, true).await?, self.follow.hops.iter())
            }
        };
        let Some(mut hop) = hops.next() else {
            return Ok((here.base, false));
        };
        loop {
            let url = resolve(&here, hop)?;
            match hops.next() {
                Some(next) => hop = next,
                None => return Ok((url, false)),
            }
            here = self.links_at(url, false).await?;
        }
    }

    async fn entry(&self) -> Result<Linked, Error> {
        if let Some(kept) = self.client.entry_memory.recall() {
            return Ok(kept);
        }
        let linked = self.links_at(self.client.entry.clone(), true).await?;
        self.client.entry_memory.keep(&linked);
        Ok(linked)
    }

    async fn links_at(&self, url: Url, named_by_caller: bool) -> Result<Linked, Error> {
        let reply = self.read(get(url, named_by_caller)).await?;
        Ok(Linked {
            links: Arc::new(Links::of(&reply.headers, &reply.body)),
            base: reply.url,
        })
    }

    /// A safe request follows redirects wherever they lead; `exchange` sees to it that credentials do not.
    async fn read(&self, mut outgoing: Outgoing) -> Result<Reply, Error> {
        for _ in 0..=MOST_REDIRECTS {
            let reply = exchange::run(self.client, &outgoing, self.deadline).await?;
            let target = match reply.status.as_u16() {
                301 | 302 | 303 | 307 | 308 => reply.location(),
                _ => return Ok(reply),
            };
            let target = target
                .ok_or_else(|| redirect(&outgoing, reply.status, "without a usable Location"))?;
            outgoing.named_by_caller &= origins::name(&target) == origins::name(&outgoing.url);
            outgoing.url = checked(&target, &outgoing, reply.status)?;
        }
        Err(redirect(&outgoing, StatusCode::LOOP_DETECTED, "in a loop"))
    }

    async fn write(&self, mut outgoing: Outgoing) -> Result<Arrived, Error> {
        for _ in 0..=MOST_REDIRECTS {
            let reply = exchange::run(self.client, &outgoing, self.deadline).await?;
            let status = reply.status;
            return match status.as_u16() {
                307 | 308 => {
                    outgoing.url = self.moved(&reply, &outgoing)?;
                    continue;
                }
                // The answer to a duplicate: the first request did the work and this is its result.
                303 => self.result(reply, true, outgoing).await,
                304 => self.unchanged(reply, outgoing).await,
                201 if reply.body.is_empty() && reply.location().is_some() => {
                    self.result(reply, false, outgoing).await
                }
                300..=399 => Err(redirect(
                    &outgoing,
                    status,
                    "which says not how to repeat a write",
                )),
                _ => Ok(Arrived {
                    status,
                    reply,
                    already_applied: false,
                }),
            };
        }
        Err(redirect(&outgoing, StatusCode::LOOP_DETECTED, "in a loop"))
    }

    /// Where a write is to be repeated: only within its origin or at an allowed one, for its body may be confidential.
    fn moved(&self, reply: &Reply, outgoing: &Outgoing) -> Result<Url, Error> {
        let target = reply
            .location()
            .ok_or_else(|| redirect(outgoing, reply.status, "without a usable Location"))?;
        let origin = origins::name(&target);
        if origin == origins::name(&outgoing.url) || self.client.trusted_origins.contains(&origin) {
            Ok(target)
        } else {
            Err(redirect(
                outgoing,
                reply.status,
                &format!("to {origin}, which is not an allowed origin"),
            ))
        }
    }

    /// The document that a write's `Location` names.
    async fn result(
        &self,
        reply: Reply,
        already_applied: bool,
        outgoing: Outgoing,
    ) -> Result<Arrived, Error> {
        let status = reply.status;
        let location = reply
            .location()
            .ok_or_else(|| redirect(&outgoing, status, "without a usable Location"))?;
        if self.results == Results::Ignore {
            return Ok(Arrived {
                reply,
                status,
                already_applied,
            });
        }
        let location = checked(&location, &outgoing, status).map_err(Error::after_the_write)?;
        let reply = self
            .read(get(location, false))
            .await
            .map_err(Error::after_the_write)?;
        Ok(Arrived {
            reply,
            status,
            already_applied,
        })
    }

    /// 304 to a write: it was done before. What it led to is where it was sent, unless it was a deletion.
    async fn unchanged(&self, reply: Reply, outgoing: Outgoing) -> Result<Arrived, Error> {
        let status = reply.status;
        if self.results == Results::Ignore || outgoing.method == Method::DELETE {
            return Ok(Arrived {
                reply,
                status,
                already_applied: true,
            });
        }
        let target = reply.location().unwrap_or(outgoing.url);
        let reply = self
            .read(get(target, outgoing.named_by_caller))
            .await
            .map_err(Error::after_the_write)?;
        Ok(Arrived {
            reply,
            status,
            already_applied: true,
        })
    }
}

fn get(url: Url, named_by_caller: bool) -> Outgoing {
    let safety = Safety::of(&Method::GET, false, false);
    Outgoing {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: None,
        safety,
        named_by_caller,
    }
}

fn resolve(here: &Linked, hop: &Hop) -> Result<Url, Error> {
    let mut candidates = here.links.all(&hop.rel);
    let found = match &hop.name {
        Some(name) => candidates.find(|link| link.name.as_deref() == Some(name.as_str())),
        None => candidates.next(),
    };
    let link = found.ok_or_else(|| {
        let name = hop
            .name
            .as_ref()
            .map(|name| format!(" named `{name}`"))
            .unwrap_or_default();
        let message = format!(
            "no link `{}`{name}; on offer: {}",
            hop.rel,
            here.links.relations()
        );
        Error::new(ErrorKind::Link, message).on(&Method::GET, &here.base)
    })?;
    template::resolve(&here.base, &link.href, link.templated, &hop.variables)
}

fn checked(target: &Url, outgoing: &Outgoing, status: StatusCode) -> Result<Url, Error> {
    // Its only effect is the check of the scheme.
    template::resolve(target, target.as_str(), false, &Variables::new())
        .map_err(|error| redirect(outgoing, status, "to what is not HTTP").because(error))
}

fn redirect(outgoing: &Outgoing, status: StatusCode, what: &str) -> Error {
    Error::new(ErrorKind::Redirect, format!("redirected {what}"))
        .answered(status, None)
        .on(&outgoing.method, &outgoing.url)
}
