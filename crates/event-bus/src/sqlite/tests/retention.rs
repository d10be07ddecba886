//! What leaves the file, and what does not: by age, by size, with its subscription.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::file::raw;
use super::{directory, message, name, open, topic};
use crate::backend::{Backend, Settlement};
use crate::error::ErrorKind;
use crate::name::SubscriptionName;
use crate::sqlite::{Sqlite, expiry, retention};
use crate::subscription::{Order, Subscription};

async fn stored(path: &Path) -> Vec<i64> {
    let mut connection = raw(path).await;
    sqlx::query_scalar("SELECT sequence FROM message ORDER BY sequence")
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn retention_deletes_what_everybody_settled_and_nothing_else() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "retain=0s").await;
    let subscription = Subscription::new(topic(), name())
        .order(Order::Unordered)
        .max_in_flight(5000);
    let mut feed = bus.subscribe(subscription).await.unwrap();
    let mut slow = bus
        .subscribe(
            Subscription::new(topic(), SubscriptionName::new("slow").unwrap()).max_in_flight(1),
        )
        .await
        .unwrap();
    // More than one window of the trim.
    for result in bus
        .publish((0..2300).map(|_| message(None, "x")).collect())
        .await
    {
        result.unwrap();
    }
    let settler = feed.settler();
    for n in 1..=2300_u64 {
        let incoming = feed.receive().await.unwrap().unwrap();
        let verdict = match n {
            5 => Settlement::Retry {
                after: Duration::from_hours(1),
            },
            1500 => Settlement::Reject {
                reason: "no".to_owned(),
            },
            _ => Settlement::Ack,
        };
        settler.settle(incoming.receipt, verdict).await.unwrap();
    }
    // The slow one has settled two, and holds the third at most.
    let slow_settler = slow.settler();
    for _ in 0..2 {
        let incoming = slow.receive().await.unwrap().unwrap();
        slow_settler
            .settle(incoming.receipt, Settlement::Ack)
            .await
            .unwrap();
    }
    retention::trim(&bus.shared).await.unwrap();
    assert_eq!(
        stored(&path).await,
        (3..=2300).collect::<Vec<_>>(),
        "one is slow"
    );
    for _ in 2..2300 {
        let incoming = slow.receive().await.unwrap().unwrap();
        slow_settler
            .settle(incoming.receipt, Settlement::Ack)
            .await
            .unwrap();
    }
    retention::trim(&bus.shared).await.unwrap();
    assert_eq!(
        stored(&path).await,
        [5, 1500],
        "one waits for a retry, one is a dead letter"
    );
    bus.purge_dead_letters(&topic(), &name()).await.unwrap();
    retention::trim(&bus.shared).await.unwrap();
    assert_eq!(stored(&path).await, [5]);
    // Numbers are not given twice, even when the newest message was deleted.
    let accepted = bus
        .publish(vec![message(None, "x")])
        .await
        .remove(0)
        .unwrap();
    assert_eq!(accepted.position.as_deref(), Some("2301"));
}

#[tokio::test]
async fn what_is_young_stays_for_later_subscriptions() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "retain=1h").await;
    bus.publish(vec![message(None, "x")])
        .await
        .remove(0)
        .unwrap();
    assert_eq!(retention::trim(&bus.shared).await.unwrap(), 0);
    let mut connection = raw(&path).await;
    sqlx::query("UPDATE message SET published_at = published_at - 3600001")
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(retention::trim(&bus.shared).await.unwrap(), 1);
}

#[tokio::test]
async fn retention_runs_by_itself() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, "retain=0s").await;
    bus.publish(vec![message(None, "x")])
        .await
        .remove(0)
        .unwrap();
    let gone = async {
        while !stored(&path).await.is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(20), gone)
        .await
        .expect("the settled message leaves the file");
}

async fn used(path: &Path) -> i64 {
    sqlx::query_scalar(retention::USED)
        .fetch_one(&mut raw(path).await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_file_that_is_too_large_loses_the_oldest_settled_and_nothing_unsettled() {
    const MOST: i64 = 1_000_000;
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus = open(&path, &format!("retain=7d&retain_bytes={MOST}")).await;
    let subscription = Subscription::new(topic(), name())
        .order(Order::Unordered)
        .max_in_flight(500);
    let mut feed = bus.subscribe(subscription).await.unwrap();
    let settler = feed.settler();
    let large = "x".repeat(10_000);
    for result in bus
        .publish((0..300).map(|_| message(None, large.clone())).collect())
        .await
    {
        result.unwrap();
    }
    assert!(used(&path).await > 3 * MOST);
    let mut held = Vec::new();
    for _ in 0..300 {
        held.push(feed.receive().await.unwrap().unwrap().receipt);
    }
    assert_eq!(retention::trim(&bus.shared).await.unwrap(), 0, "unsettled");
    // All but one of the oldest, a dead letter, and the newest fifty are settled.
    let settlements = held
        .iter()
        .filter(|receipt| receipt.id != 3 && receipt.id <= 250)
        .map(|receipt| match receipt.id {
            5 => {
                let reason = "no".to_owned();
                (*receipt, Settlement::Reject { reason })
            }
            _ => (*receipt, Settlement::Ack),
        });
    for result in settler.settle_batch(settlements.collect()).await {
        result.unwrap();
    }
    retention::trim(&bus.shared).await.unwrap();
    assert!(used(&path).await <= MOST);
    let kept = stored(&path).await;
    assert_eq!(kept[..2], [3, 5], "what is not settled stays");
    assert!(
        kept[2..].is_sorted_by(|a, b| b - a == 1) && kept.last() == Some(&300),
        "the newest stay: {kept:?}"
    );
    assert!(
        kept.len() > 60,
        "no more goes than must: {} left",
        kept.len()
    );
    assert_eq!(retention::trim(&bus.shared).await.unwrap(), 0);
}

#[tokio::test]
async fn an_abandoned_subscription_goes_when_that_is_wanted() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let abandoned = SubscriptionName::new("abandoned").unwrap();
    let bus = open(&path, "retain=0s&expire_subscriptions=1h").await;
    let other = open(&path, "poll=20ms").await;
    let subscription = Subscription::new(topic(), abandoned.clone()).max_in_flight(1);
    let mut gone = other.subscribe(subscription.clone()).await.unwrap();
    let mut there = bus
        .subscribe(Subscription::new(topic(), name()))
        .await
        .unwrap();
    for result in bus
        .publish((0..3).map(|_| message(Some("a"), "x")).collect())
        .await
    {
        result.unwrap();
    }
    for _ in 0..3 {
        let incoming = there.receive().await.unwrap().unwrap();
        there
            .settler()
            .settle(incoming.receipt, Settlement::Ack)
            .await
            .unwrap();
    }
    let held = gone.receive().await.unwrap().unwrap();
    let long_ago = || async {
        sqlx::query("UPDATE subscription SET seen_at = 1000")
            .execute(&mut raw(&path).await)
            .await
            .unwrap();
    };
    let mut suspects = expiry::Suspects::default();
    let begun = Instant::now();
    let minute = |n: u64| begun + Duration::from_mins(n);

    // A machine that slept: all look abandoned, and those that are there say so when they wake.
    long_ago().await;
    expiry::turn(&bus.shared, &mut suspects, minute(0))
        .await
        .unwrap();
    expiry::turn(&other.shared, &mut expiry::Suspects::default(), minute(1))
        .await
        .unwrap();
    expiry::turn(&bus.shared, &mut suspects, minute(10))
        .await
        .unwrap();
    other.backlog(&topic(), &abandoned).await.unwrap();

    // One whose process says nothing goes, after it was watched for a while; the other stays.
    long_ago().await;
    for n in [11, 12, 13] {
        expiry::turn(&bus.shared, &mut suspects, minute(n))
            .await
            .unwrap();
        other.backlog(&topic(), &abandoned).await.unwrap();
    }
    expiry::turn(&bus.shared, &mut suspects, minute(14))
        .await
        .unwrap();
    let error = other.backlog(&topic(), &abandoned).await.unwrap_err();
    assert!(error.to_string().contains("no subscription"), "{error}");
    bus.backlog(&topic(), &name()).await.unwrap();

    // Who comes back too late learns of it, and what it kept may go.
    let late = gone
        .settler()
        .settle(held.receipt, Settlement::Ack)
        .await
        .unwrap_err();
    assert_eq!(late.kind(), ErrorKind::LeaseLost);
    let error = timeout(Duration::from_secs(10), gone.receive())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("subscribe again"), "{error}");
    retention::trim(&bus.shared).await.unwrap();
    assert_eq!(stored(&path).await, [0; 0]);

    // A new one of the name is another one: who still holds the old one is not given its deliveries.
    let mut again = bus.subscribe(subscription).await.unwrap();
    bus.publish(vec![message(Some("a"), "new")])
        .await
        .remove(0)
        .unwrap();
    let incoming = again.receive().await.unwrap().unwrap();
    assert_eq!((incoming.position.as_str(), incoming.attempt), ("4", 1));
    assert!(gone.receive().await.is_err());
}

#[tokio::test]
async fn without_the_setting_no_subscription_goes() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let bus: Sqlite = open(&path, "").await;
    let feed = bus
        .subscribe(Subscription::new(topic(), name()))
        .await
        .unwrap();
    feed.close().await;
    sqlx::query("UPDATE subscription SET seen_at = 0")
        .execute(&mut raw(&path).await)
        .await
        .unwrap();
    let mut suspects = expiry::Suspects::default();
    for minute in [0, 100, 200] {
        let at = Instant::now() + Duration::from_mins(minute);
        expiry::turn(&bus.shared, &mut suspects, at).await.unwrap();
    }
    bus.backlog(&topic(), &name()).await.unwrap();
}
