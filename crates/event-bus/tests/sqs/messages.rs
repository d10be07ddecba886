//! What a message is on the wire, ours and others'.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn raw_messages_and_notifications_are_both_read() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let (bus, raw) = (connect(&queues(&endpoint)).await, Raw::of(&endpoint));
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let queue = raw.queue(&topic, "__reader.fifo").await;
    let event =
        |number| String::from_utf8(message(&topic, Some("a"), number).event.to_json()).unwrap();
    raw.send(&queue, &event(1), None).await;
    let notification = serde_json::json!({
        "Type": "Notification",
        "MessageId": "5c2b",
        "TopicArn": "arn:aws:sns:us-east-1:1:orders",
        "Message": event(2),
        "MessageAttributes": {"colour": {"Type": "String", "Value": "red"}},
    });
    raw.send(&queue, &notification.to_string(), None).await;
    assert_eq!(take(&mut subscriber, 1).await, [1]);
    let delivery = receive(&mut subscriber).await;
    assert_eq!(number(&delivery), 2);
    assert_eq!(
        delivery.message().headers.get("colour").unwrap().as_ref(),
        b"red"
    );
    delivery.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_event_is_kept_as_it_is_and_can_be_redriven() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let (bus, raw) = (connect(&queues(&endpoint)).await, Raw::of(&endpoint));
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    let queue = raw.queue(&topic, "__reader.fifo").await;
    let body = "{\"no\": \"event\" – <at all>";
    raw.send(&queue, body, None).await;
    for times in 1..=2_usize {
        assert!(
            timeout(Duration::from_secs(3), subscriber.next())
                .await
                .is_err()
        );
        let letters = bus
            .dead_letters(&topic, &subscription.name, 10)
            .await
            .unwrap();
        let kept = letters[0].body.as_ref().unwrap_err();
        assert_eq!(kept.payload.as_deref(), Some(body.as_bytes()));
        assert_eq!(kept.key.as_deref(), Some(b"foreign".as_slice()));
        assert_eq!(letters[0].reasons.len(), times, "{:?}", letters[0].reasons);
        let redriven = bus
            .redrive(&topic, &subscription.name, Redrive::all())
            .await
            .unwrap();
        assert_eq!(redriven, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_odd_keys_survive() {
    let Some(endpoint) = server(TOPICS) else {
        return;
    };
    let bus = connect(&topics(&endpoint)).await;
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let key = format!("ein Schlüssel mit {}", "Länge ".repeat(40));
    let sent = message(&topic, Some(&key), 1)
        .with_header("bytes", every_byte)
        .and_then(|message| message.with_header("empty", ""))
        .and_then(|message| message.with_header("bytes", "again"))
        .unwrap();
    bus.publish(sent.clone()).await.unwrap();
    let delivery = receive(&mut subscriber).await;
    assert_eq!(*delivery.message(), sent);
    delivery.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_fails_alone() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    let mut large = message(&topic, Some("a"), 2);
    large.event = large
        .event
        .with_data("text/plain", "x".repeat(300_000))
        .unwrap();
    let batch = vec![
        message(&topic, Some("a"), 1),
        large,
        message(&topic, Some("a"), 3),
    ];
    let results = bus.publish_batch(batch).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.error().kind()),
        (PublishErrorKind::Failed, ErrorKind::Message)
    );
    assert_eq!(take(&mut subscriber, 2).await, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_foreign_message_is_cut_to_the_room_that_it_leaves() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let url = queues(&endpoint);
    let bus = connect(&url).await;
    let topic = new_topic();
    let subscription = subscription(&topic);
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    let raw = Raw::of(&endpoint).with_prefix_of(&url);
    let queue = raw.queues(&topic).await;
    let queue = queue.iter().find(|queue| !queue.contains("__dead"));
    // Less than a queue takes, by less than what is kept free by messages of our own.
    let data = "x".repeat(259_900);
    let body = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/foreign","type":"foreign.v1","data":"{data}"}}"#
    );
    raw.send(queue.unwrap(), &body, None).await;
    let delivery = receive(&mut subscriber).await;
    delivery.reject("y".repeat(5000)).await.unwrap();
    let (topic, name) = (&subscription.topic, &subscription.name);
    let letters = bus.dead_letters(topic, name, 10).await.unwrap();
    let reason = letters[0].reason();
    assert!(
        reason.starts_with("yyy") && reason.len() < 2_200,
        "{}",
        reason.len()
    );
    assert_eq!(letters[0].attempts, 1);
    let redriven = bus.redrive(topic, name, Redrive::all()).await.unwrap();
    assert_eq!(redriven, 1);
    let again = receive(&mut subscriber).await;
    let brought = again.message().event.data().unwrap();
    assert_eq!(brought.len(), data.len() + 2, "a text of JSON");
    again.ack().await.unwrap();
}
