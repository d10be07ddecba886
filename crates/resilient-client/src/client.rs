//! The client and how it is set up.

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use http::HeaderMap;
use url::Url;

use crate::{
    authorize::Authorize,
    breaker::BreakerPolicy,
    entry::EntryMemory,
    error::{Error, ErrorKind},
    follow::Follow,
    origins::{self, Origins},
    retry::RetryPolicy,
    stats::{Counters, Stats},
    transport::Transport,
};

/// A client of one service, known by its entry point. Cheap to clone; clones share circuits, budgets and connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

type HeadersHook = Arc<dyn Fn(&mut HeaderMap) + Send + Sync>;

pub(crate) struct Inner {
    pub(crate) entry: Url,
    pub(crate) entry_memory: EntryMemory,
    pub(crate) trusted_origins: HashSet<String>,
    pub(crate) authorizer: Option<Arc<dyn Authorize>>,
    pub(crate) headers_hook: Option<HeadersHook>,
    pub(crate) timeout: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) origins: Origins,
    pub(crate) transport: Transport,
    pub(crate) counters: Counters,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("origin", &origins::name(&self.inner.entry))
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Starts from the address of a service's entry point: the document that holds its links.
    pub fn builder(entry: &str) -> Result<ClientBuilder, Error> {
        let entry = parse(entry)?;
        Ok(ClientBuilder {
            trusted_origins: HashSet::from([origins::name(&entry)]),
            entry,
            entry_kept_for: Duration::ZERO,
            authorizer: None,
            headers_hook: None,
            timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            longest_body: 16 * 1024 * 1024,
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
        })
    }

    /// Follows a link of the entry point. Nothing is sent yet.
    pub fn follow(&self, rel: impl Into<String>) -> Follow {
        self.entry().follow(rel)
    }

    /// The entry point itself.
    pub fn entry(&self) -> Follow {
        Follow::entry(self.clone())
    }

    /// An address from elsewhere: a setting, an event, a stored document. It may be relative to the entry point, or a URI
    /// template. Credentials go there only if its origin is an allowed one.
    pub fn at(&self, address: impl Into<String>) -> Follow {
        Follow::address(self.clone(), address.into())
    }

    /// What this client and its clones have done so far.
    pub fn stats(&self) -> Stats {
        self.inner.counters.snapshot()
    }
}

/// The settings of a [`Client`].
#[must_use = "a builder does nothing until `build`"]
pub struct ClientBuilder {
    entry: Url,
    entry_kept_for: Duration,
    trusted_origins: HashSet<String>,
    authorizer: Option<Arc<dyn Authorize>>,
    headers_hook: Option<HeadersHook>,
    timeout: Duration,
    attempt_timeout: Duration,
    connect_timeout: Duration,
    longest_body: usize,
    user_agent: String,
    retry: RetryPolicy,
    breaker: BreakerPolicy,
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("origin", &origins::name(&self.entry))
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Sends credentials to the entry point's origin, and to those added with [`allow_origin`](Self::allow_origin).
    pub fn auth(mut self, authorizer: impl Authorize) -> Self {
        self.authorizer = Some(Arc::new(authorizer));
        self
    }

    /// Credentials and headers may go to this origin too. Links and redirects to any other are followed without them.
    pub fn allow_origin(mut self, url: &str) -> Result<Self, Error> {
        self.trusted_origins.insert(origins::name(&parse(url)?));
        Ok(self)
    }

    /// Adds headers to every request to an allowed origin: W3C trace context, a transaction id.
    pub fn headers_from(mut self, hook: impl Fn(&mut HeaderMap) + Send + Sync + 'static) -> Self {
        self.headers_hook = Some(Arc::new(hook));
        self
    }

    /// When failed requests are repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// When to stop asking an origin that fails.
    pub fn breaker(mut self, policy: BreakerPolicy) -> Self {
        self.breaker = policy;
        self
    }

    /// The time for a whole call: every hop, attempt and pause. Default 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The time for one attempt, from connecting to the last byte of the answer. Default 10 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// The time to connect. Default 3 s. Keep it below the time for an attempt: only a failure to connect proves that
    /// nothing was sent.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The longest answer to accept, in bytes. Default 16 MiB.
    pub fn longest_body(mut self, bytes: usize) -> Self {
        self.longest_body = bytes;
        self
    }

    /// What the client calls itself.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = name.into();
        self
    }

    /// Keeps the entry point's links for this long instead of reading them for every call. They are read again at once
    /// when one of them turns out to lead nowhere (404, 410). Default: not kept.
    pub fn keep_entry_for(mut self, time: Duration) -> Self {
        self.entry_kept_for = time;
        self
    }

    /// Makes the client.
    pub fn build(self) -> Result<Client, Error> {
        Ok(Client {
            inner: Arc::new(Inner {
                transport: Transport::new(
                    self.connect_timeout,
                    self.longest_body,
                    &self.user_agent,
                )?,
                origins: Origins::new(self.breaker, self.retry.clone()),
                entry: self.entry,
                entry_memory: EntryMemory::new(self.entry_kept_for),
                trusted_origins: self.trusted_origins,
                authorizer: self.authorizer,
                headers_hook: self.headers_hook,
                timeout: self.timeout,
                attempt_timeout: self.attempt_timeout,
                retry: self.retry,
                counters: Counters::default(),
            }),
        })
    }
}

fn parse(url: &str) -> Result<Url, Error> {
    let mistake = |reason: String| Error::new(ErrorKind::Request, reason);
    let url =
        Url::parse(url).map_err(|error| mistake(format!("`{url}` is no URL")).because(error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(mistake(format!("`{}` is not an HTTP scheme", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(mistake(
            "credentials do not belong into a URL; use `auth`".to_owned(),
        ));
    }
    Ok(url)
}
