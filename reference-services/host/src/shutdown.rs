//! The wish to stop, passed down as a value.

use tokio_util::sync::CancellationToken;

/// Ended by a second Ctrl-C, as a shell reports a process that SIGINT has ended.
const INTERRUPTED: i32 = 130;

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

/// The first SIGINT or SIGTERM from now on asks for the shutdown that is returned; the second ends the process at once,
/// with exit code 130, whatever it does.
///
/// Call it once, before anything starts: what comes while a process starts is kept and drains it once it has started.
///
/// # Errors
///
/// When the process cannot listen to signals.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn shutdown_on_signal() -> std::io::Result<Shutdown> {
    let shutdown = Shutdown::new();
    let asked = shutdown.clone();
    let mut signals = Signals::listen()?;
    tokio::spawn(async move {
        signals.next().await;
        asked.request();
        signals.next().await;
        std::process::exit(INTERRUPTED);
    });
    Ok(shutdown)
}

/// SIGINT and SIGTERM from one moment on: a signal that comes while nobody waits is not lost.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
