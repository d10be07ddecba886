//! A service as the host sees it: routes, links, tasks and checks under one name.

use std::fmt;

use commerce_consumer_framework::Consumer;
use commerce_consumer_framework::storage::Database;
use utoipa_axum::router::OpenApiRouter;

use crate::consumers::ConsumerTask;
use crate::health::Check;
use crate::health::tasks::Task;
use crate::http::hal::Link;
use crate::shutdown::Shutdown;

/// What a service hands to the host.
#[must_use = "a service runs once it is mounted on a host"]
pub struct Service {
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) router: OpenApiRouter,
    pub(crate) links: Vec<(String, Link)>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) checks: Vec<Check>,
    pub(crate) consumers: Vec<ConsumerTask>,
    pub(crate) outboxes: Vec<Database>,
    pub(crate) unheard: Vec<String>,
    pub(crate) needs_tokens: bool,
}

impl Service {
    /// A service without anything yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            title: None,
            router: OpenApiRouter::new(),
            links: Vec::new(),
            tasks: Vec::new(),
            checks: Vec::new(),
            consumers: Vec::new(),
            outboxes: Vec::new(),
            unheard: Vec::new(),
            needs_tokens: true,
        }
    }

    /// What the service does, as the title of its OpenAPI document.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Says that no route asks for a `Principal`, so that the service is ready without an issuer of tokens.
    pub fn without_tokens(mut self) -> Self {
        self.needs_tokens = false;
        self
    }

    /// Adds routes, with their OpenAPI description. Paths are whole: `/orders/{id}`.
    pub fn routes(mut self, router: OpenApiRouter) -> Self {
        self.router = self.router.merge(router);
        self
    }

    /// Adds a link to the entry point of the API.
    pub fn link(mut self, relation: impl Into<String>, link: impl Into<Link>) -> Self {
        self.links.push((relation.into(), link.into()));
        self
    }

    /// Adds a task that runs as long as the process.
    ///
    /// It gets the shutdown to watch and returns `Ok` only after it was requested. An error, a panic or an early end
    /// is logged and counted, and the task is started again after a pause that doubles; one that keeps failing makes
    /// the process unready.
    pub fn task<F, R>(mut self, name: impl Into<String>, run: F) -> Self
    where
        F: Fn(Shutdown) -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.tasks.push(Task::new(name, run));
        self
    }

    /// Adds a consumer, as a task; `make` makes it anew for each start.
    ///
    /// Its counters and the backlog of its subscriptions are measured, and a consumer that stalls makes the process
    /// unready.
    pub fn consumer<S, F>(mut self, make: F) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: Fn() -> Consumer<S> + Send + Sync + 'static,
    {
        self.consumers.push(ConsumerTask::new(make));
        self
    }

    /// Adds the relay that publishes what the outbox of this database holds; it is the last to stop.
    pub fn outbox(mut self, database: Database) -> Self {
        self.outboxes.push(database);
        self
    }

    /// Names a topic that the service publishes from its outbox and that nobody needs to hear.
    ///
    /// RabbitMQ and SQS keep no event of a topic without a subscription. For any other topic that is a consumer that has not
    /// come yet, and the outbox waits for it; for this one it is nobody's loss, and the outbox goes on.
    pub fn unheard(mut self, topic: impl Into<String>) -> Self {
        self.unheard.push(topic.into());
        self
    }

    /// Adds a question to the readiness of the process; it is asked at every request for it.
    pub fn check<F, R>(mut self, name: impl Into<String>, run: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.checks.push(Check::new(name, run));
        self
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Service")
            .field("name", &self.name)
            .field("links", &self.links)
            .field("tasks", &self.tasks)
            .field("consumers", &self.consumers)
            .field("checks", &self.checks)
            .finish_non_exhaustive()
    }
}
