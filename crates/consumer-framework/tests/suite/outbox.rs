//! What is committed is published, in order per key, whatever the bus does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use commerce_consumer_framework::Backoff;
use commerce_consumer_framework::outbox::{self, Relay};
use commerce_consumer_framework::storage::Database;
use commerce_contracts::CloudEvent;
use commerce_event_bus::{EventBus, Message};
use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broken_bus::{BrokenBus, Fate};
use crate::shop::{sold, topic, until};

async fn append(db: &Database, item: &str, number: u32) {
    let mut tx = db.begin().await.unwrap();
    let message = Message::of(&sold(item, number)).unwrap();
    outbox::append(&mut tx, &message).await.unwrap();
    tx.commit().await.unwrap();
}

/// Stores events of items in one transaction, on a topic of their own.
async fn append_to(db: &Database, name: &str, events: impl IntoIterator<Item = (String, u32)>) {
    let mut tx = db.begin().await.unwrap();
    for (item, number) in events {
        let message = Message::of(&sold(&item, number)).unwrap();
        let message = message.with_topic(topic(name));
        outbox::append(&mut tx, &message).await.unwrap();
    }
    tx.commit().await.unwrap();
}

fn quick(db: &Database, bus: &EventBus) -> Relay {
    let backoff = Backoff::exponential(Duration::from_millis(2), Duration::from_millis(20));
    Relay::new(db.clone(), bus.clone()).retry(backoff)
}

struct Started {
    stop: CancellationToken,
    task: JoinHandle<bool>,
}

fn start(relay: Relay) -> Started {
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let task = tokio::spawn(async move { relay.run_until(stopped).await.clean });
    Started { stop, task }
}

impl Started {
    /// Stops the relay; whether it ended cleanly.
    async fn stop(self) -> bool {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

async fn empty(db: &Database) -> bool {
    outbox::backlog(db).await.unwrap().waiting == 0
}

/// The numbers published per item, in order.
fn by_item(messages: &[Message]) -> BTreeMap<String, Vec<u32>> {
    let mut items = BTreeMap::<_, Vec<u32>>::new();
    for message in messages {
        let event: crate::shop::Sold = message.event.decode().unwrap();
        items.entry(event.item).or_default().push(event.number);
    }
    items
}

on_each_database! {
    async fn what_is_committed_is_published_and_what_is_not_is_not(place: &Place) {
        let db = place.open().await;
        let (bus, broken) = BrokenBus::new();
        // So long a poll that only the commit itself can wake the relay.
        let relay = start(quick(&db, &bus).poll_every(Duration::from_hours(1)));
        let mut tx = db.begin().await.unwrap();
        outbox::append(&mut tx, &Message::of(&sold("never", 0)).unwrap()).await.unwrap();
        drop(tx);
        for number in 0..3 {
            append(&db, "pen", number).await;
        }
        until("all is published", async || empty(&db).await).await;
        assert_eq!(by_item(&broken.accepted()), BTreeMap::from([("pen".to_owned(), vec![0, 1, 2])]));
        assert!(relay.stop().await);
    }

    async fn an_event_comes_out_as_it_went_in(place: &Place) {
        let db = place.open().await;
        let (bus, broken) = BrokenBus::new();
        let event = CloudEvent::new("/shop", "shop.raw.v1").unwrap()
            .with_data("application/octet-stream", vec![0, 159, 146, 150]).unwrap()
            .with_transaction_id("tx-1").unwrap()
            .with_extension("weird", "ü\u{1F600}").unwrap();
        let message = Message::new(topic("raw"), event);
        let mut tx = db.begin().await.unwrap();
        outbox::append(&mut tx, &message).await.unwrap();
        tx.commit().await.unwrap();
        assert!(start(quick(&db, &bus)).stop().await, "what is there is published before the end");
        assert_eq!(broken.accepted(), [message]);
    }

    async fn a_refused_entry_holds_its_key_back_and_no_other(place: &Place) {
        let db = place.open().await;
        let (bus, broken) = BrokenBus::new();
        broken.rule(Some(Box::new(|message| {
            let event: crate::shop::Sold = message.event.decode().unwrap();
            if event.item == "bad" && event.number == 1 { Fate::Refused } else { Fate::Accepted }
        })));
        for number in 0..4 {
            append(&db, "bad", number).await;
            append(&db, "good", number).await;
        }
        let relay = start(quick(&db, &bus).batch(3));
        until("the others went on", async || outbox::backlog(&db).await.unwrap().waiting == 3).await;
        append(&db, "good", 4).await;
        until("and still do", async || outbox::backlog(&db).await.unwrap().waiting == 3).await;
        let accepted = by_item(&broken.accepted());
        assert_eq!(accepted["bad"], [0]);
        assert_eq!(accepted["good"], [0, 1, 2, 3, 4]);
        broken.rule(None);
        until("the key goes on", async || empty(&db).await).await;
        assert_eq!(by_item(&broken.accepted())["bad"], [0, 1, 2, 3]);
        assert!(relay.stop().await);
    }

    async fn a_refused_topic_holds_no_other_back(place: &Place) {
        let db = place.open().await;
        let (bus, broken) = BrokenBus::new();
        let early = |message: &Message| message.topic() == &topic("early");
        broken.rule(Some(Box::new(move |message| {
            if early(message) { Fate::Unavailable } else { Fate::Accepted }
        })));
        // More refused keys than are read at a time, older than everything else.
        append_to(&db, "early", (0..40).map(|number| (format!("early-{number}"), 0))).await;
        append_to(&db, "early", (0..40).map(|number| (format!("early-{number}"), 1))).await;
        append_to(&db, "fine", (0..3).map(|number| ("fine".to_owned(), number))).await;
        let backoff = Backoff::exponential(Duration::from_millis(20), Duration::from_secs(10));
        let relay = start(quick(&db, &bus).retry(backoff).batch(16));
        until("the other topic went on", async || outbox::backlog(&db).await.unwrap().waiting == 80).await;
        append_to(&db, "fine", [("fine".to_owned(), 3)]).await;
        until("and still does", async || outbox::backlog(&db).await.unwrap().waiting == 80).await;
        assert_eq!(by_item(&broken.accepted()), BTreeMap::from([("fine".to_owned(), vec![0, 1, 2, 3])]));
        // It is asked less and less often: 20 + 40 + 80 + 160 ms at least lie before the fifth time.
        let tries = broken.tried().iter().filter(|(message, _)| early(message)).count();
        assert!(tries <= 5 * 16, "{tries} tries");
        broken.rule(None);
        until("the topic goes on", async || empty(&db).await).await;
        let accepted = by_item(&broken.accepted());
        assert_eq!(accepted.len(), 41);
        assert!(accepted.iter().all(|(item, numbers)| item == "fine" || numbers == &[0, 1]), "{accepted:?}");
        assert!(relay.stop().await);
    }

    async fn a_topic_that_spoils_its_batch_is_tried_apart(place: &Place) {
        let db = place.open().await;
        let (bus, broken) = BrokenBus::new();
        broken.poison(Some(topic("spoilt")));
        for number in 0..30 {
            append_to(&db, "spoilt", [(format!("spoilt-{number}"), number)]).await;
            append_to(&db, "fine", [(format!("fine-{number}"), number)]).await;
        }
        let relay = start(quick(&db, &bus));
        until("the other topic goes on", async || outbox::backlog(&db).await.unwrap().waiting == 30).await;
        assert!(by_item(&broken.accepted()).keys().all(|item| item.starts_with("fine")));
        broken.poison(None);
        until("all is published", async || empty(&db).await).await;
        assert!(relay.stop().await);
    }

    async fn a_bus_that_is_down_is_asked_less_and_less_often_and_nothing_is_lost(place: &Place) {
        let db = place.open().await;
        let (bus, broken) = BrokenBus::new();
        broken.rule(Some(Box::new(|_| Fate::Unavailable)));
        for number in 0..20 {
            append(&db, &format!("item-{number}"), number).await;
        }
        let backoff = Backoff::exponential(Duration::from_millis(20), Duration::from_secs(10));
        let relay = start(quick(&db, &bus).retry(backoff));
        until("it was tried", async || broken.batches().len() >= 3).await;
        // 20 + 40 + 80 + 160 ms at least lie before the fifth: a relay that spins is far beyond it.
        let tries = broken.batches().len();
        assert!(tries <= 5, "{tries} tries");
        broken.rule(None);
        until("all is published", async || empty(&db).await).await;
        assert_eq!(by_item(&broken.accepted()).len(), 20);
        assert!(relay.stop().await);
    }

    async fn a_relay_that_cannot_finish_says_so_and_the_next_one_does(place: &Place) {
        let db = place.open().await;
        let (bus, broken) = BrokenBus::new();
        broken.rule(Some(Box::new(|_| Fate::Unavailable)));
        append(&db, "pen", 1).await;
        let relay = start(quick(&db, &bus).drain_within(Duration::from_millis(100)));
        until("it was tried", async || !broken.batches().is_empty()).await;
        assert!(!relay.stop().await);
        broken.rule(None);
        assert!(start(quick(&db, &bus)).stop().await);
        assert_eq!(by_item(&broken.accepted())["pen"], [1]);
    }

    async fn one_relay_is_active_and_another_takes_over(place: &Place) {
        // Handles of their own, as two processes would have; the first dies without a word.
        let (one, two) = (place.open().await, place.open().await);
        let (bus_one, broken_one) = BrokenBus::new();
        let (bus_two, broken_two) = BrokenBus::new();
        let lease = Duration::from_millis(600);
        let first = start(quick(&one, &bus_one).lease(lease));
        append(&one, "pen", 1).await;
        until("the first is active", async || empty(&one).await).await;
        let second = start(quick(&two, &bus_two).lease(lease).poll_every(Duration::from_millis(20)));
        for number in 2..6 {
            append(&one, "pen", number).await;
            until("the first publishes", async || empty(&one).await).await;
        }
        assert_eq!(by_item(&broken_one.accepted())["pen"], [1, 2, 3, 4, 5]);
        assert!(broken_two.tried().is_empty(), "one at a time");
        first.task.abort();
        append(&one, "pen", 6).await;
        until("the second takes over", async || empty(&one).await).await;
        assert_eq!(by_item(&broken_two.accepted())["pen"], [6]);
        assert!(second.stop().await);
        // A relay that ends in good order leaves no lease behind: the next need not wait.
        let third = start(quick(&one, &bus_one).lease(Duration::from_hours(1)));
        append(&one, "pen", 7).await;
        until("the third is active", async || empty(&one).await).await;
        assert!(third.stop().await);
    }

    async fn a_relay_publishes_in_batches(place: &Place) {
        let db = place.open().await;
        let (bus, broken) = BrokenBus::new();
        let mut tx = db.begin().await.unwrap();
        for number in 0..50 {
            outbox::append(&mut tx, &Message::of(&sold(&format!("item-{number}"), number)).unwrap()).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert!(start(quick(&db, &bus).batch(20)).stop().await);
        assert_eq!(broken.batches(), [20, 20, 10]);
    }
}

/// Steps of a model run: an event of an item, and what happens to the tries to publish.
fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Accepted),
        2 => Just(Fate::Unavailable),
        1 => Just(Fate::Unknown),
        1 => Just(Fate::Refused),
    ]
}

/// The order that the bus sees, against the model: per item the numbers as appended; one that was
/// accepted without anybody hearing of it comes again, before its successors.
fn check_against_model(appended: &BTreeMap<String, Vec<u32>>, tried: &[(Message, Fate)]) {
    let mut next: BTreeMap<String, usize> = BTreeMap::new();
    for (message, fate) in tried {
        let event: crate::shop::Sold = message.event.decode().unwrap();
        let place = next.entry(event.item.clone()).or_default();
        assert_eq!(
            appended[&event.item][*place], event.number,
            "{}: out of order",
            event.item
        );
        if *fate == Fate::Accepted {
            *place += 1;
        }
    }
    for (item, numbers) in appended {
        assert_eq!(
            next.get(item),
            Some(&numbers.len()),
            "{item}: not all published"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_order_per_key_holds_under_any_failures(
        events in prop::collection::vec((0_u8..5, any::<bool>()), 1..40),
        fates in prop::collection::vec(fate(), 0..60),
        batch in 1_usize..16,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let place = crate::databases::Place::sqlite();
            let db = place.open().await;
            let (bus, broken) = BrokenBus::new();
            broken.fates(fates);
            let backoff = Backoff::exponential(Duration::from_micros(200), Duration::from_millis(2));
            let relay = start(Relay::new(db.clone(), bus).retry(backoff).batch(batch));
            let mut appended = BTreeMap::<String, Vec<u32>>::new();
            let mut tx = db.begin().await.unwrap();
            for (number, (item, commit)) in (0_u32..).zip(events) {
                let item = format!("item-{item}");
                outbox::append(&mut tx, &Message::of(&sold(&item, number)).unwrap()).await.unwrap();
                appended.entry(item).or_default().push(number);
                if commit {
                    let next = db.clone();
                    tx.commit().await.unwrap();
                    tx = next.begin().await.unwrap();
                }
            }
            tx.commit().await.unwrap();
            until("all is published", async || empty(&db).await).await;
            assert!(relay.stop().await);
            check_against_model(&appended, &Arc::clone(&broken).tried());
        });
    }
}
