//! A shop with the orders service, for one test.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use commerce_contracts::{CloudEvent, Event};
use commerce_event_bus::{
    Backlog, ErrorKind, EventBus, Message, Subscriber, Subscription, SubscriptionName, TopicName,
};
use commerce_host::testing::{self, Scratch, Tokens};
use commerce_host::{Host, Running};
use reqwest::{Client, Method, RequestBuilder, Response, redirect};
use serde_json::{Value, json};
use uuid::Uuid;

/// Longer than anything takes; what takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// What somebody needs who may do everything here.
pub(crate) const EVERYTHING: [&str; 4] = [
    "orders.order.create",
    "orders.order.read",
    "orders.order.checkout",
    "orders.order.cancel",
];

/// The service, somebody who may do everything in it, and an ear on topic `orders`.
pub(crate) struct Shop {
    pub(crate) running: Running,
    pub(crate) tokens: Tokens,
    pub(crate) organization: Uuid,
    client: Client,
    token: String,
    orders: Subscriber,
    heard: HashSet<String>,
    scratch: Scratch,
}

impl Shop {
    /// With SQLite and the bus in memory.
    pub(crate) async fn open() -> Self {
        Self::open_on(Scratch::sqlite().unwrap(), "memory:").await
    }

    pub(crate) async fn open_on(scratch: Scratch, bus: &str) -> Self {
        let tokens = Tokens::new().unwrap();
        let resources = testing::resources(&scratch, bus, &tokens).await.unwrap();
        let topic = TopicName::new("orders").unwrap();
        let name = SubscriptionName::new("test").unwrap();
        let orders = resources
            .bus
            .subscribe(Subscription::new(topic, name))
            .await
            .unwrap();
        let service = commerce_orders::service(commerce_orders::Config::default(), &resources)
            .await
            .unwrap();
        let running = Host::new(resources).mount(service).start().await.unwrap();
        // RabbitMQ keeps nothing that nobody has subscribed to, so a test speaks once it is listened to.
        let bus = running.resources().bus.clone();
        until("the consumer subscribes", || async {
            backlog(&bus).await.is_some()
        })
        .await;
        let organization = Uuid::now_v7();
        let token = tokens.token(organization, &EVERYTHING).unwrap();
        // A test wants to see a redirect, not to follow it.
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            running,
            tokens,
            organization,
            client,
            token,
            orders,
            heard: HashSet::new(),
            scratch,
        }
    }

    pub(crate) fn bus(&self) -> &EventBus {
        &self.running.resources().bus
    }

    /// A request with the token of the shop.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.token)
    }

    /// A request of somebody else.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.running.url()))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// Posts without a body, as a caller who follows a link.
    pub(crate) async fn follow(&self, resource: &Value, relation: &str) -> Response {
        let href = resource["_links"][relation]["href"]
            .as_str()
            .unwrap_or_else(|| panic!("no {relation}: {resource}"));
        self.request(Method::POST, href).send().await.unwrap()
    }

    /// Creates an order that can be checked out.
    pub(crate) async fn order(&self) -> Value {
        created(self.post("/orders", &new_order(Uuid::now_v7())).await).await
    }

    pub(crate) async fn read(&self, order: &Value) -> Value {
        let response = self
            .get(order["_links"]["self"]["href"].as_str().unwrap())
            .await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    /// From and to, as the history tells them.
    pub(crate) async fn history(&self, order: &Value) -> Vec<Value> {
        let response = self
            .get(order["_links"]["history"]["href"].as_str().unwrap())
            .await;
        assert_eq!(response.status(), 200);
        let history: Value = response.json().await.unwrap();
        history["changes"].as_array().unwrap().clone()
    }

    /// The next event on topic `orders`, each told once, however often the bus delivers it.
    pub(crate) async fn hear(&mut self) -> CloudEvent {
        loop {
            let delivery = tokio::time::timeout(PATIENCE, self.orders.next()).await;
            let delivery = delivery
                .expect("an event should have come")
                .unwrap()
                .expect("the bus is open");
            let event = delivery.message().event().clone();
            delivery.ack().await.unwrap();
            if self.heard.insert(event.id().to_owned()) {
                return event;
            }
        }
    }

    /// The next event, which is of this kind.
    pub(crate) async fn hear_of<E: Event>(&mut self) -> (CloudEvent, E) {
        let event = self.hear().await;
        let data = event
            .decode()
            .unwrap_or_else(|error| panic!("{error}: {event:?}"));
        (event, data)
    }

    /// Publishes as another service does.
    pub(crate) async fn tell(&self, event: &impl Event) -> CloudEvent {
        let message = Message::of(event).unwrap();
        self.repeat(&message.topic, &message.event).await;
        message.event
    }

    /// Publishes this very event, perhaps again.
    pub(crate) async fn repeat(&self, topic: &TopicName, event: &CloudEvent) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let message = Message::new(topic.clone(), event.clone());
            match self.bus().publish(message).await {
                Ok(_) => return,
                // RabbitMQ's queue can be looked at a moment before it is bound.
                Err(refused)
                    if refused.error().kind() == ErrorKind::NoSubscription
                        && Instant::now() < deadline =>
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(refused) => panic!("{refused}"),
            }
        }
    }

    /// How many outcomes of payments orders has put aside.
    pub(crate) async fn dead_letters(&self) -> u64 {
        backlog(self.bus()).await.map_or(0, |backlog| backlog.dead)
    }

    pub(crate) async fn close(self) {
        let Self {
            running,
            scratch,
            orders,
            ..
        } = self;
        orders.close().await;
        let drained = running.shutdown().await;
        assert_eq!(drained, commerce_host::Drained::Clean);
        scratch.remove().await.unwrap();
    }
}

/// What waits for orders to hear of payments; none before it has subscribed.
async fn backlog(bus: &EventBus) -> Option<Backlog> {
    let (topic, name) = (
        TopicName::new("payments").unwrap(),
        SubscriptionName::new("orders").unwrap(),
    );
    bus.backlog(&topic, &name).await.ok()
}

/// Waits until the condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, wait).await.is_ok(),
        "waited in vain: {what}"
    );
}

pub(crate) async fn created(response: Response) -> Value {
    assert_eq!(response.status(), 201);
    response.json().await.unwrap()
}

/// The body of a problem, which every error has.
pub(crate) async fn problem(response: Response, status: u16) -> Value {
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    assert_eq!(response.status(), status);
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status);
    problem
}

/// Two lamps and a table: 2 × 49.90 + 120.00 + 15.50 = 235.30.
pub(crate) fn new_order(order_id: Uuid) -> Value {
    json!({
        "order_id": order_id,
        "reference": "S-1001",
        "customer": { "customer_id": "0192f0c1-5f00-7000-8000-000000000001", "name": "Ana Souza", "email": "ana@shop.example" },
        "items": [
            { "sku": "LAMP-1", "name": "Lamp", "quantity": 2, "unit_price": brl(4990) },
            { "sku": "TABLE 7", "name": "Table", "quantity": 1, "unit_price": brl(12_000) },
        ],
        "freight": brl(1550),
        "payment": { "method": "credit_card", "installments": 3 },
    })
}

pub(crate) const TOTAL: i64 = 23_530;

pub(crate) fn brl(amount_minor: i64) -> Value {
    json!({ "amount_minor": amount_minor, "currency": "BRL" })
}
