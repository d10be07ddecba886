//! Events of several versions: old ones reach the handler of the new one, and what nobody reads is kept and explained.

use std::sync::{Arc, Mutex};

use commerce_consumer_framework::{Consumer, Event, Failure, OnUnknownVersion, State};
use commerce_contracts::CloudEvent;
use commerce_contracts::avro::WriterSchemas;
use commerce_event_bus::{EventBus, Message, Redrive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::log::consumer;
use crate::runner::{Runner, dead};
use crate::shop::{Sold, backlog, drained, publish, subscription, topic};

/// Sales have a unit since version 2; before that all were of pieces.
#[derive(
    Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, commerce_contracts::Event,
)]
#[event(
    name = "shop.item.sold",
    version = 2,
    topic = "sales",
    key = "item",
    upcasts = Sold
)]
struct SoldV2 {
    item: String,
    number: u32,
    unit: String,
}

impl From<Sold> for SoldV2 {
    fn from(old: Sold) -> Self {
        Self {
            item: old.item,
            number: old.number,
            unit: "piece".to_owned(),
        }
    }
}

/// Version 3 moved to a topic of its own.
#[derive(
    Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, commerce_contracts::Event,
)]
#[event(
    name = "shop.item.sold",
    version = 3,
    topic = "sales.items",
    key = "item",
    upcasts = SoldV2
)]
struct SoldV3 {
    item: String,
    amount: String,
}

impl From<SoldV2> for SoldV3 {
    fn from(old: SoldV2) -> Self {
        Self {
            item: old.item,
            amount: format!("{} {}", old.number, old.unit),
        }
    }
}

/// Version 3 where it stays on its topic.
#[derive(Serialize, Deserialize, JsonSchema, commerce_contracts::Event)]
#[event(
    name = "shop.item.sold",
    version = 3,
    topic = "sales",
    key = "item",
    upcasts = SoldV2
)]
struct SoldV3Here {
    item: String,
    amount: String,
}
impl From<SoldV2> for SoldV3Here {
    fn from(old: SoldV2) -> Self {
        let SoldV3 { item, amount } = old.into();
        Self { item, amount }
    }
}

/// Version 2 as a team declares it that has never seen version 1.
#[derive(
    Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, commerce_contracts::Event,
)]
#[event(name = "shop.item.sold", version = 2, topic = "sales", key = "item")]
struct SoldV2Only {
    item: String,
    number: u32,
    unit: String,
}

type Seen = Arc<Mutex<Vec<String>>>;

fn seen(lines: &Seen) -> Vec<String> {
    lines.lock().unwrap().clone()
}

async fn second(event: Event<SoldV2>, State(lines): State<Seen>) {
    let line = format!("v2 {} {} {}", event.item, event.number, event.unit);
    lines.lock().unwrap().push(line);
}

async fn third(event: Event<SoldV3>, State(lines): State<Seen>) {
    lines
        .lock()
        .unwrap()
        .push(format!("v3 {} {}", event.item, event.amount));
}

async fn publish_second(bus: &EventBus, number: u32) {
    let sold = SoldV2 {
        item: "pen".to_owned(),
        number,
        unit: "box".to_owned(),
    };
    bus.publish(Message::of(&sold).unwrap()).await.unwrap();
}

async fn publish_third(bus: &EventBus, to: &str) {
    let sold = SoldV3 {
        item: "pen".to_owned(),
        amount: "3 box".to_owned(),
    };
    let message = Message::of(&sold).unwrap().with_topic(topic(to));
    bus.publish(message).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stored_events_of_the_old_version_are_replayed_to_the_handler_of_the_new_one_in_order() {
    let (bus, lines) = (EventBus::memory(), Seen::default());
    // All of it was published before there was a consumer, most of it before there was a version 2.
    publish(&bus, "pen", 1).await;
    publish(&bus, "pen", 2).await;
    publish_second(&bus, 3).await;
    publish(&bus, "pen", 4).await;
    let consumer = consumer(&bus, lines.clone()).on(second);
    let stats = consumer.stats();
    let runner = Runner::start(consumer).await;
    drained(&bus, "sales", "stock").await;
    assert_eq!(
        seen(&lines),
        [
            "v2 pen 1 piece",
            "v2 pen 2 piece",
            "v2 pen 3 box",
            "v2 pen 4 piece"
        ]
    );
    assert_eq!(
        (stats.handled(), stats.ignored(), stats.dead_lettered()),
        (4, 0, 0)
    );
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_version_that_moved_is_taken_from_both_topics() {
    let (bus, lines) = (EventBus::memory(), Seen::default());
    let consumer = consumer(&bus, lines.clone()).on(third);
    let topics: Vec<_> = consumer.topics().map(ToString::to_string).collect();
    assert_eq!(topics, ["sales", "sales.items"]);
    let runner = Runner::start(consumer).await;
    publish(&bus, "pen", 1).await;
    drained(&bus, "sales", "stock").await;
    publish_third(&bus, "sales.items").await;
    drained(&bus, "sales.items", "stock").await;
    assert_eq!(seen(&lines), ["v3 pen 1 piece", "v3 pen 3 box"]);
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_exactly_a_version_comes_before_one_that_upcasts() {
    let (bus, lines) = (EventBus::memory(), Seen::default());
    let first = async |event: Event<Sold>, State(lines): State<Seen>| {
        let line = format!("v1 {} {}", event.item, event.number);
        lines.lock().unwrap().push(line);
    };
    publish(&bus, "pen", 1).await;
    publish_second(&bus, 2).await;
    // Whatever comes first in the code.
    for (name, consumer) in [
        ("stock", consumer(&bus, lines.clone()).on(second).on(first)),
        (
            "stock-2",
            Consumer::new("stock-2", bus.clone())
                .state(lines.clone())
                .on(first)
                .on(second),
        ),
    ] {
        lines.lock().unwrap().clear();
        let runner = Runner::start(consumer).await;
        drained(&bus, "sales", name).await;
        assert_eq!(seen(&lines), ["v1 pen 1", "v2 pen 2 box"], "{name}");
        runner.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn two_handlers_that_upcast_the_same_version_are_a_mistake() {
    let consumer = consumer(&EventBus::memory(), Seen::default())
        .on(second)
        .on(third);
    let error = consumer.start().await.unwrap_err().to_string();
    assert!(
        error.contains("two handlers take shop.item.sold.v1"),
        "{error}"
    );
    assert!(
        !error.contains("shop.item.sold.v2"),
        "of version 2 one is the own: {error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_too_new_waits_in_the_dead_letters_for_a_consumer_that_knows_it() {
    let (bus, lines) = (EventBus::memory(), Seen::default());
    let old = consumer(&bus, lines.clone()).on(second);
    let stats = old.stats();
    let runner = Runner::start(old).await;
    publish_third(&bus, "sales").await;
    publish_second(&bus, 4).await;
    drained(&bus, "sales", "stock").await;
    assert_eq!(seen(&lines), ["v2 pen 4 box"], "its key goes on");
    assert_eq!((stats.dead_lettered(), stats.retries()), (1, 0));
    let letters = dead(&bus, "stock").await;
    let reason = letters[0].reason();
    assert!(
        reason.contains("version 3 of shop.item.sold")
            && reason.contains("version 2 is the newest known here"),
        "{reason}"
    );
    runner.stop().await.unwrap();

    let new = consumer(&bus, lines.clone()).on(
        async |event: Event<SoldV3Here>, State(lines): State<Seen>| {
            lines
                .lock()
                .unwrap()
                .push(format!("v3 {} {}", event.item, event.amount));
        },
    );
    let runner = Runner::start(new).await;
    let all = Redrive::all();
    bus.redrive(&topic("sales"), &subscription("stock"), all)
        .await
        .unwrap();
    drained(&bus, "sales", "stock").await;
    assert_eq!(seen(&lines), ["v2 pen 4 box", "v3 pen 3 box"]);
    assert_eq!(backlog(&bus, "sales", "stock").await.dead, 0);
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_old_version_that_nothing_upcasts_is_kept_unless_the_consumer_says_otherwise() {
    for (then, dead_lettered, ignored) in [
        (OnUnknownVersion::DeadLetter, 1, 0),
        (OnUnknownVersion::Ignore, 0, 1),
    ] {
        let bus = EventBus::memory();
        let consumer = Consumer::new("stock", bus.clone())
            .on_unknown_version(then)
            .on(async |_: Event<SoldV2Only>| ());
        let stats = consumer.stats();
        let runner = Runner::start(consumer).await;
        publish(&bus, "pen", 1).await;
        publish_second(&bus, 2).await;
        drained(&bus, "sales", "stock").await;
        assert_eq!(
            (stats.dead_lettered(), stats.ignored(), stats.handled()),
            (dead_lettered, ignored, 1),
            "{then:?}"
        );
        runner.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_written_in_another_way_is_kept_and_another_event_is_not() {
    let bus = EventBus::memory();
    let consumer = Consumer::new("stock", bus.clone()).on(async |_: Event<SoldV2>| ());
    let stats = consumer.stats();
    let runner = Runner::start(consumer).await;
    let odd = ["shop.item.sold.v02", "shop.item.sold.V2", "shop.item.sold"];
    let other = ["shop.item.sold.out.v1", "shop.item.soldout.v02"];
    for event_type in odd.iter().chain(&other) {
        let event = CloudEvent::new("/shop", *event_type)
            .and_then(|event| event.with_key("pen"))
            .unwrap();
        bus.publish(Message::new(topic("sales"), event))
            .await
            .unwrap();
    }
    drained(&bus, "sales", "stock").await;
    assert_eq!((stats.dead_lettered(), stats.ignored()), (3, 2));
    for (letter, odd) in dead(&bus, "stock").await.iter().zip(odd) {
        let reason = letter.reason();
        assert!(
            reason.contains(odd)
                && reason.contains("as its versions are written (shop.item.sold.v1)"),
            "{reason}"
        );
    }
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_for_the_rest_of_the_topic_takes_unknown_versions_too() {
    let (bus, lines) = (EventBus::memory(), Seen::default());
    let rest = async |event: CloudEvent, State(lines): State<Seen>| {
        lines.lock().unwrap().push(event.event_type().to_owned());
    };
    let runner = Runner::start(
        consumer(&bus, lines.clone())
            .on(second)
            .on_topic("sales", rest),
    )
    .await;
    publish_third(&bus, "sales").await;
    drained(&bus, "sales", "stock").await;
    assert_eq!(seen(&lines), ["shop.item.sold.v3"]);
    runner.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn old_data_that_breaks_its_own_contract_does_not_reach_the_new_handler() {
    let (bus, lines) = (EventBus::memory(), Seen::default());
    let runner = Runner::start(consumer(&bus, lines.clone()).on(second)).await;
    let mut message = Message::of(&crate::shop::sold("pen", 1)).unwrap();
    // Right for version 2, which has it come as version 1 without what that demands.
    message.event = message
        .event
        .with_data("application/json", r#"{"item": "pen", "unit": "box"}"#)
        .unwrap();
    bus.publish(message).await.unwrap();
    drained(&bus, "sales", "stock").await;
    let letters = dead(&bus, "stock").await;
    assert!(
        letters[0].reason().contains("number"),
        "{}",
        letters[0].reason()
    );
    assert!(seen(&lines).is_empty());
    runner.stop().await.unwrap();
}

/// As a later build of its producer writes it: with a field more, under the name that it has there.
#[derive(Serialize, Deserialize, JsonSchema, commerce_contracts::Event)]
#[serde(rename = "Sold")]
#[event(name = "shop.item.sold", version = 1, topic = "sales", key = "item")]
struct SoldLater {
    coupon: Option<String>,
    item: String,
    number: u32,
}

#[tokio::test(start_paused = true)]
async fn avro_of_a_later_producer_is_read_once_the_consumer_has_its_schema() {
    let (bus, lines) = (EventBus::memory(), Seen::default());
    let later = SoldLater {
        coupon: None,
        item: "pen".to_owned(),
        number: 7,
    };
    let message = || {
        let mut message = Message::of(&later).unwrap();
        message.event = commerce_contracts::Event::event_avro(&later).unwrap();
        message
    };
    let runner = Runner::start(consumer(&bus, lines.clone()).on(second)).await;
    bus.publish(message()).await.unwrap();
    drained(&bus, "sales", "stock").await;
    let letters = dead(&bus, "stock").await;
    let reason = letters[0].reason();
    assert!(reason.contains("WriterSchemas"), "{reason}");
    assert!(seen(&lines).is_empty());
    runner.stop().await.unwrap();

    let schema = <SoldLater as commerce_contracts::Event>::contract()
        .avro_schema()
        .unwrap();
    let informed = consumer(&bus, lines.clone())
        .writer_schemas(WriterSchemas::new().with(schema.clone()))
        .on(second);
    let runner = Runner::start(informed).await;
    let all = Redrive::all();
    bus.redrive(&topic("sales"), &subscription("stock"), all)
        .await
        .unwrap();
    drained(&bus, "sales", "stock").await;
    let letters = dead(&bus, "stock").await;
    assert_eq!(seen(&lines), ["v2 pen 7 piece"], "{letters:?}");
    runner.stop().await.unwrap();
}

#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod stored {
    use commerce_consumer_framework::Tx;
    use commerce_consumer_framework::outbox::{self, Relay};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::shop::{STOCK, stock, until};

    async fn lower(event: Event<SoldV2>, mut tx: Tx) -> Result<(), Failure> {
        tx.query("INSERT INTO stock (item, number) VALUES ($1, $2)")
            .bind(format!("{} ({})", event.item, event.unit))
            .bind(event.number)
            .execute()
            .await?;
        Ok(())
    }

    on_each_database! {
        async fn events_of_an_old_outbox_are_handled_once_by_the_new_handler(place: &Place) {
            let (db, bus) = (place.open().await, EventBus::memory());
            db.migrate("stock", STOCK).await.unwrap();
            // What the release before had committed and not yet published when it was stopped.
            let mut tx = db.begin().await.unwrap();
            let old = Message::of(&crate::shop::sold("pen", 7)).unwrap();
            outbox::append(&mut tx, &old).await.unwrap();
            tx.commit().await.unwrap();

            let stop = CancellationToken::new();
            let relay = Relay::new(db.clone(), bus.clone()).run_until(stop.clone().cancelled_owned());
            let relay = tokio::spawn(relay);
            let runner = Runner::start(Consumer::new("stock", bus.clone()).inbox(db.clone()).on(lower)).await;
            until("it was published", async || outbox::backlog(&db).await.unwrap().waiting == 0).await;
            // Delivered a second time, it has no second effect.
            bus.publish(old).await.unwrap();
            drained(&bus, "sales", "stock").await;
            assert_eq!(stock(&db).await, [("pen (piece)".to_owned(), 7)]);
            runner.stop().await.unwrap();
            stop.cancel();
            assert!(relay.await.unwrap().clean);
        }
    }
}
