//! Puts services behind one server, keeps their tasks running, and drains them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;

use crate::health::tasks::{TaskState, supervise};
use crate::health::{Health, Phase};
use crate::resources::Resources;
use crate::server::{self, Routes};
use crate::service::Service;
use crate::shutdown::{self, Drained, Shutdown};

/// A process that is being put together.
#[derive(Debug)]
#[must_use = "nothing runs before start or serve"]
pub struct Host {
    resources: Resources,
    services: Vec<Service>,
}

/// A process that serves.
#[derive(Debug)]
pub struct Running {
    local_addr: SocketAddr,
    health: Arc<Health>,
    shutdown: Shutdown,
    drain: Duration,
    /// Name and end of everything that was started.
    work: Vec<(String, JoinHandle<()>)>,
}

impl Host {
    /// A process with these resources and no service yet.
    pub fn new(resources: Resources) -> Self {
        Self {
            resources,
            services: Vec::new(),
        }
    }

    /// Adds a service.
    pub fn mount(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Starts the server and all tasks, and returns.
    pub async fn start(self) -> anyhow::Result<Running> {
        let Self {
            resources,
            services,
        } = self;
        let listener = resources
            .take_listener()
            .context("these resources serve another host already")?;
        let local_addr = listener.local_addr()?;
        let health = Arc::new(Health::default());
        let shutdown = resources.shutdown.clone();
        let mut routes = Vec::new();
        let mut work = Vec::new();
        for service in services {
            for task in service.tasks {
                let name = format!("{}/{}", service.name, task.name);
                let state = TaskState::new(&name);
                health.add_task(state.clone());
                resources.metrics.observe_task(&state);
                work.push((name, tokio::spawn(supervise(task, state, shutdown.clone()))));
            }
            for mut check in service.checks {
                check.name = format!("{}/{}", service.name, check.name);
                health.add_check(check);
            }
            routes.push(Routes {
                name: service.name,
                title: service.title,
                router: service.router,
                links: service.links,
            });
        }
        let settings = &resources.settings;
        let router = server::router(
            routes,
            health.clone(),
            resources.metrics.clone(),
            settings.request_timeout,
        );
        let serve = axum::serve(listener, router).with_graceful_shutdown(shutdown.requested());
        let http = tokio::spawn(async move {
            // Accept errors are retried inside; it ends when the shutdown is requested and all requests are answered.
            if let Err(error) = serve.await {
                tracing::error!(%error, "the server ended");
            }
        });
        work.push(("http".to_owned(), http));
        health.enter(Phase::Serving);
        tracing::info!(address = %local_addr, "serving");
        Ok(Running {
            local_addr,
            health,
            shutdown,
            drain: settings.drain,
            work,
        })
    }

    /// Starts, serves until SIGINT or SIGTERM, and drains.
    pub async fn serve(self) -> anyhow::Result<Drained> {
        let running = self.start().await?;
        tokio::select! {
            signal = shutdown::signal() => signal.context("cannot wait for signals")?,
            () = running.shutdown.requested() => {}
        }
        tracing::info!("draining; a second Ctrl-C ends at once");
        Ok(running.shutdown().await)
    }
}

impl Running {
    /// The address that is served.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// `http://` and the address.
    pub fn url(&self) -> String {
        format!("http://{}", self.local_addr)
    }

    /// Takes no more work, finishes what was begun, and tells whether that was done before the deadline.
    pub async fn shutdown(self) -> Drained {
        self.health.enter(Phase::Draining);
        self.shutdown.request();
        let deadline = tokio::time::Instant::now() + self.drain;
        let mut unfinished = Vec::new();
        for (name, mut work) in self.work {
            match tokio::time::timeout_at(deadline, &mut work).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(task = name, %error, "a task did not end properly")
                }
                Err(_) => {
                    work.abort();
                    unfinished.push(name);
                }
            }
        }
        if unfinished.is_empty() {
            tracing::info!("drained");
            Drained::Clean
        } else {
            tracing::error!(?unfinished, "the drain took too long");
            Drained::TimedOut { unfinished }
        }
    }
}
