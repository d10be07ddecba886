//! The memory backend against the model, and what is its own: room and retention.

use std::time::Duration;

use commerce_contracts::CloudEvent;
use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::time::{Instant, timeout};

use crate::backend::{Backend, Receipt, Settlement};
use crate::clock::Clock;
use crate::error::ErrorKind;
use crate::filter::Filter;
use crate::memory::Memory;
use crate::message::Message;
use crate::model::{Given, Model, Verdict};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::{Order, Start, Subscription};

fn topic() -> TopicName {
    TopicName::new("model").unwrap()
}

fn name() -> SubscriptionName {
    SubscriptionName::new("reader").unwrap()
}

fn message(key: Option<&str>) -> Message {
    let event = CloudEvent::new("/test", "test.model.run.v1").unwrap();
    let event = match key {
        Some(key) => event.with_key(key).unwrap(),
        None => event,
    };
    Message::new(topic(), event)
}

#[derive(Clone, Debug)]
enum Step {
    Publish(Option<u8>),
    Receive,
    Ack(usize),
    Retry(usize, u64),
    Reject(usize),
    Release(usize),
    Wait(u64),
    Redrive(usize),
    Purge,
}

fn step() -> impl Strategy<Value = Step> {
    let any = 0..usize::MAX;
    prop_oneof![
        6 => proptest::option::weighted(0.85, 0..3_u8).prop_map(Step::Publish),
        8 => Just(Step::Receive),
        4 => any.clone().prop_map(Step::Ack),
        2 => (any.clone(), 0..50_u64).prop_map(|(at, after)| Step::Retry(at, after)),
        1 => any.clone().prop_map(Step::Reject),
        1 => any.prop_map(Step::Release),
        2 => (0..40_u64).prop_map(Step::Wait),
        1 => (0..4_usize).prop_map(Step::Redrive),
        1 => Just(Step::Purge),
    ]
}

/// Runs a history; every answer of the backend must be the model's.
#[expect(clippy::too_many_lines, reason = "one arm per kind of step")]
async fn run(order: Order, steps: Vec<Step>) {
    let backend = Memory::default();
    let mut feed = backend
        .subscribe(Subscription::new(topic(), name()).order(order))
        .await
        .unwrap();
    let settler = feed.settler();
    let mut model = Model::default();
    let mut given: Vec<Given> = Vec::new();
    let started = Instant::now();
    let mut sequence = 0;
    for step in steps {
        let now = i64::try_from(started.elapsed().as_millis()).unwrap();
        let settled = match step {
            Step::Publish(key) => {
                let text = key.map(|key| key.to_string());
                backend
                    .publish(vec![message(text.as_deref())])
                    .await
                    .remove(0)
                    .unwrap();
                sequence += 1;
                model.publish(sequence, key.filter(|_| order == Order::PerKey));
                None
            }
            Step::Receive => {
                match feed.receive().now_or_never() {
                    None => assert_eq!(model.deliverable(now), [0; 0], "nothing was handed out"),
                    Some(incoming) => {
                        let incoming = incoming.unwrap().unwrap();
                        let Receipt { id, fence } = incoming.receipt;
                        let one = Given {
                            sequence: id,
                            fence,
                        };
                        model.hand_out(one, incoming.attempt, now, i64::MAX);
                        given.push(one);
                    }
                }
                None
            }
            Step::Ack(at) => Some((at, Settlement::Ack, Verdict::Ack)),
            Step::Retry(at, after) => {
                let due = now + i64::try_from(after).unwrap();
                let after = Duration::from_millis(after);
                Some((
                    at,
                    Settlement::Retry { after },
                    Verdict::Again { due, counted: true },
                ))
            }
            Step::Reject(at) => {
                let reason = "of no use".to_owned();
                Some((at, Settlement::Reject { reason }, Verdict::Reject))
            }
            Step::Release(at) => {
                if let Some(one) = pick(&given, at) {
                    settler.release(Receipt::new(one.sequence, one.fence));
                    let again = Verdict::Again {
                        due: now,
                        counted: true,
                    };
                    model.settle(one, again);
                }
                None
            }
            Step::Wait(time) => {
                tokio::time::advance(Duration::from_millis(time)).await;
                None
            }
            Step::Redrive(limit) => {
                assert_eq!(
                    backend
                        .redrive(&topic(), &name(), limit, &Filter::new())
                        .await
                        .unwrap(),
                    model.redrive(limit)
                );
                None
            }
            Step::Purge => {
                assert_eq!(
                    backend.purge_dead_letters(&topic(), &name()).await.unwrap(),
                    model.purge()
                );
                None
            }
        };
        if let Some((at, settlement, verdict)) = settled
            && let Some(one) = pick(&given, at)
        {
            let result = settler
                .settle(Receipt::new(one.sequence, one.fence), settlement)
                .await;
            let lost = result.err().map(|error| error.kind());
            let expected = (!model.settle(one, verdict)).then_some(ErrorKind::LeaseLost);
            assert_eq!(lost, expected, "settling {one:?}");
        }
        let now = i64::try_from(started.elapsed().as_millis()).unwrap();
        let backlog = backend.backlog(&topic(), &name()).await.unwrap();
        assert_eq!(
            (backlog.waiting, backlog.in_flight, backlog.dead),
            model.backlog(now)
        );
        let dead = backend
            .dead_letters(&topic(), &name(), usize::MAX)
            .await
            .unwrap();
        let dead: Vec<u64> = dead
            .iter()
            .map(|letter| letter.position.parse().unwrap())
            .collect();
        assert_eq!(dead, model.dead());
    }
}

fn pick(given: &[Given], at: usize) -> Option<Given> {
    (!given.is_empty()).then(|| given[at % given.len()])
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn an_ordered_subscription_follows_the_model(steps in proptest::collection::vec(step(), 1..120)) {
        paused().block_on(run(Order::PerKey, steps));
    }

    #[test]
    fn an_unordered_subscription_follows_the_model(steps in proptest::collection::vec(step(), 1..120)) {
        paused().block_on(run(Order::Unordered, steps));
    }
}

#[tokio::test(start_paused = true)]
async fn what_all_have_settled_makes_room_and_the_rest_stays() {
    let backend = Memory::connect("?capacity=3&publish_timeout=5s", Clock::new()).unwrap();
    let subscription = Subscription::new(topic(), name());
    let mut feed = backend.subscribe(subscription.clone()).await.unwrap();
    let settler = feed.settler();
    for n in 0..3 {
        backend
            .publish(vec![message(Some(&n.to_string()))])
            .await
            .remove(0)
            .unwrap();
    }
    // Full of unsettled messages: the publisher waits, then is told, and has its message back.
    let started = Instant::now();
    let results = backend
        .publish(vec![message(Some("x")), message(Some("y"))])
        .await;
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    for (result, key) in results.into_iter().zip(["x", "y"]) {
        let error = result.unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::Timeout);
        assert_eq!(error.message().key(), Some(key));
    }
    // The second is settled while a publisher waits: the publisher goes on, in the place of the settled one.
    let first = feed.receive().await.unwrap().unwrap();
    let second = feed.receive().await.unwrap().unwrap();
    let (published, settled) = tokio::join!(
        backend.publish(vec![message(Some("z"))]),
        settler.settle(second.receipt, Settlement::Ack),
    );
    settled.unwrap();
    assert!(published[0].is_ok());
    // A later subscription sees what is left: the first, unsettled; the third; the new one.
    let later =
        Subscription::new(topic(), SubscriptionName::new("later").unwrap()).start(Start::Earliest);
    let mut later = backend.subscribe(later).await.unwrap();
    for expected in ["1", "3", "4"] {
        assert_eq!(later.receive().await.unwrap().unwrap().position, expected);
    }
    // A dead letter stays, too, until it is purged.
    settler
        .settle(
            first.receipt,
            Settlement::Reject {
                reason: "no".to_owned(),
            },
        )
        .await
        .unwrap();
    let publish = timeout(Duration::from_secs(1), backend.publish(vec![message(None)])).await;
    assert!(publish.is_err(), "a dead letter was forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_nobody_reads_keeps_the_newest() {
    let backend = Memory::connect("?capacity=10", Clock::new()).unwrap();
    for _ in 0..25 {
        backend
            .publish(vec![message(None)])
            .await
            .remove(0)
            .unwrap();
    }
    let mut feed = backend
        .subscribe(Subscription::new(topic(), name()))
        .await
        .unwrap();
    let first = feed.receive().await.unwrap().unwrap();
    assert_eq!(first.position, "16");
}

fn heavy(bytes: usize) -> Message {
    let mut message = message(None);
    let rest = bytes - message.size() - "text/plain".len();
    message.event = message
        .event
        .with_data("text/plain", vec![b'x'; rest])
        .unwrap();
    assert_eq!(message.size(), bytes);
    message
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded_by_its_weight() {
    const URL: &str = "?capacity_bytes=1000&max_message=1000&publish_timeout=5s";
    let backend = Memory::connect(URL, Clock::new()).unwrap();
    let kept = || backend.shared.state().retained_bytes;
    let mut feed = backend
        .subscribe(Subscription::new(topic(), name()))
        .await
        .unwrap();
    let settler = feed.settler();
    for result in backend.publish(vec![heavy(400), heavy(500)]).await {
        result.unwrap();
    }
    assert_eq!(kept(), 900);
    // Unsettled, they are not dropped; what fits beside them still goes in.
    let error = backend.publish(vec![heavy(101)]).await.remove(0);
    let error = error.unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("capacity_bytes"), "{error}");
    backend.publish(vec![heavy(100)]).await.remove(0).unwrap();
    assert_eq!(kept(), 1000);
    // The first is settled while a publisher waits for its room.
    let first = feed.receive().await.unwrap().unwrap();
    let (published, settled) = tokio::join!(
        backend.publish(vec![heavy(300)]),
        settler.settle(first.receipt, Settlement::Ack),
    );
    settled.unwrap();
    assert!(published[0].is_ok());
    assert_eq!(kept(), 900);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_time_weighs_once() {
    const URL: &str = "?capacity_bytes=1000&max_message=1000&publish_timeout=5s";
    let backend = Memory::connect(URL, Clock::new()).unwrap();
    let mut feed = backend
        .subscribe(Subscription::new(topic(), name()))
        .await
        .unwrap();
    let later = heavy(700).with_delay(Duration::from_mins(1));
    backend.publish(vec![later]).await.remove(0).unwrap();
    let beside = backend.publish(vec![heavy(400)]).await.remove(0);
    assert_eq!(beside.unwrap_err().error().kind(), ErrorKind::Timeout);
    let due = feed.receive().await.unwrap().unwrap();
    assert_eq!(backend.shared.state().retained_bytes, 700);
    let settler = feed.settler();
    settler.settle(due.receipt, Settlement::Ack).await.unwrap();
    backend.publish(vec![heavy(1000)]).await.remove(0).unwrap();
    assert_eq!(backend.shared.state().retained_bytes, 1000);
}

#[tokio::test(start_paused = true)]
async fn members_of_one_subscription_share_one_order() {
    let backend = Memory::default();
    let subscription = Subscription::new(topic(), name());
    let _feed = backend.subscribe(subscription.clone()).await.unwrap();
    let Err(error) = backend
        .subscribe(subscription.order(Order::Unordered))
        .await
    else {
        panic!("it joined with another order");
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("PerKey"), "{error}");
}
