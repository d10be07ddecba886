//! Whether the process lives, and whether it should be given work.

pub(crate) mod consumption;
pub(crate) mod tasks;

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, join_all};
use http::StatusCode;
use serde::Serialize;

use self::tasks::TaskState;
use crate::http::json::Json;

/// A check that takes longer counts as failed: whoever asks has a timeout too.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

type Run = Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// A named question about something that the service needs.
#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) name: String,
    run: Run,
}

impl Check {
    pub(crate) fn new<F, R>(name: impl Into<String>, run: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self {
            name: name.into(),
            run: Arc::new(move || Box::pin(run())),
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Check").field(&self.name).finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    Starting = 0,
    Serving = 1,
    Draining = 2,
}

/// The state behind the health endpoints.
#[derive(Debug, Default)]
pub(crate) struct Health {
    phase: AtomicU8,
    checks: RwLock<Vec<Check>>,
    tasks: RwLock<Vec<Arc<TaskState>>>,
}

#[derive(Debug, Serialize)]
struct Readiness {
    status: &'static str,
    checks: Vec<Outcome>,
}

#[derive(Debug, Serialize)]
struct Outcome {
    name: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Health {
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    pub(crate) fn add_check(&self, check: Check) {
        self.checks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(check);
    }

    pub(crate) fn add_task(&self, task: Arc<TaskState>) {
        self.tasks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(task);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Draining,
        }
    }

    async fn readiness(&self) -> Readiness {
        let phase = match self.phase() {
            Phase::Starting => Err(anyhow::anyhow!("starting")),
            Phase::Serving => Ok(()),
            Phase::Draining => Err(anyhow::anyhow!("draining")),
        };
        let mut outcomes = vec![outcome("phase".to_owned(), phase)];
        let tasks = self
            .tasks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        outcomes.extend(
            tasks
                .iter()
                .map(|task| outcome(format!("task {}", task.name()), task.check())),
        );
        let checks = self
            .checks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        outcomes.extend(join_all(checks.into_iter().map(run)).await);
        let ready = outcomes.iter().all(|outcome| outcome.status == "ok");
        Readiness {
            status: if ready { "ready" } else { "not ready" },
            checks: outcomes,
        }
    }
}

async fn run(check: Check) -> Outcome {
    let result = match tokio::time::timeout(CHECK_TIMEOUT, (check.run)()).await {
        Ok(result) => result,
        Err(_) => Err(anyhow::anyhow!("no answer within {CHECK_TIMEOUT:?}")),
    };
    outcome(check.name, result)
}

fn outcome(name: String, result: anyhow::Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome {
            name,
            status: "ok",
            detail: None,
        },
        Err(error) => Outcome {
            name,
            status: "failed",
            detail: Some(format!("{error:#}")),
        },
    }
}

/// `GET /health/live`: the process answers, nothing more.
pub(crate) async fn live() -> Response {
    Json(serde_json::json!({ "status": "live" })).into_response()
}

/// `GET /health/ready`: 200 when the process should be given work, else 503 and why.
pub(crate) async fn ready(State(health): State<Arc<Health>>) -> Response {
    let readiness = health.readiness().await;
    let status = if readiness.status == "ready" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness)).into_response()
}
