//! Dead letters that a queue does not take again.

use std::collections::BTreeMap;
use std::time::Duration;

use commerce_event_bus::{ErrorKind, EventBus, Redrive};
use tokio::time::timeout;

use crate::management::Management;
use crate::raw;
use crate::servers::*;

const KEYS: u64 = 12;
const EACH: u64 = 3;
/// Numbers from here on are no dead letters.
const FILLING: u64 = 1000;

/// Of several queues one is full. What the others have confirmed leaves the dead letters, what the full one refuses stays,
/// and no later letter of its key goes past it.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_refused_is_neither_passed_by_its_key_nor_doubles_others() {
    let Some(url) = server("AMQP_URL") else {
        return;
    };
    let Some(management) = Management::find() else {
        return;
    };
    let topic = new_topic();
    let subscription = subscription(&topic);
    let bus = EventBus::connect(&url).await.unwrap();
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    for n in 0..EACH {
        for k in 0..KEYS {
            publish(&bus, &topic, Some(&format!("key-{k}")), [n]).await;
        }
    }
    for _ in 0..KEYS * EACH {
        let delivery = receive(&mut subscriber).await;
        delivery.reject("for the redrive").await.unwrap();
    }
    drop(subscriber);
    bus.close(PATIENCE).await.unwrap();

    let full = format!("{topic}.reader:0");
    management.limit(&full, 0).await;
    let bus = EventBus::connect(&url).await.unwrap();
    let mut filling = FILLING;
    eventually("a queue is full", async || {
        let mut refused = false;
        for k in 0..KEYS {
            filling += 1;
            let key = format!("key-{k}");
            refused |= bus
                .publish(message(&topic, Some(&key), filling))
                .await
                .is_err();
        }
        refused
    })
    .await;

    let error = bus
        .redrive(&topic, &subscription.name, Redrive::all())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable(), "{error}");
    let letters = bus
        .dead_letters(&topic, &subscription.name, 100)
        .await
        .unwrap();
    let mut dead = BTreeMap::<String, Vec<u64>>::new();
    for letter in &letters {
        let message = letter.body.as_ref().unwrap();
        let key = message.key().unwrap().to_owned();
        dead.entry(key).or_default().push(number_of(message));
    }
    // The first of every key was tried.
    let (refused, taken): (Vec<_>, Vec<_>) = dead.values().partition(|dead| dead[0] == 0);
    assert!(!refused.is_empty() && !taken.is_empty(), "{dead:?}");
    assert!(refused.iter().all(|dead| **dead == [0, 1, 2]), "{dead:?}");
    assert!(taken.iter().all(|dead| **dead == [1, 2]), "{dead:?}");
    assert!(
        error
            .to_string()
            .contains(&format!("{} dead letters", taken.len())),
        "{error}"
    );

    management.unlimit(&full).await;
    bus.close(PATIENCE).await.unwrap();
    let direct = raw::channel(&url).await;
    assert!(raw::ready(&direct, &full).await > 0, "it was full");
    let bus = EventBus::connect(&url).await.unwrap();
    let mut subscriber = bus.subscribe(subscription.clone()).await.unwrap();
    let redriven = bus
        .redrive(&topic, &subscription.name, Redrive::all())
        .await
        .unwrap();
    assert_eq!(redriven, letters.len() as u64);
    let mut came = BTreeMap::<String, Vec<u64>>::new();
    while let Ok(next) = timeout(Duration::from_secs(2), subscriber.next()).await {
        let delivery = next.unwrap().expect("the subscriber ended");
        let number = number(&delivery);
        if number < FILLING {
            let key = delivery.message().key().unwrap().to_owned();
            came.entry(key).or_default().push(number);
        }
        delivery.ack().await.unwrap();
    }
    assert_eq!(came.len() as u64, KEYS);
    assert!(came.values().all(|came| *came == [0, 1, 2]), "{came:?}");
}
