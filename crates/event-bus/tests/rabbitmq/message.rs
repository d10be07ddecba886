//! What travels in a message, from attempt to attempt and through the dead letters.

use std::time::Duration;

use bytes::Bytes;
use commerce_contracts::CloudEvent;
use commerce_event_bus::{EventBus, Filter, Message, Order, Redrive};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, ByteArray, FieldTable, LongString};

use crate::servers::*;
use crate::{VARIABLE, raw};

#[tokio::test(flavor = "multi_thread")]
async fn headers_arrive_byte_for_byte_and_in_order() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let mut sent = message(&topic, Some("a"), 1);
    for (name, value) in [
        ("zeta", &b"\xff\x00\xfe"[..]),
        ("alpha", b"text"),
        ("zeta", b"again"),
        ("empty", b""),
    ] {
        sent = sent.with_header(name, value.to_vec()).unwrap();
    }
    bus.publish(sent.clone()).await.unwrap();
    let delivery = receive(&mut subscriber).await;
    assert_eq!(delivery.message(), &sent);
    // Through the dead letters and back, too.
    delivery.reject("once").await.unwrap();
    let name = &subscription(&topic).name;
    let letters = bus.dead_letters(&topic, name, 1).await.unwrap();
    assert_eq!(letters[0].body.as_ref().unwrap(), &sent);
    assert_eq!(bus.redrive(&topic, name, Redrive::all()).await.unwrap(), 1);
    let delivery = receive(&mut subscriber).await;
    assert_eq!(delivery.message(), &sent);
    delivery.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_data_is_not_empty_data() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let event = || CloudEvent::new("/test", "test.thing.forgotten.v1").unwrap();
    let all: Vec<u8> = (0..=255).collect();
    for event in [
        event(),
        event()
            .with_data("application/octet-stream", Bytes::new())
            .unwrap(),
        event().with_data("application/octet-stream", all).unwrap(),
    ] {
        let sent = Message::new(topic.clone(), event.with_key("k").unwrap());
        bus.publish(sent.clone()).await.unwrap();
        let delivery = receive(&mut subscriber).await;
        assert_eq!(delivery.message(), &sent);
        delivery.ack().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_others_are_kept() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let long = |text: &str| AMQPValue::LongString(LongString::from(text));
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("cloudEvents_specversion", long("1.0")),
        ("cloudEvents_id", long("7")),
        ("cloudEvents_source", long("/elsewhere")),
        ("cloudEvents_type", long("elsewhere.thing.done")),
        ("Trace", long("abc")),
        (
            "bytes",
            AMQPValue::ByteArray(ByteArray::from(vec![0xff, 1])),
        ),
        ("count", AMQPValue::LongLongInt(12)),
    ] {
        headers.insert(name.into(), value);
    }
    let properties = BasicProperties::default().with_headers(headers);
    raw::publish(&url, topic.as_str(), properties, Bytes::from_static(b"x")).await;
    let delivery = receive(&mut subscriber).await;
    let found: Vec<(&str, &[u8])> = delivery
        .message()
        .headers
        .iter()
        .map(|(name, value)| (name, value.as_ref()))
        .collect();
    let expected: [(&str, &[u8]); 3] = [("Trace", b"abc"), ("bytes", &[0xff, 1]), ("count", b"12")];
    assert_eq!(found, expected);
    delivery.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_remember_every_reason_and_the_first_failure() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    let first = receive(&mut subscriber).await;
    let seen = first.first_seen_at();
    first.retry(Duration::from_millis(20)).await.unwrap();
    let second = receive(&mut subscriber).await;
    assert_eq!(second.first_seen_at(), seen);
    tokio::time::sleep(Duration::from_millis(30)).await;
    second.reject("one").await.unwrap();
    let letters = bus
        .dead_letters(&topic, &subscription.name, 9)
        .await
        .unwrap();
    let letter = &letters[0];
    assert_eq!((letter.attempts, letter.reason()), (2, "one"));
    assert!(letter.first_failed_at >= seen);
    let apart = letter.rejected_at - letter.first_failed_at;
    assert!(apart.num_milliseconds() >= 40, "{apart}");
    assert_eq!(letter.key(), Some(&b"a"[..]));

    let redriven = bus
        .redrive(&topic, &subscription.name, Redrive::all())
        .await
        .unwrap();
    assert_eq!(redriven, 1);
    let again = receive(&mut subscriber).await;
    assert_eq!(again.attempt(), 1, "a new life");
    again.reject("two").await.unwrap();
    let letters = bus
        .dead_letters(&topic, &subscription.name, 9)
        .await
        .unwrap();
    assert_eq!(letters[0].reasons, ["one", "two"]);
    assert_eq!(letters[0].attempts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_takes_what_its_filter_wants_and_leaves_the_rest_in_order() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    raw::publish(
        &url,
        topic.as_str(),
        BasicProperties::default(),
        Bytes::new(),
    )
    .await;
    for n in 0..6 {
        let mut next = message(&topic, Some("a"), n);
        let tenant = if n % 2 == 0 { "even" } else { "odd" };
        next.event = next.event.with_extension("tenant", tenant).unwrap();
        bus.publish(next).await.unwrap();
        receive(&mut subscriber).await.reject("no").await.unwrap();
    }
    // Looks at more and at fewer leave the order alone.
    for limit in [7, 2, 3, 1] {
        let seen = bus
            .dead_letters(&topic, &subscription.name, limit)
            .await
            .unwrap();
        let seen: Vec<Option<u64>> = seen
            .iter()
            .map(|letter| letter.body.as_ref().ok().map(number_of))
            .collect();
        let all = [None, Some(0), Some(1), Some(2), Some(3), Some(4), Some(5)];
        assert_eq!(seen, all[..limit]);
    }
    let odd = Redrive::all().filter(Filter::new().equals("tenant", "odd"));
    let redriven = bus
        .redrive(&topic, &subscription.name, odd.clone().limit(2))
        .await
        .unwrap();
    assert_eq!(redriven, 2);
    assert_eq!(take(&mut subscriber, 2).await, [1, 3]);
    let left = bus
        .dead_letters(&topic, &subscription.name, 9)
        .await
        .unwrap();
    let left: Vec<Option<u64>> = left
        .iter()
        .map(|letter| letter.body.as_ref().ok().map(number_of))
        .collect();
    assert_eq!(left, [None, Some(0), Some(2), Some(4), Some(5)]);
    let redriven = bus.redrive(&topic, &subscription.name, odd).await.unwrap();
    assert_eq!(redriven, 1);
    assert_eq!(take(&mut subscriber, 1).await, [5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_filter_does_not_want_is_done_with() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=2"))
        .await
        .unwrap();
    let topic = new_topic();
    let wanted = subscription(&topic).filter(Filter::new().prefix("partitionkey", "b"));
    let mut subscriber = bus.subscribe(wanted.clone()).await.unwrap();
    // More than may be fetched ahead: they must be settled, not only hidden.
    publish(&bus, &topic, Some("a"), 0..2500).await;
    publish(&bus, &topic, Some("b"), [7777]).await;
    assert_eq!(take(&mut subscriber, 1).await, [7777]);
    eventually("nothing is left", async || {
        let backlog = bus.backlog(&topic, &wanted.name).await.unwrap();
        backlog.is_drained() && backlog.dead == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_flight_are_bounded() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&url).await.unwrap();
    for order in [Order::PerKey, Order::Unordered] {
        let topic = new_topic();
        let each = message(&topic, None, 1).size();
        let narrow = subscription(&topic)
            .order(order)
            .max_bytes_in_flight(each * 2 + each / 2);
        let mut subscriber = bus.subscribe(narrow).await.unwrap();
        publish(&bus, &topic, None, 1..6).await;
        let mut held = receive_all(&mut subscriber, 2).await;
        let third = tokio::time::timeout(Duration::from_millis(400), subscriber.next()).await;
        assert!(third.is_err(), "two fill the bound");
        held.pop().unwrap().ack().await.unwrap();
        receive(&mut subscriber).await.ack().await.unwrap();
    }
}
