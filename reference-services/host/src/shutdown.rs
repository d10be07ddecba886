//! The wish to stop, passed down as a value.

use tokio_util::sync::CancellationToken;

/// Tells every task of a process that it is time to finish; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A shutdown that nobody has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for it.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether it has been asked for.
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Completes when it is asked for; owns what it needs, so it fits where a `'static` future is wanted.
    pub fn requested(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.clone().cancelled_owned()
    }
}

/// How a process or a host came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request and task was finished.
    Clean,
    /// The deadline passed first; names what was still going on.
    TimedOut {
        /// `http` for requests, else the names of tasks.
        unfinished: Vec<String>,
    },
}

/// Waits for the first SIGINT or SIGTERM.
pub(crate) async fn signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
