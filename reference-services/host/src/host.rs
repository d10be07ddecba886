//! Puts services behind one server, keeps their tasks running, and drains them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::health::tasks::{TaskState, supervise};
use crate::health::{Check, Health, Phase};
use crate::resources::Resources;
use crate::server::{self, Routes};
use crate::service::Service;
use crate::shutdown::{self, Drained};

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
    resources: Arc<Resources>,
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
        let needs_tokens = services.iter().any(|service| service.needs_tokens);
        check_resources(&health, &resources, needs_tokens).await;

        let shutdown = &resources.shutdown;
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
        let router = server::router(routes, health.clone(), &resources);
        let serve = axum::serve(listener, router).with_graceful_shutdown(shutdown.requested());
        let http = tokio::spawn(async move {
            // It ends when the shutdown is requested and every request is answered; what fails on the way is retried
            // inside.
            if let Err(error) = serve.await {
                tracing::error!(%error, "the server ended");
            }
        });
        work.push(("http".to_owned(), http));
        health.enter(Phase::Serving);
        tracing::info!(address = %local_addr, url = %resources.public_url, "serving");
        Ok(Running {
            local_addr,
            health,
            resources: Arc::new(resources),
            work,
        })
    }

    /// Starts, serves until SIGINT or SIGTERM, and drains.
    pub async fn serve(self) -> anyhow::Result<Drained> {
        let running = self.start().await?;
        tokio::select! {
            signal = shutdown::signal() => signal.context("cannot wait for signals")?,
            () = running.resources.shutdown.requested() => {}
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

    /// The address under which callers reach it, without a slash at the end.
    pub fn url(&self) -> &str {
        self.resources.public_url.as_str().trim_end_matches('/')
    }

    /// What the services share.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Takes no more work, finishes what was begun, and tells whether that was done before the deadline.
    pub async fn shutdown(self) -> Drained {
        self.health.enter(Phase::Draining);
        self.resources.shutdown.request();
        let deadline = Instant::now() + self.resources.settings.drain;
        let mut unfinished = Vec::new();
        for (name, mut work) in self.work {
            match timeout_at(deadline, &mut work).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(task = name, %error, "a task did not end in order")
                }
                Err(_) => {
                    work.abort();
                    unfinished.push(name);
                }
            }
        }
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(100));
        self.resources.close(left).await;
        if unfinished.is_empty() {
            tracing::info!("drained");
            Drained::Clean
        } else {
            tracing::error!(?unfinished, "the drain took too long");
            Drained::TimedOut { unfinished }
        }
    }
}

/// Whatever the services share is part of being ready.
async fn check_resources(health: &Health, resources: &Resources, tokens: bool) {
    let bus = resources.bus.clone();
    health.add_check(Check::new("bus", move || {
        let bus = bus.clone();
        async move { Ok(bus.check().await?) }
    }));
    for (name, database) in resources.databases().await {
        health.add_check(Check::new(format!("database {name}"), move || {
            let database = database.clone();
            async move { Ok(database.check().await?) }
        }));
    }
    if tokens {
        let verifier = resources.verifier.clone();
        let issuer = resources.issuer.clone();
        health.add_check(Check::new("tokens", move || {
            let (ready, issuer) = (verifier.is_ready(), issuer.clone());
            async move {
                if ready {
                    Ok(())
                } else {
                    anyhow::bail!("the keys of {issuer} have not been fetched yet")
                }
            }
        }));
    }
}
