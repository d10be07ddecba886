//! Puts services behind one server, keeps their tasks running, and drains them.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use commerce_consumer_framework::Stats;
use commerce_consumer_framework::outbox::Relay;
use commerce_consumer_framework::storage::Database;
use commerce_event_bus::{EventBus, TopicName};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::connections;
use crate::consumers::{Around, Handle};
use crate::health::consumption::Consumption;
use crate::health::tasks::{Task, TaskState, supervise};
use crate::health::{Check, Health, Phase};
use crate::resources::Resources;
use crate::server::{self, Routes};
use crate::service::Service;
use crate::shutdown::{Drained, Shutdown};
use crate::telemetry::sampling;
use crate::unheard::unheard;

/// A process that is being put together.
#[must_use = "nothing runs before start or serve"]
pub struct Host {
    resources: Resources,
    services: Vec<Service>,
    around: Option<Around>,
}

/// A process that serves.
#[derive(Debug)]
pub struct Running {
    local_addr: SocketAddr,
    health: Arc<Health>,
    resources: Arc<Resources>,
    consumptions: Vec<Arc<Consumption>>,
    /// Requests, consumers and tasks.
    work: Vec<Work>,
    /// They publish what the work has stored, so they stop after it.
    relays: Vec<Work>,
    stop_relays: Shutdown,
}

/// Name and end of something that was started.
type Work = (String, JoinHandle<bool>);

impl Host {
    /// A process with these resources and no service yet.
    pub fn new(resources: Resources) -> Self {
        Self {
            resources,
            services: Vec::new(),
            around: None,
        }
    }

    /// Adds a service.
    pub fn mount(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Puts something around every consumer's handlers: it gets the consumer's name and the service that handles its
    /// calls. For tests and demonstrations that make handlers crash.
    pub fn around_consumers(
        mut self,
        around: impl Fn(&str, Handle) -> Handle + Send + Sync + 'static,
    ) -> Self {
        self.around = Some(Arc::new(around));
        self
    }

    /// Starts the server and all tasks, and returns.
    pub async fn start(self) -> anyhow::Result<Running> {
        let Self {
            resources,
            services,
            around,
        } = self;
        let listener = resources
            .take_listener()
            .context("these resources serve another host already")?;
        let local_addr = listener.local_addr()?;
        let settings = &resources.settings;
        let health = Arc::new(Health::default());
        let needs_tokens = services.iter().any(|service| service.needs_tokens);
        check_resources(&health, &resources, needs_tokens).await;

        let shutdown = &resources.shutdown;
        let stop_relays = Shutdown::new();
        let start = |service: &str, mut task: Task, shutdown: &Shutdown| -> Work {
            task.name = format!("{service}/{}", task.name);
            let name = task.name.clone();
            let state = TaskState::new(&name);
            health.add_task(state.clone());
            resources.metrics.observe_task(&state);
            (name, tokio::spawn(supervise(task, state, shutdown.clone())))
        };
        let (mut apis, mut work, mut relays) = (Vec::new(), Vec::new(), Vec::new());
        let (mut consumptions, mut outboxes) = (Vec::new(), Vec::new());
        // What is not done in most of the time is given back while there is still time to do so.
        let most = settings.drain.mul_f64(0.8);
        for service in services {
            let name = service.name;
            for consumer in service.consumers {
                let (task, consumption) = consumer.into_task(around.clone(), most);
                watch_consumption(&health, &consumption, settings.stall);
                consumptions.push(consumption);
                work.push(start(&name, task, shutdown));
            }
            for task in service.tasks {
                work.push(start(&name, task, shutdown));
            }
            let unheard_topics = service.unheard.into_iter().map(TopicName::new);
            let unheard_topics = unheard_topics
                .collect::<Result<_, _>>()
                .with_context(|| format!("a topic that {name} names is none"))?;
            let bus = unheard(&resources.bus, unheard_topics);
            for database in service.outboxes {
                outboxes.push((name.clone(), database.clone()));
                let relay = relay(database, bus.clone(), settings.drain);
                relays.push(start(&name, relay, &stop_relays));
            }
            for mut check in service.checks {
                check.name = format!("{name}/{}", check.name);
                health.add_check(check);
            }
            apis.push(Routes {
                name,
                title: service.title,
                router: service.router,
                links: service.links,
            });
        }
        let watch = sampling::watch(
            resources.bus.clone(),
            consumptions.clone(),
            outboxes,
            resources.metrics.clone(),
            shutdown.clone(),
        );
        tokio::spawn(watch);

        let router = server::router(apis, health.clone(), &resources);
        let serve =
            connections::serve(listener, router, settings.request_timeout, shutdown.clone());
        // It ends when the shutdown is requested and every request is answered; what fails on the way is retried inside.
        let http = tokio::spawn(async move {
            serve.await;
            true
        });
        work.push(("http".to_owned(), http));
        health.enter(Phase::Serving);
        tracing::info!(address = %local_addr, url = %resources.public_url, "serving");
        Ok(Running {
            local_addr,
            health,
            resources: Arc::new(resources),
            consumptions,
            work,
            relays,
            stop_relays,
        })
    }

    /// Starts, serves until the end is asked for, and drains.
    pub async fn serve(self, stop: &Shutdown) -> anyhow::Result<Drained> {
        let running = self.start().await?;
        running.until_stop(stop).await;
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

    /// Waits until `stop`, such as [`shutdown_on_signal`](crate::shutdown_on_signal) makes, or a task of the process asks
    /// for the end.
    pub async fn until_stop(&self, stop: &Shutdown) {
        tokio::select! {
            () = stop.requested() => {}
            () = self.resources.shutdown.requested() => {}
        }
        tracing::info!("draining; a second Ctrl-C ends at once");
    }

    /// What the services share.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Each consumer's name and its counters since it was started last.
    pub fn consumers(&self) -> impl Iterator<Item = (&str, Arc<Stats>)> {
        self.consumptions
            .iter()
            .map(|consumption| (consumption.name(), consumption.stats()))
    }

    /// Ends the consumer of that name where it stands, as a crash of its own would: handlers under way are cut off, what
    /// they had not finished is delivered again, and after a pause the consumer subscribes anew, with new counters. For
    /// tests and demonstrations; false when there is no such consumer.
    pub fn abort_consumer(&self, name: &str) -> bool {
        let mut found = false;
        for consumption in self.consumptions.iter().filter(|one| one.name() == name) {
            consumption.abort();
            found = true;
        }
        found
    }

    /// Takes no more work, finishes what was begun, publishes what it stored, and tells whether all that was done
    /// before the deadline.
    pub async fn shutdown(self) -> Drained {
        self.health.enter(Phase::Draining);
        self.resources.shutdown.request();
        let deadline = Instant::now() + self.resources.settings.drain;
        let mut unfinished = finish(self.work, deadline).await;
        self.stop_relays.request();
        // Even after a late end of the work, relays are given a moment to leave their lease to others.
        let moment = Instant::now() + Duration::from_millis(500);
        unfinished.extend(finish(self.relays, deadline.max(moment)).await);
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(500));
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

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Host")
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

/// Waits for the end of work and names what did not end, or not in order.
async fn finish(work: Vec<Work>, deadline: Instant) -> Vec<String> {
    let mut unfinished = Vec::new();
    for (name, mut work) in work {
        match timeout_at(deadline, &mut work).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => unfinished.push(name),
            Ok(Err(error)) => {
                tracing::error!(task = name, %error, "a task did not end in order");
                unfinished.push(name);
            }
            Err(_) => {
                work.abort();
                unfinished.push(name);
            }
        }
    }
    unfinished
}

/// The relay of one database.
fn relay(database: Database, bus: EventBus, drain: Duration) -> Task {
    let most = drain.mul_f64(0.8);
    Task::new("relay", move |shutdown| {
        let relay = Relay::new(database.clone(), bus.clone()).drain_within(most);
        async move {
            let drained = relay.run_until(shutdown.requested()).await;
            anyhow::ensure!(
                drained.clean,
                "events stay in the outbox until the next start: time was up"
            );
            Ok(())
        }
    })
}

fn watch_consumption(health: &Health, consumption: &Arc<Consumption>, stall: Duration) {
    let watched = consumption.clone();
    health.add_check(Check::new(
        format!("consumption {}", consumption.name()),
        move || {
            let result = watched.check(stall);
            async move { result }
        },
    ));
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
            let ready = verifier.is_ready();
            let issuer = issuer.clone();
            async move {
                anyhow::ensure!(ready, "the keys of {issuer} have not been fetched yet");
                Ok(())
            }
        }));
    }
}
