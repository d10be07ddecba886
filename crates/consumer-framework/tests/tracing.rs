//! One trace from the publisher through the handler to what the handler emits.
//!
//! These cases have a process of their own: with a tracer at work, every event of the other cases
//! would get a trace.
#![cfg(all(feature = "opentelemetry", feature = "sqlite"))]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use commerce_consumer_framework::outbox;
use commerce_consumer_framework::storage::Database;
use commerce_consumer_framework::{Consumer, Emit, Event, testing};
use commerce_contracts::CloudEvent;
use commerce_event_bus::{EventBus, Message, Subscription};
use opentelemetry::trace::{SpanKind, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PUBLISHER: &str = "b7ad6b7169203331";

#[derive(Serialize, Deserialize, JsonSchema, commerce_contracts::Event)]
#[event(name = "shop.item.sold", version = 1, topic = "sales", key = "item")]
struct Sold {
    item: String,
}

#[derive(Serialize, Deserialize, JsonSchema, commerce_contracts::Event)]
#[event(
    name = "shop.stock.lowered",
    version = 1,
    topic = "stock",
    key = "item"
)]
struct StockLowered {
    item: String,
}

fn sold() -> Message {
    Message::of(&Sold {
        item: "pen".to_owned(),
    })
    .unwrap()
}

/// Where the spans of the whole process go.
fn spans() -> &'static InMemorySpanExporter {
    static EXPORTER: OnceLock<InMemorySpanExporter> = OnceLock::new();
    EXPORTER.get_or_init(|| {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        exporter
    })
}

/// Waits for the end of a span: the database's thread may hold it a moment longer than its user.
async fn span_named(name: &str) -> SpanData {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let ended = spans().get_finished_spans().unwrap();
        if let Some(span) = ended.into_iter().find(|span| span.name == name) {
            return span;
        }
        assert!(Instant::now() < deadline, "no span {name}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The trace and the span that an event was made in.
fn parent(event: &CloudEvent) -> (&str, &str) {
    let text = event.trace_parent().expect("the event has a trace");
    (&text[3..35], &text[36..52])
}

#[tokio::test]
async fn the_handlers_span_continues_the_publishers_trace_and_so_does_what_it_emits() {
    spans();
    let bus = EventBus::memory();
    let mut message = sold();
    message.event = message
        .event
        .with_trace_parent(format!("00-{TRACE}-{PUBLISHER}-01"))
        .unwrap()
        .with_trace_state("vendor=1")
        .unwrap();
    bus.publish(message.clone()).await.unwrap();
    let lower = async |event: Event<Sold>| Emit::event(&StockLowered { item: event.0.item });
    Consumer::new("stock", bus.clone())
        .on(lower)
        .run_until(testing::drained(&bus, "sales", "stock"))
        .await
        .unwrap();

    let span = span_named("process sales").await;
    assert_eq!(span.span_context.trace_id().to_string(), TRACE);
    assert_eq!(span.parent_span_id.to_string(), PUBLISHER);
    assert_eq!(span.span_kind, SpanKind::Consumer);
    let attribute = |name: &str| {
        let found = span.attributes.iter().find(|kv| kv.key.as_str() == name);
        found.map(|kv| kv.value.to_string()).unwrap_or_default()
    };
    assert_eq!(attribute("messaging.system"), "memory");
    assert_eq!(attribute("messaging.destination.name"), "sales");
    assert_eq!(attribute("messaging.consumer.group.name"), "stock");
    assert_eq!(attribute("messaging.message.id"), message.event.id());
    assert_eq!(attribute("outcome"), "handled");

    let subscription = Subscription::new("stock".parse().unwrap(), "test".parse().unwrap());
    let mut emitted = bus.subscribe(subscription).await.unwrap();
    let emitted = emitted.next().await.unwrap().unwrap();
    let event = &emitted.message().event;
    let span_id = span.span_context.span_id().to_string();
    assert_eq!(parent(event), (TRACE, span_id.as_str()));
    assert_eq!(event.trace_state(), Some("vendor=1"));
    emitted.ack().await.unwrap();
}

#[tokio::test]
async fn an_event_that_is_appended_gets_the_current_trace_and_keeps_its_own() {
    spans();
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("shop.db").display());
    let db = Database::connect(&url).await.unwrap();
    let own = format!("00-{TRACE}-{PUBLISHER}-01");
    let request = async {
        let mut tx = db.begin().await.unwrap();
        let mut message = sold();
        outbox::append(&mut tx, &message).await.unwrap();
        message.event = message.event.with_trace_parent(&own).unwrap();
        outbox::append(&mut tx, &message).await.unwrap();
        tx.commit().await.unwrap();
    };
    request.instrument(tracing::info_span!("request")).await;
    let span = span_named("request").await;
    let query = db.query("SELECT event FROM outbox ORDER BY position");
    let rows: Vec<(String,)> = query.fetch_all().await.unwrap();
    let read = |(json,): &(String,)| CloudEvent::from_json(json.as_bytes()).unwrap();
    let events: Vec<_> = rows.iter().map(read).collect();
    let trace_id = span.span_context.trace_id().to_string();
    let span_id = span.span_context.span_id().to_string();
    assert_eq!(parent(&events[0]), (trace_id.as_str(), span_id.as_str()));
    assert_eq!(events[1].trace_parent(), Some(own.as_str()));
}
