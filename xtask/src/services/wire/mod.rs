//! Minimal clients, one per protocol: just enough to put something into a server and get the same thing back.
//!
//! A real client of each server is part of the workspace; it is not used here, because this program must build in seconds
//! and because the judge of whether a server is up should not be the code under test.

pub(crate) mod amqp;
pub(crate) mod aws;
pub(crate) mod http;
pub(crate) mod kafka;
pub(crate) mod postgresql;
pub(crate) mod redis;
pub(crate) mod registry;
pub(crate) mod url;

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Longest wait for one answer of a server that is on the same machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection whose reads and writes end after [`PATIENCE`].
fn connect(host: &str, port: u16) -> Result<TcpStream> {
    let open = || -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    open().with_context(|| format!("no connection to {host}:{port}"))
}

/// A payload no other run has sent.
fn unique(prefix: &str) -> String {
    let nanoseconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    format!("{prefix}-{}-{nanoseconds}", std::process::id())
}
