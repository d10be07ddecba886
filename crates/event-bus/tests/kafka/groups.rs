//! Members that come and go, under both group protocols.

use std::collections::btree_map::Entry;

use super::*;

fn partition(delivery: &commerce_event_bus::Delivery) -> String {
    delivery.position().split_once('@').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rebalance_drains_what_is_in_flight() {
    let Some(url) = server(VARIABLE) else { return };
    a_rebalance_drains(&url, "protocol=classic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rebalance_by_the_broker_drains_what_is_in_flight() {
    let Some(url) = server(VARIABLE) else { return };
    a_rebalance_drains(&url, "protocol=consumer").await;
}

/// Work in flight on both sides of a rebalance: what is settled in time counts, what is not is refused and repeated.
async fn a_rebalance_drains(url: &str, settings: &str) {
    let url = with_settings(url, "partitions=4&commit_interval=50ms&drain=3s");
    let url = with_settings(&url, settings);
    let topic = new_topic();
    let subscription = subscription(&topic);
    let bus = EventBus::connect(&url).await.unwrap();
    let mut first = bus.subscribe(subscription.clone()).await.unwrap();
    for n in 0..24 {
        publish(&bus, &topic, Some(&format!("key-{n}")), [n]).await;
    }
    let held = receive_all(&mut first, 24).await;
    let partitions: BTreeSet<String> = held.iter().map(partition).collect();
    assert!(partitions.len() > 1, "the keys are spread");

    // The second member joins while all 24 are in flight: half of the partitions must move, and wait for them.
    let other = EventBus::connect(&url).await.unwrap();
    let mut second = other.subscribe(subscription.clone()).await.unwrap();
    let repeated = tokio::spawn(async move {
        let numbers = take_rest(&mut second, Duration::from_secs(12)).await;
        (second, numbers)
    });
    // One stays in hand beyond the drain, the others are settled while the rebalance waits for them.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut kept: BTreeMap<String, commerce_event_bus::Delivery> = BTreeMap::new();
    let mut acked = BTreeSet::new();
    for delivery in held {
        let partition = partition(&delivery);
        if let Entry::Vacant(first) = kept.entry(partition) {
            first.insert(delivery);
        } else {
            acked.insert(number(&delivery));
            delivery.ack().await.unwrap();
        }
    }
    let (second, repeated) = timeout(PATIENCE, repeated).await.unwrap().unwrap();
    assert!(
        !repeated.is_empty(),
        "partitions moved, and with them what was not settled"
    );
    // Per partition one was kept, the oldest: where the partition moved it alone was repeated.
    let mut refused = BTreeSet::new();
    for delivery in kept.into_values() {
        let number = number(&delivery);
        match delivery.ack().await {
            Ok(()) => assert!(
                !repeated.contains(&number),
                "{number} was repeated while it could be settled"
            ),
            Err(error) => {
                assert_eq!(error.source.kind(), ErrorKind::LeaseLost);
                refused.insert(number);
            }
        }
    }
    assert!(
        !refused.is_empty(),
        "late settlements of moved partitions are refused"
    );
    assert_eq!(refused, repeated, "{acked:?} were settled in time");

    drop((first, second));
    bus.close(PATIENCE).await.unwrap();
    other.close(PATIENCE).await.unwrap();
    let bus = EventBus::connect(&url).await.unwrap();
    eventually("everything is settled", async || {
        bus.backlog(&topic, &subscription.name)
            .await
            .unwrap()
            .is_drained()
    })
    .await;
}

/// A member with a name of its own that is away for a moment finds its partitions as it left them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_named_member_keeps_its_partitions_while_it_is_away() {
    let Some(url) = server(VARIABLE) else { return };
    for protocol in ["classic", "consumer"] {
        let url = with_settings(&url, &format!("partitions=2&protocol={protocol}"));
        let connect = async |instance: &str| {
            let url = with_settings(&url, &format!("instance={instance}"));
            EventBus::connect(&url).await.unwrap()
        };
        let topic = new_topic();
        let subscription = subscription(&topic).lease(Duration::from_mins(1));
        let (one, two) = (connect("one").await, connect("two").await);
        let mut first = one.subscribe(subscription.clone()).await.unwrap();
        let mut second = two.subscribe(subscription.clone()).await.unwrap();
        // Until both have one: every round reaches both partitions.
        let mut round = 0;
        let mut publish_round = async || {
            round += 1;
            for key in 0..8 {
                publish(&one, &topic, Some(&key.to_string()), [round * 100 + key]).await;
            }
        };
        let quiet = Duration::from_secs(2);
        let mut of_two = BTreeSet::new();
        eventually("each has a partition", async || {
            publish_round().await;
            let (one, two) =
                tokio::join!(take_rest(&mut first, quiet), take_rest(&mut second, quiet));
            of_two = two.iter().map(|number| number % 100).collect();
            !one.is_empty() && !of_two.is_empty() && one.len() + two.len() == 8
        })
        .await;

        two.close(PATIENCE).await.unwrap();
        publish_round().await;
        let meanwhile: BTreeSet<u64> = take_rest(&mut first, Duration::from_secs(5))
            .await
            .into_iter()
            .map(|number| number % 100)
            .collect();
        assert!(
            !meanwhile.is_empty() && meanwhile.is_disjoint(&of_two),
            "{protocol}: nothing moved"
        );

        let two = connect("two").await;
        let mut second = two.subscribe(subscription).await.unwrap();
        let expected = of_two.len();
        let back: BTreeSet<u64> = take(&mut second, expected)
            .await
            .into_iter()
            .map(|number| number % 100)
            .collect();
        assert_eq!(
            back, of_two,
            "{protocol}: what it left, and what came meanwhile"
        );
    }
}

/// Two members of one process do not take each other's name.
#[tokio::test(flavor = "multi_thread")]
async fn members_of_one_process_have_names_of_their_own() {
    let Some(url) = server(VARIABLE) else { return };
    let bus = EventBus::connect(&with_settings(&url, "partitions=2&instance=pod"))
        .await
        .unwrap();
    let topic = new_topic();
    let subscription = subscription(&topic).order(Order::Unordered);
    let mut first = bus.subscribe(subscription.clone()).await.unwrap();
    let mut second = bus.subscribe(subscription.clone()).await.unwrap();
    eventually("both are given something", async || {
        for key in 0..8 {
            publish(&bus, &topic, Some(&key.to_string()), [key]).await;
        }
        let quiet = Duration::from_secs(1);
        let (one, two) = tokio::join!(take_rest(&mut first, quiet), take_rest(&mut second, quiet));
        !one.is_empty() && !two.is_empty()
    })
    .await;
}
