//! Free loopback ports.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result};

/// Below the range that systems hand out for outgoing connections (Linux 32768 and up, macOS 49152 and up): a server that
/// is killed and started again must find its port still free, and an outgoing connection cannot take one from here.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Hands out each port once.
#[derive(Debug)]
pub(crate) struct Ports {
    start: u16,
    taken: Mutex<BTreeSet<u16>>,
}

impl Ports {
    /// Starts looking at a place that depends on the directory, so that two clones rarely meet. `taken` are ports that
    /// belong to servers known here, running or not.
    pub(crate) fn new(directory: &Path, taken: BTreeSet<u16>) -> Self {
        let mut hasher = DefaultHasher::new();
        directory.hash(&mut hasher);
        let offset = u16::try_from(hasher.finish() % u64::from(COUNT)).unwrap_or(0);
        Self {
            start: offset,
            taken: Mutex::new(taken),
        }
    }

    pub(crate) fn take(&self) -> Result<u16> {
        let mut taken = self
            .taken
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let free = (0..COUNT)
            .map(|step| FIRST + (self.start + step) % COUNT)
            .find(|port| !taken.contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let free = free.context("no free port on 127.0.0.1 between 20000 and 32000")?;
        taken.insert(free);
        Ok(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_handed_out_twice_nor_when_somebody_listens() {
        let ports = Ports::new(Path::new("a"), BTreeSet::new());
        let first = ports.take().unwrap();
        let next = FIRST + (first - FIRST + 1) % COUNT;
        // Whether it can be bound or somebody else has it, it is not free now.
        let _listener = TcpListener::bind(("127.0.0.1", next));
        let second = ports.take().unwrap();
        assert!(second != first && second != next, "{first} {next} {second}");
        assert!((FIRST..FIRST + COUNT).contains(&second));
    }

    #[test]
    fn ports_of_known_servers_are_left_alone() {
        let first = Ports::new(Path::new("b"), BTreeSet::new()).take().unwrap();
        assert_ne!(
            Ports::new(Path::new("b"), BTreeSet::from([first]))
                .take()
                .unwrap(),
            first
        );
    }
}
