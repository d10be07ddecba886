//! Who holds what while connections break and processes die.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_keep_what_is_held_and_death_gives_it_back() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let url = queues(&endpoint);
    let topic = new_topic();
    let leased = subscription(&topic).lease(Duration::from_secs(2));
    let bus = connect(&url).await;
    let (holds, it_holds) = tokio::sync::oneshot::channel();
    // A process of its own, as far as the bus can tell: its tasks end with its runtime, and nothing is released.
    let doomed = std::thread::spawn({
        let (url, leased) = (url.clone(), leased.clone());
        move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let held = runtime.block_on(async {
                let bus = connect(&url).await;
                let mut subscriber = bus.subscribe(leased.clone()).await.unwrap();
                publish(&bus, &leased.topic, Some("a"), [1, 2]).await;
                let held = receive(&mut subscriber).await;
                holds.send(()).unwrap();
                sleep(Duration::from_secs(6)).await;
                assert_eq!(held.attempt(), 1);
                std::mem::forget((subscriber, bus));
                held
            });
            let ended = Instant::now();
            runtime.shutdown_background();
            std::mem::forget(held);
            ended
        }
    });
    it_holds.await.unwrap();
    let mut subscriber = bus.subscribe(leased).await.unwrap();
    let delivery = receive(&mut subscriber).await;
    let came = Instant::now();
    let ended = tokio::task::spawn_blocking(move || doomed.join().unwrap())
        .await
        .unwrap();
    assert!(
        came >= ended,
        "while its holder lives it is its holder's, three leases long"
    );
    assert!(came - ended < Duration::from_secs(10), "{:?}", came - ended);
    assert_eq!((number(&delivery), delivery.attempt()), (1, 2));
    delivery.ack().await.unwrap();
    assert_eq!(take(&mut subscriber, 1).await, [2]);
}

/// A bus whose connections go through a proxy.
async fn through_proxy(endpoint: &str, settings: &str) -> (Proxy, EventBus) {
    let proxy = Proxy::start(endpoint.trim_start_matches("http://").to_owned()).await;
    let url = queues(&format!("http://127.0.0.1:{}", proxy.port()));
    let bus = connect(&with_settings(&url, settings)).await;
    (proxy, bus)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_lost_touch_is_refused() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let (proxy, bus) = through_proxy(&endpoint, "request_timeout=1s").await;
    let topic = new_topic();
    let leased = subscription(&topic).lease(Duration::from_secs(2));
    let mut subscriber = bus.subscribe(leased.clone()).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    let held = receive(&mut subscriber).await;
    proxy.refuse(true);
    proxy.cut();
    let other = connect(&queues(&endpoint)).await;
    let mut heir = other.subscribe(leased).await.unwrap();
    let taken_over = receive(&mut heir).await;
    proxy.refuse(false);
    let error = held.ack().await.unwrap_err();
    assert_eq!(error.source.kind(), ErrorKind::LeaseLost, "{error}");
    drop(error);
    assert_eq!(taken_over.attempt(), 2);
    taken_over.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_waits_for_aws_as_long_as_it_was_told() {
    for (variable, url) in [(QUEUES, queues as fn(&str) -> String), (TOPICS, topics)] {
        let Some(endpoint) = server(variable) else {
            return;
        };
        let proxy = Proxy::start(endpoint.trim_start_matches("http://").to_owned()).await;
        let url = url(&format!("http://127.0.0.1:{}", proxy.port()));
        let settings = "publish_timeout=20s&request_timeout=500ms&unrouted_ok=";
        let topic = new_topic();
        let bus = connect(&with_settings(&url, &format!("{settings}{topic}"))).await;
        proxy.refuse(true);
        proxy.cut();
        let publishing = tokio::spawn({
            let message = message(&topic, None, 1);
            async move { bus.publish(message).await }
        });
        sleep(Duration::from_secs(2)).await;
        proxy.refuse(false);
        publishing.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_whether_aws_answers() {
    for (variable, url) in [(QUEUES, queues as fn(&str) -> String), (TOPICS, topics)] {
        let Some(endpoint) = server(variable) else {
            return;
        };
        let proxy = Proxy::start(endpoint.trim_start_matches("http://").to_owned()).await;
        let url = url(&format!("http://127.0.0.1:{}", proxy.port()));
        let bus = connect(&with_settings(&url, "request_timeout=1s")).await;
        bus.check().await.unwrap();
        proxy.refuse(true);
        proxy.cut();
        let started = Instant::now();
        let error = bus.check().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.is_retryable() && started.elapsed() < Duration::from_secs(10));
        proxy.refuse(false);
        eventually("it answers again", async || bus.check().await.is_ok()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn broken_connections_lose_nothing_and_keep_the_order() {
    const KEYS: u64 = 4;
    const EACH: u64 = 60;
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let (proxy, bus) = through_proxy(&endpoint, "publish_timeout=20s&request_timeout=2s").await;
    let topic = new_topic();
    let leased = subscription(&topic)
        .lease(Duration::from_secs(3))
        .max_in_flight(16);
    let mut subscriber = bus.subscribe(leased).await.unwrap();
    let publisher = tokio::spawn({
        let (bus, topic) = (bus.clone(), topic.clone());
        async move {
            for n in 0..EACH {
                for k in 0..KEYS {
                    // What failed, or may have, is published again: at least once.
                    let mut next = message(&topic, Some(&format!("key-{k}")), n);
                    while let Err(error) = bus.publish(next).await {
                        assert!(error.is_retryable(), "{error}");
                        next = error.into_parts().0;
                    }
                }
            }
        }
    });
    let (mut cuts, mut next_cut) = (0, Instant::now() + Duration::from_millis(300));
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    let deadline = Instant::now() + PATIENCE;
    while reached.values().sum::<u64>() < KEYS * EACH {
        assert!(Instant::now() < deadline, "not all came: {reached:?}");
        if cuts < 6 && Instant::now() >= next_cut {
            cuts += usize::from(proxy.cut() > 0);
            next_cut = Instant::now() + Duration::from_millis(400);
        }
        let Ok(delivery) = timeout(Duration::from_millis(100), subscriber.next()).await else {
            continue;
        };
        let delivery = delivery.unwrap().expect("the subscriber ended");
        let key = delivery.message().key().unwrap().to_owned();
        let number = number(&delivery);
        let reached = reached.entry(key.clone()).or_default();
        assert!(
            number <= *reached,
            "{key}: {number} came before {reached} was settled"
        );
        // A lost answer leaves it with SQS, which delivers it again.
        if delivery.ack().await.is_ok() {
            *reached = (*reached).max(number + 1);
        }
    }
    publisher.await.unwrap();
    assert!(cuts > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_beyond_what_sqs_keeps_is_refused_and_the_delivery_stays() {
    let Some(endpoint) = server(QUEUES) else {
        return;
    };
    let bus = connect(&queues(&endpoint)).await;
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    publish(&bus, &topic, Some("a"), [1]).await;
    let delivery = receive(&mut subscriber).await;
    let error = delivery.retry(Duration::from_hours(13)).await.unwrap_err();
    assert_eq!(error.source.kind(), ErrorKind::Unsupported);
    error.delivery.ack().await.unwrap();
}
