//! Background tasks that are started again when they fail.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::http::fallback::panic_text;
use crate::shutdown::Shutdown;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A run as long as this ends a series of failures.
const HEALTHY: Duration = Duration::from_secs(10);
/// So many failures in series make the process unready.
const TOLERATED: u32 = 3;

type Run = Box<dyn Fn(Shutdown) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// A task that runs as long as the process, such as a consumer or an outbox relay.
pub(crate) struct Task {
    pub(crate) name: String,
    run: Run,
}

impl Task {
    pub(crate) fn new<F, R>(name: impl Into<String>, run: F) -> Self
    where
        F: Fn(Shutdown) -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self {
            name: name.into(),
            run: Box::new(move |shutdown| Box::pin(run(shutdown))),
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Task").field(&self.name).finish()
    }
}

/// How a task is doing.
#[derive(Debug)]
pub(crate) struct TaskState {
    name: String,
    series: Mutex<Series>,
}

#[derive(Debug, Default)]
struct Series {
    /// Failures without a healthy run in between.
    failures: u32,
    restarts: u64,
    running_since: Option<Instant>,
    last_error: Option<String>,
}

impl TaskState {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            series: Mutex::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.series().restarts
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let series = self.series();
        let recovered = series
            .running_since
            .is_some_and(|since| since.elapsed() >= HEALTHY);
        if series.failures < TOLERATED || recovered {
            return Ok(());
        }
        let error = series.last_error.as_deref().unwrap_or("unknown");
        anyhow::bail!("failed {} times in series, last: {error}", series.failures)
    }

    fn started(&self) {
        self.series().running_since = Some(Instant::now());
    }

    /// Counts a failure and says how long to wait before the next start.
    fn failed(&self, error: String) -> Duration {
        let mut series = self.series();
        let healthy = series
            .running_since
            .take()
            .is_some_and(|since| since.elapsed() >= HEALTHY);
        series.failures = if healthy { 1 } else { series.failures + 1 };
        series.restarts += 1;
        series.last_error = Some(error);
        let doublings = (series.failures - 1).min(16);
        FIRST_PAUSE
            .saturating_mul(1 << doublings)
            .min(LONGEST_PAUSE)
    }

    fn series(&self) -> std::sync::MutexGuard<'_, Series> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a task until shutdown; an error, a panic or an early end is logged, counted and answered by a new start.
/// Returns whether it ended in order.
pub(crate) async fn supervise(task: Task, state: Arc<TaskState>, shutdown: Shutdown) -> bool {
    while !shutdown.is_requested() {
        state.started();
        let run = AssertUnwindSafe(async { (task.run)(shutdown.clone()).await })
            .catch_unwind()
            .await;
        let error = match run {
            Ok(Ok(())) if shutdown.is_requested() => return true,
            Ok(Ok(())) => "ended before it was asked to".to_owned(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => format!("panicked: {}", panic_text(panic.as_ref())),
        };
        if shutdown.is_requested() {
            tracing::error!(task = task.name, error, "a task did not end in order");
            return false;
        }
        let pause = state.failed(error.clone());
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(
            task = task.name,
            error,
            pause_ms,
            "a task failed; it is started again"
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.requested() => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn task(
        run: impl Fn(u32, Shutdown) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync + 'static,
    ) -> Task {
        let runs = AtomicU32::new(0);
        Task {
            name: "t".to_owned(),
            run: Box::new(move |stop| run(runs.fetch_add(1, Ordering::SeqCst), stop)),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn starts_again_after_error_panic_and_early_end() {
        let shutdown = Shutdown::new();
        let state = TaskState::new("t");
        let flaky = task(|run, stop| {
            Box::pin(async move {
                match run {
                    0 => anyhow::bail!("no connection"),
                    1 => panic!("bug"),
                    2 => Ok(()),
                    _ => {
                        stop.requested().await;
                        Ok(())
                    }
                }
            })
        });
        let supervised = tokio::spawn(supervise(flaky, state.clone(), shutdown.clone()));

        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(state.restarts(), 3);
        assert!(
            state
                .check()
                .unwrap_err()
                .to_string()
                .contains("ended before")
        );

        tokio::time::sleep(HEALTHY).await;
        state.check().unwrap();
        shutdown.request();
        assert!(supervised.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_longer_each_time_and_ends_when_asked() {
        let shutdown = Shutdown::new();
        let state = TaskState::new("t");
        let broken = task(|_, _| Box::pin(async { anyhow::bail!("no") }));
        let supervised = tokio::spawn(supervise(broken, state.clone(), shutdown.clone()));
        tokio::time::sleep(Duration::from_mins(10)).await;
        // 0.2 + 0.4 + … + 25.6 s, then one start every 30 s.
        assert!(
            (15..=30).contains(&state.restarts()),
            "{}",
            state.restarts()
        );
        shutdown.request();
        assert!(supervised.await.unwrap());
    }
}
