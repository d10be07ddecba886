//! What services share in one process.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use tokio::net::TcpListener;
use url::Url;

use crate::settings::Settings;
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::Metrics;

/// What services get from their host.
#[derive(Debug)]
#[non_exhaustive]
pub struct Resources {
    /// The settings; `public_url` and `issuer` are known by now.
    pub settings: Settings,
    /// Where to record measurements.
    pub metrics: Metrics,
    /// Tells when to stop.
    pub shutdown: Shutdown,
    listener: Mutex<Option<TcpListener>>,
    address: SocketAddr,
}

impl Resources {
    /// Opens the port, so that its number is known, and connects to everything else.
    pub async fn connect(mut settings: Settings) -> anyhow::Result<Self> {
        let listen = settings.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("cannot listen on {listen}; another address can be given with COMMERCE_LISTEN")
        })?;
        let address = listener.local_addr()?;
        let public_url = match settings.public_url.take() {
            Some(url) => url,
            None => Url::parse(&format!("http://{}", reachable(address)))?,
        };
        settings.issuer.get_or_insert_with(|| public_url.clone());
        settings.public_url = Some(public_url);
        Ok(Self {
            metrics: Metrics::new("commerce")?,
            shutdown: Shutdown::new(),
            listener: Mutex::new(Some(listener)),
            address,
            settings,
        })
    }

    /// The address that is listened on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn take_listener(&self) -> Option<TcpListener> {
        self.listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// A server may listen on every address; a caller needs one.
fn reachable(address: SocketAddr) -> SocketAddr {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
