//! A shop in a test: what its orders announce, and the service that listens.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::Utc;
use commerce_contracts::Event;
use commerce_contracts::commerce::{
    Currency, Customer, CustomerId, CustomerNotified, Money, OrderCancelled, OrderId,
    OrderPaymentPending, OrderReceived, OrganizationId, PaymentId,
};
use commerce_event_bus::{
    EventBus, Message, Subscriber, Subscription, SubscriptionName, TopicName,
};
use commerce_host::testing::{Scratch, Tokens, resources};
use commerce_host::{Host, Running};
use commerce_notifications::{Config, TransportUrl};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A running service.
pub(crate) struct Shop {
    pub(crate) scratch: Scratch,
    pub(crate) tokens: Tokens,
    pub(crate) running: Running,
    pub(crate) bus: EventBus,
}

impl Shop {
    /// On the memory bus and SQLite, with a mailbox.
    pub(crate) async fn embedded() -> Self {
        Self::start(Scratch::sqlite().unwrap(), "memory:", None).await
    }

    pub(crate) async fn start(
        scratch: Scratch,
        bus: &str,
        transport: Option<TransportUrl>,
    ) -> Self {
        let tokens = Tokens::new().unwrap();
        let resources = resources(&scratch, bus, &tokens).await.unwrap();
        let mut config = Config::default();
        config.transport = transport;
        let service = commerce_notifications::service(config, &resources)
            .await
            .unwrap();
        let bus = resources.bus.clone();
        let running = Host::new(resources).mount(service).start().await.unwrap();
        Self {
            scratch,
            tokens,
            running,
            bus,
        }
    }

    /// Publishes as soon as the bus takes it: RabbitMQ does so once the service has subscribed.
    pub(crate) async fn publish(&self, message: Message) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.bus.publish(message.clone()).await {
            assert!(error.is_retryable() && Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn mailbox(&self) -> PathBuf {
        self.scratch.directory().join("mailbox.mbox")
    }

    pub(crate) fn mails(&self) -> Vec<String> {
        mails(&self.mailbox())
    }

    /// Waits until the consumer has settled this many deliveries, duplicates included.
    pub(crate) async fn settled(&self, deliveries: u64) {
        let stats = self.running.consumers().next().unwrap().1;
        let settled =
            || stats.handled() + stats.duplicates() + stats.ignored() + stats.dead_lettered();
        until("deliveries are settled", || settled() >= deliveries).await;
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The messages of a mailbox, read the way other programs do.
pub(crate) fn mails(mailbox: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(mailbox).unwrap_or_default();
    let mut mails: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with("From ") {
            mails.push(String::new());
        } else if let Some(mail) = mails.last_mut() {
            mail.push_str(line);
            mail.push('\n');
        }
    }
    mails
}

pub(crate) fn customer() -> Customer {
    Customer {
        customer_id: CustomerId::new(),
        name: "João da Silva".to_owned(),
        email: "joao@cliente.example".parse().unwrap(),
    }
}

pub(crate) fn received(organization_id: OrganizationId, order_id: OrderId) -> OrderReceived {
    OrderReceived {
        organization_id,
        order_id,
        customer: customer(),
        total: Money::new(12_345, Currency::BRL),
        payment_id: PaymentId::new(),
        attempt: 1,
        received_at: Utc::now(),
    }
}

pub(crate) fn pending(
    organization_id: OrganizationId,
    order_id: OrderId,
    attempt: u32,
) -> OrderPaymentPending {
    OrderPaymentPending {
        organization_id,
        order_id,
        customer: customer(),
        total: Money::new(12_345, Currency::BRL),
        payment_id: PaymentId::new(),
        attempt,
        reason: "saldo insuficiente".to_owned(),
        pending_at: Utc::now(),
    }
}

pub(crate) fn cancelled(organization_id: OrganizationId, order_id: OrderId) -> OrderCancelled {
    OrderCancelled {
        organization_id,
        order_id,
        customer: customer(),
        total: Money::new(12_345, Currency::BRL),
        reason: "desistência".to_owned(),
        cancelled_at: Utc::now(),
    }
}

pub(crate) fn message<E: Event>(event: &E) -> Message {
    Message::of(event).unwrap()
}

/// Listens to what the service announces.
pub(crate) async fn witness(bus: &EventBus) -> Subscriber {
    let topic = TopicName::new("notifications").unwrap();
    let name = SubscriptionName::new(format!("witness-{}", uuid::Uuid::now_v7().simple())).unwrap();
    bus.subscribe(Subscription::new(topic, name)).await.unwrap()
}

/// What the service announced, on a bus that keeps it for a witness who comes late.
pub(crate) async fn announced(
    bus: &EventBus,
    count: usize,
) -> Vec<(CustomerNotified, Option<String>)> {
    hear(witness(bus).await, count).await
}

/// What the witness hears, each with the id of the event that caused it.
///
/// An outbox publishes at least once: the same event again, with the same id, is no other announcement.
pub(crate) async fn hear(
    mut witness: Subscriber,
    count: usize,
) -> Vec<(CustomerNotified, Option<String>)> {
    let (mut announced, mut seen) = (Vec::new(), HashSet::new());
    while announced.len() < count {
        let delivery = tokio::time::timeout(PATIENCE, witness.next())
            .await
            .expect("an announcement")
            .unwrap()
            .unwrap();
        let event = delivery.message().event().clone();
        if seen.insert(event.id().to_owned()) {
            announced.push((
                event.decode().unwrap(),
                event.causation_id().map(str::to_owned),
            ));
        }
        delivery.ack().await.unwrap();
    }
    announced
}
