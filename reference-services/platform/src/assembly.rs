//! Puts the services together in one process, and the payment provider's sandbox beside them on a port of its own.

use std::net::SocketAddr;

use anyhow::Context as _;
use commerce_event_bus::EventBus;
use commerce_host::settings::ConnectionUrl;
use commerce_host::{Drained, Handle, Host, Resources, Running, Settings, local_url};

/// What to start, and with which settings.
#[derive(Debug)]
#[non_exhaustive]
pub struct Assembly {
    /// Settings of the host.
    pub settings: Settings,
    /// Settings of identity.
    pub identity: commerce_identity::Config,
    /// Settings of orders.
    pub orders: commerce_orders::Config,
    /// Settings of payments.
    pub payments: commerce_payments::Config,
    /// Settings of notifications.
    pub notifications: commerce_notifications::Config,
    /// The provider's sandbox, if it is to run here.
    pub sandbox: Option<Sandbox>,
}

/// The provider's sandbox. Payments and it find each other where they listen, unless their settings say where.
#[derive(Debug)]
pub struct Sandbox {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its settings.
    pub config: commerce_provider_sandbox::Config,
}

/// Puts something around the handlers of the consumer of that name.
pub type AroundHandlers = Box<dyn Fn(&str, Handle) -> Handle + Send + Sync>;

/// What changes around the services without their knowing, for tests and the demo.
#[derive(Default)]
pub struct Surroundings {
    /// Puts something around the bus.
    pub bus: Option<Box<dyn FnOnce(EventBus) -> EventBus + Send>>,
    /// Puts something around every consumer's handlers.
    pub handlers: Option<AroundHandlers>,
}

/// The running platform.
#[derive(Debug)]
pub struct Platform {
    /// All services.
    pub services: Running,
    /// The provider's sandbox.
    pub sandbox: Option<Running>,
}

impl Assembly {
    /// Starts everything; returns when it listens.
    ///
    /// # Errors
    /// What keeps it from starting: a port that is taken, a server that does not answer, a wrong setting.
    pub async fn start(self, surroundings: Surroundings) -> anyhow::Result<Platform> {
        // All services at once are too much for a stack.
        Box::pin(self.assemble(surroundings)).await
    }

    async fn assemble(self, surroundings: Surroundings) -> anyhow::Result<Platform> {
        let mut payments = self.payments;
        let provider = match self.sandbox {
            Some(sandbox) => Some((
                connect_sandbox(sandbox.listen, &self.settings)
                    .await
                    .context("cannot start the payment provider's sandbox")?,
                sandbox.config,
            )),
            None => None,
        };
        let mut resources = Resources::connect(self.settings).await?;
        // Both ports are open, so both addresses are known, also where the system has chosen the port.
        let sandbox = match provider {
            Some((provider, mut config)) => {
                payments
                    .provider_url
                    .get_or_insert_with(|| local_url(provider.local_addr()));
                if config.webhook_url.is_none() {
                    let payments = local_url(resources.local_addr());
                    config.webhook_url = Some(payments.join(commerce_payments::WEBHOOK_PATH)?);
                }
                let service = commerce_provider_sandbox::service(config, &provider)
                    .await
                    .context("cannot start the payment provider's sandbox")?;
                Some(Host::new(provider).mount(service).start().await?)
            }
            None => None,
        };
        if let Some(around) = surroundings.bus {
            resources.bus = around(resources.bus);
        }
        let identity = commerce_identity::service(self.identity, &resources)
            .await
            .context("cannot start identity")?;
        let orders = commerce_orders::service(self.orders, &resources)
            .await
            .context("cannot start orders")?;
        let payments = commerce_payments::service(payments, &resources)
            .await
            .context("cannot start payments")?;
        let notifications = commerce_notifications::service(self.notifications, &resources)
            .await
            .context("cannot start notifications")?;
        let mut host = Host::new(resources)
            .mount(identity)
            .mount(orders)
            .mount(payments)
            .mount(notifications);
        if let Some(around) = surroundings.handlers {
            host = host.around_consumers(around);
        }
        Ok(Platform {
            services: host.start().await?,
            sandbox,
        })
    }
}

impl Platform {
    /// Drains the services, then the sandbox, which may still have something to answer them.
    pub async fn shutdown(self) -> Drained {
        let services = self.services.shutdown().await;
        let sandbox = match self.sandbox {
            Some(sandbox) => sandbox.shutdown().await,
            None => Drained::Clean,
        };
        if services == Drained::Clean {
            sandbox
        } else {
            services
        }
    }
}

/// The sandbox is another company: its own port, no bus, a database of its own.
async fn connect_sandbox(listen: SocketAddr, platform: &Settings) -> anyhow::Result<Resources> {
    let mut settings = platform.clone();
    settings.listen = listen;
    settings.public_url = None;
    settings.bus = Some(ConnectionUrl::new("memory:"));
    Resources::connect(settings).await
}
