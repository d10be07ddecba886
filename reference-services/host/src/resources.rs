//! What services share in one process.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use commerce_consumer_framework::storage::Database;
use commerce_event_bus::EventBus;
use commerce_identity_client::Verifier;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use url::Url;

use crate::namespace::namespaced;
use crate::private;
use crate::settings::{ConnectionUrl, Settings};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::Metrics;

/// What services get from their host.
#[derive(Debug)]
#[non_exhaustive]
pub struct Resources {
    /// The settings.
    pub settings: Settings,
    /// The address under which callers reach the services.
    pub public_url: Url,
    /// Who issues the tokens, as it stands in them: without a slash at the end.
    pub issuer: String,
    /// The event bus.
    pub bus: EventBus,
    /// Verifies tokens. The host installs it on every route, so handlers need only take a `Principal`.
    pub verifier: Verifier,
    /// Where to record measurements.
    pub metrics: Metrics,
    /// Tells when to stop.
    pub shutdown: Shutdown,
    databases: Mutex<BTreeMap<String, Database>>,
    listener: std::sync::Mutex<Option<TcpListener>>,
    address: SocketAddr,
}

impl Resources {
    /// Opens the port, so that its number is known, and connects to the bus.
    ///
    /// Nothing is answered before [`Host::start`](crate::Host::start); callers who connect meanwhile wait.
    pub async fn connect(settings: Settings) -> anyhow::Result<Self> {
        let listen = settings.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("cannot listen on {listen}; another address can be given with COMMERCE_LISTEN")
        })?;
        let address = listener.local_addr()?;
        let public_url = match &settings.public_url {
            Some(url) => url.clone(),
            None => local_url(address),
        };
        let issuer = settings.issuer.as_ref().unwrap_or(&public_url).as_str();
        let issuer = issuer.trim_end_matches('/').to_owned();
        let verifier =
            Verifier::discover(&issuer, &settings.audience).context("cannot verify tokens")?;
        make_directories(&settings).await?;
        let bus = connect_bus(&settings).await?;
        Ok(Self {
            public_url,
            issuer,
            bus,
            verifier,
            metrics: Metrics::new("commerce")?,
            shutdown: Shutdown::new(),
            databases: Mutex::default(),
            listener: std::sync::Mutex::new(Some(listener)),
            address,
            settings,
        })
    }

    /// The database of the service called `name`: a PostgreSQL schema or an SQLite file of its own.
    ///
    /// Asked twice, it gives the same; the host closes it at the end and asks it for readiness until then.
    pub async fn database(&self, name: &str) -> anyhow::Result<Database> {
        // A schema's name is an identifier.
        let schema = match &self.settings.namespace {
            Some(namespace) => format!("{namespace}_{name}"),
            None => name.to_owned(),
        }
        .replace('-', "_");
        let mut databases = self.databases.lock().await;
        if let Some(database) = databases.get(&schema) {
            return Ok(database.clone());
        }
        let url = self.settings.store_url();
        let database = Database::connect_in(url.expose(), &schema)
            .await
            .with_context(|| format!("cannot open the database of {name} at {url}"))?;
        databases.insert(schema, database.clone());
        Ok(database)
    }

    /// The names of the databases that were asked for so far: PostgreSQL schemas, or SQLite files without their `.db`.
    pub async fn database_names(&self) -> Vec<String> {
        self.databases.lock().await.keys().cloned().collect()
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn databases(&self) -> BTreeMap<String, Database> {
        self.databases.lock().await.clone()
    }

    pub(crate) fn take_listener(&self) -> Option<TcpListener> {
        self.listener
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
    }

    /// Closes bus and databases, in this order: the bus may still settle what a transaction has committed.
    pub(crate) async fn close(&self, within: Duration) {
        if let Err(error) = self.bus.close(within).await {
            tracing::warn!(%error, "the bus was not closed in order; what was unsettled is delivered again");
        }
        for database in self.databases().await.into_values() {
            if tokio::time::timeout(within, database.close())
                .await
                .is_err()
            {
                tracing::warn!("a database was not closed in time");
            }
        }
    }
}

/// Makes the directories of what is kept on this machine.
async fn make_directories(settings: &Settings) -> anyhow::Result<()> {
    let file = |url: &ConnectionUrl| {
        let rest = url.expose().strip_prefix("sqlite:")?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        Some(PathBuf::from(rest.split('?').next().unwrap_or_default()))
    };
    let bus = file(&settings.bus_url()).and_then(|file| file.parent().map(Path::to_owned));
    let store = file(&settings.store_url());
    let directories = [Some(settings.data.clone()), bus, store];
    let directories = directories
        .into_iter()
        .flatten()
        .filter(|directory| !directory.as_os_str().is_empty())
        .collect::<Vec<_>>();
    tokio::task::spawn_blocking(move || {
        directories.iter().try_for_each(|directory| {
            private::directory(directory)
                .with_context(|| format!("cannot make the directory {}", directory.display()))
        })
    })
    .await?
}

async fn connect_bus(settings: &Settings) -> anyhow::Result<EventBus> {
    let url = settings.bus_url();
    let bus = EventBus::connect(url.expose())
        .await
        .with_context(|| format!("cannot connect to the bus at {url}"))?;
    Ok(match &settings.namespace {
        Some(namespace) => namespaced(&bus, namespace),
        None => bus,
    })
}

/// Where callers on this machine reach a server that listens on `address`: it may listen on every address, a caller
/// needs one.
pub fn local_url(address: SocketAddr) -> Url {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let url = format!("http://{}", SocketAddr::new(ip, address.port()));
    Url::parse(&url).unwrap_or_else(|error| unreachable!("{url} is a URL: {error}"))
}

#[cfg(test)]
mod tests {
    use super::local_url;

    #[test]
    fn who_listens_everywhere_is_reached_at_home() {
        for (listen, url) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080/"),
            ("[::]:8080", "http://[::1]:8080/"),
            ("10.1.2.3:80", "http://10.1.2.3/"),
            ("[fe80::1%3]:8080", "http://[fe80::1]:8080/"),
        ] {
            assert_eq!(local_url(listen.parse().unwrap()).as_str(), url);
        }
    }
}
