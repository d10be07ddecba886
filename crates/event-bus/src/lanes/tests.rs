//! The lanes alone, then against a model that is too simple to be wrong, then with waiting under a paused clock.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::time::Instant;

use super::{Arrival, Bounds, Departure, Desk, HandedOut, Lanes, Stale};

type TestLanes = Lanes<u32, u32>;

const WIDE: Bounds = Bounds {
    in_flight: 100,
    bytes: usize::MAX,
    held: 1000,
    held_bytes: usize::MAX,
};

fn arrival(key: Option<&str>, item: u32) -> Arrival<u32, u32> {
    Arrival {
        key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
        identity: Some(item),
        earlier_attempts: 0,
        size: 1,
        item,
    }
}

fn filled(ordered: bool, bounds: Bounds, arrivals: &[(Option<&str>, u32)]) -> TestLanes {
    let mut lanes = Lanes::new(ordered, bounds);
    for (key, item) in arrivals {
        lanes.push(arrival(*key, *item));
    }
    lanes
}

fn all_ready(lanes: &mut TestLanes, now: Instant) -> Vec<HandedOut<u32>> {
    std::iter::from_fn(|| lanes.next(now)).collect()
}

fn items(handed_out: &[HandedOut<u32>]) -> Vec<u32> {
    handed_out.iter().map(|each| each.item).collect()
}

#[test]
fn a_key_waits_for_its_head_and_others_go_on() {
    let now = Instant::now();
    let mut lanes = filled(
        true,
        WIDE,
        &[
            (Some("a"), 1),
            (Some("a"), 2),
            (Some("b"), 3),
            (None, 4),
            (None, 5),
        ],
    );
    let first = all_ready(&mut lanes, now);
    assert_eq!(items(&first), [1, 3, 4, 5]);
    assert_eq!(lanes.finish(first[0].receipt), Ok(1));
    assert_eq!(items(&all_ready(&mut lanes, now)), [2]);
}

#[test]
fn unordered_hands_everything_out() {
    let mut lanes = filled(false, WIDE, &[(Some("a"), 1), (Some("a"), 2)]);
    assert_eq!(items(&all_ready(&mut lanes, Instant::now())), [1, 2]);
}

#[test]
fn a_retry_is_never_early_and_delays_its_own_key_only() {
    let start = Instant::now();
    let mut lanes = filled(
        true,
        WIDE,
        &[(Some("a"), 1), (Some("a"), 2), (Some("b"), 3)],
    );
    let first = lanes.next(start).unwrap();
    let due = start + Duration::from_secs(5);
    lanes.retry(first.receipt, due).unwrap();
    assert_eq!(items(&all_ready(&mut lanes, start)), [3]);
    assert_eq!(lanes.wake_at(), Some(due));
    assert_eq!(lanes.next(due - Duration::from_nanos(1)), None);
    let again = lanes.next(due).unwrap();
    assert_eq!((again.item, again.attempt), (1, 2));
    assert_eq!(
        lanes.finish(first.receipt),
        Err(Stale),
        "the first attempt's receipt is stale"
    );
    assert_eq!(lanes.finish(again.receipt), Ok(1));
    assert_eq!(lanes.finish(again.receipt), Err(Stale), "settled already");
    assert_eq!(lanes.next(due).unwrap().item, 2);
}

#[test]
fn a_release_is_handed_out_again_at_once_and_first() {
    let now = Instant::now();
    let mut lanes = filled(true, WIDE, &[(Some("a"), 1), (Some("a"), 2)]);
    let first = lanes.next(now).unwrap();
    lanes.release(first.receipt);
    let again = lanes.next(now).unwrap();
    assert_eq!((again.item, again.attempt), (1, 2));
    lanes.release(first.receipt);
    assert_eq!(lanes.next(now), None, "a stale release changes nothing");
}

#[test]
fn bounds_hold() {
    let now = Instant::now();
    let bounds = Bounds {
        in_flight: 2,
        held: 4,
        ..WIDE
    };
    let mut lanes = filled(false, bounds, &[(None, 1), (None, 2), (None, 3)]);
    assert!(lanes.has_room());
    lanes.push(arrival(None, 4));
    assert!(!lanes.has_room());
    let out = all_ready(&mut lanes, now);
    assert_eq!(items(&out), [1, 2]);
    assert_eq!((lanes.in_flight(), lanes.waiting()), (2, 2));
    lanes.finish(out[0].receipt).unwrap();
    assert!(lanes.has_room() && !lanes.is_half_empty());
    assert_eq!(items(&all_ready(&mut lanes, now)), [3]);
    lanes.finish(out[1].receipt).unwrap();
    assert!(lanes.is_half_empty());
}

#[test]
fn a_leaving_message_can_be_settled_and_is_not_handed_out_again() {
    let now = Instant::now();
    let mut lanes = filled(
        true,
        WIDE,
        &[
            (Some("a"), 1),
            (Some("a"), 2),
            (Some("b"), 3),
            (Some("c"), 4),
        ],
    );
    let out = all_ready(&mut lanes, now);
    assert_eq!(items(&out), [1, 3, 4]);
    lanes.leave(|item| *item != 4);
    assert_eq!(lanes.out_of(|item| *item != 4), 2);
    assert_eq!(lanes.finish(out[0].receipt), Ok(1));
    lanes.release(out[1].receipt);
    assert_eq!(lanes.out_of(|item| *item != 4), 0);
    assert_eq!(lanes.next(now), None);
    assert_eq!(
        (lanes.in_flight(), lanes.waiting()),
        (1, 0),
        "the message that stays"
    );
}

#[test]
fn a_revoked_message_in_hand_blocks_its_key_until_it_is_let_go() {
    let now = Instant::now();
    let mut lanes = filled(true, WIDE, &[(Some("a"), 1), (Some("a"), 2)]);
    let lost = lanes.next(now).unwrap();
    lanes.revoke(|_| true);
    assert_eq!((lanes.in_flight(), lanes.waiting()), (0, 0));
    assert_eq!(lanes.held(lost.receipt), Err(Stale));
    assert_eq!(lanes.retry(lost.receipt, now), Err(Stale));
    lanes.push(arrival(Some("a"), 1));
    lanes.push(arrival(Some("a"), 2));
    assert_eq!(
        lanes.next(now),
        None,
        "the handler still runs with the lost copy"
    );
    lanes.release(lost.receipt);
    let again = lanes.next(now).unwrap();
    assert_eq!((again.item, again.attempt), (1, 2));
    assert_eq!(lanes.next(now), None);
}

#[test]
fn a_delay_outlives_a_revocation_in_the_same_process() {
    let start = Instant::now();
    let due = start + Duration::from_mins(1);
    let mut lanes = filled(true, WIDE, &[(Some("a"), 1), (Some("a"), 2)]);
    let first = lanes.next(start).unwrap();
    lanes.retry(first.receipt, due).unwrap();
    lanes.revoke(|_| true);
    lanes.push(arrival(Some("a"), 1));
    lanes.push(arrival(Some("a"), 2));
    assert_eq!(lanes.next(due - Duration::from_millis(1)), None);
    let again = lanes.next(due).unwrap();
    assert_eq!((again.item, again.attempt), (1, 2));
}

#[test]
fn memories_are_bounded() {
    let now = Instant::now();
    let mut lanes = Lanes::new(
        true,
        Bounds {
            in_flight: 1,
            held: 3,
            ..WIDE
        },
    );
    for item in 0..20 {
        lanes.push(arrival(None, item));
        lanes.next(now).unwrap();
        lanes.revoke(|_| true);
        lanes.release(crate::backend::Receipt::new(
            u64::from(item),
            u64::from(item) + 1,
        ));
    }
    assert!(lanes.memories.len() <= 3 && lanes.forget_order.len() <= 3);
    assert!(
        lanes.slots.is_empty()
            && lanes.by_key.is_empty()
            && lanes.ready.is_empty()
            && lanes.timers.is_empty()
    );
}

#[derive(Clone, Debug)]
enum Step {
    Push { key: Option<u8> },
    Next,
    Finish { which: usize },
    Retry { which: usize, after: u64 },
    Release { which: usize },
    Pass { time: u64 },
    Revoke,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::option::weighted(0.9, 0u8..4).prop_map(|key| Step::Push { key }),
        6 => Just(Step::Next),
        3 => any::<usize>().prop_map(|which| Step::Finish { which }),
        2 => (any::<usize>(), 0u64..50).prop_map(|(which, after)| Step::Retry { which, after }),
        1 => any::<usize>().prop_map(|which| Step::Release { which }),
        2 => (0u64..30).prop_map(|time| Step::Pass { time }),
        1 => Just(Step::Revoke),
    ]
}

/// Every message in arrival order, with no index at all.
#[derive(Debug, Default)]
struct Model {
    messages: BTreeMap<u32, Modelled>,
}

#[derive(Debug)]
struct Modelled {
    key: Option<u8>,
    attempts: u32,
    due: u64,
    out: bool,
    orphan: bool,
}

impl Model {
    fn eligible(&self, now: u64, ordered: bool) -> Option<u32> {
        self.messages
            .iter()
            .find(|(id, message)| self.may_run(**id, message, now, ordered))
            .map(|(id, _)| *id)
    }

    fn may_run(&self, id: u32, message: &Modelled, now: u64, ordered: bool) -> bool {
        let blocked = ordered
            && message.key.is_some()
            && self
                .messages
                .iter()
                .any(|(other, earlier)| *other < id && earlier.key == message.key);
        !message.out && message.due <= now && !blocked
    }

    fn out(&self) -> usize {
        self.messages.values().filter(|message| message.out).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn lanes_do_what_the_model_does(ordered: bool, steps in proptest::collection::vec(step(), 1..200)) {
        const IN_FLIGHT: usize = 3;
        let start = Instant::now();
        let mut now = 0;
        let mut lanes = Lanes::<u32, u32>::new(ordered, Bounds { in_flight: IN_FLIGHT, ..WIDE });
        let mut model = Model::default();
        // Message number to the receipt of its latest hand-out.
        let mut receipts = BTreeMap::new();
        let mut pushed = 0;
        for step in steps {
            let in_hand: Vec<u32> = receipts.keys().copied().collect();
            let pick = |which: usize| (!in_hand.is_empty()).then(|| in_hand[which % in_hand.len()]);
            match step {
                Step::Push { key } => {
                    let bytes = key.map(|key| Bytes::from(vec![key]));
                    lanes.push(Arrival { key: bytes, identity: None, earlier_attempts: 0, size: 1, item: pushed });
                    model.messages.insert(pushed, Modelled { key, attempts: 0, due: 0, out: false, orphan: false });
                    pushed += 1;
                }
                Step::Next => {
                    let expected = if model.out() < IN_FLIGHT { model.eligible(now, ordered) } else { None };
                    let actual = lanes.next(start + Duration::from_millis(now));
                    prop_assert_eq!(actual.as_ref().map(|each| each.item), expected);
                    if let Some(handed_out) = actual {
                        let message = model.messages.get_mut(&handed_out.item).unwrap();
                        message.out = true;
                        message.attempts += 1;
                        prop_assert_eq!(handed_out.attempt, message.attempts);
                        receipts.insert(handed_out.item, handed_out.receipt);
                    }
                }
                Step::Finish { which } => if let Some(item) = pick(which) {
                    let orphan = model.messages[&item].orphan;
                    prop_assert_eq!(lanes.finish(receipts[&item]), if orphan { Err(Stale) } else { Ok(item) });
                    if !orphan {
                        model.messages.remove(&item);
                        receipts.remove(&item);
                    }
                },
                Step::Retry { which, after } => if let Some(item) = pick(which) {
                    let message = model.messages.get_mut(&item).unwrap();
                    let due = start + Duration::from_millis(now + after);
                    prop_assert_eq!(lanes.retry(receipts[&item], due), if message.orphan { Err(Stale) } else { Ok(()) });
                    if !message.orphan {
                        message.out = false;
                        message.due = now + after;
                        receipts.remove(&item);
                    }
                },
                Step::Release { which } => if let Some(item) = pick(which) {
                    lanes.release(receipts.remove(&item).unwrap());
                    let message = model.messages.get_mut(&item).unwrap();
                    message.out = false;
                    message.due = 0;
                    if message.orphan {
                        model.messages.remove(&item);
                    }
                },
                Step::Pass { time } => now += time,
                Step::Revoke => {
                    lanes.revoke(|_| true);
                    model.messages.retain(|_, message| message.out);
                    for message in model.messages.values_mut() {
                        message.orphan = true;
                    }
                }
            }
            let orphans = model.messages.values().filter(|message| message.orphan).count();
            prop_assert_eq!(lanes.in_flight(), model.out() - orphans);
            prop_assert_eq!(lanes.waiting(), model.messages.len() - model.out());
        }
    }
}

fn weighing(item: u32, size: usize) -> Arrival<u32, u32> {
    Arrival {
        size,
        ..arrival(None, item)
    }
}

#[test]
fn bytes_bound_what_is_handed_out_and_what_is_held() {
    let now = Instant::now();
    let mut lanes = Lanes::new(
        true,
        Bounds {
            bytes: 10,
            held_bytes: 20,
            ..WIDE
        },
    );
    lanes.push(weighing(1, 15));
    lanes.push(weighing(2, 4));
    assert!(lanes.has_room() && lanes.held_bytes() == 19);
    lanes.push(weighing(3, 4));
    assert!(!lanes.has_room());
    let large = all_ready(&mut lanes, now);
    assert_eq!(items(&large), [1], "one is handed out whatever its size");
    lanes.finish(large[0].receipt).unwrap();
    assert!(lanes.has_room() && lanes.is_half_empty());
    lanes.push(weighing(4, 4));
    let fitting = all_ready(&mut lanes, now);
    assert_eq!(
        items(&fitting),
        [2, 3],
        "the third does not fit beside them"
    );
    lanes.release(fitting[0].receipt);
    assert_eq!(items(&all_ready(&mut lanes, now)), [2]);
    lanes.revoke(|_| true);
    assert!(lanes.is_half_empty(), "orphans are not held");
    lanes.push(weighing(5, 4));
    assert_eq!(lanes.next(now), None, "but they are in somebody's hands");
    lanes.release(fitting[1].receipt);
    assert_eq!(lanes.next(now).unwrap().item, 5);
}

#[test]
fn a_message_remembers_when_it_was_first_seen_and_first_failed() {
    let now = Instant::now();
    let mut lanes = filled(true, WIDE, &[(Some("a"), 1)]);
    let first = lanes.next(now).unwrap();
    assert_eq!(lanes.first_failed(first.receipt), None);
    lanes.release(first.receipt);
    let second = lanes.next(now).unwrap();
    let failed = lanes.first_failed(second.receipt);
    assert!(failed >= Some(first.first_seen));
    lanes.retry(second.receipt, now).unwrap();
    // Also when the broker takes it back and delivers it again.
    lanes.revoke(|_| true);
    lanes.push(arrival(Some("a"), 1));
    let third = lanes.next(now).unwrap();
    assert_eq!((third.first_seen, third.attempt), (first.first_seen, 3));
    assert_eq!(lanes.first_failed(third.receipt), failed);
}

#[test]
fn what_goes_back_to_the_broker_keeps_its_history() {
    let now = Instant::now();
    let mut lanes = filled(false, WIDE, &[(None, 1)]);
    let first = lanes.next(now).unwrap();
    assert_eq!(lanes.hand_back(first.receipt), Ok(1));
    assert_eq!(lanes.hand_back(first.receipt), Err(Stale));
    assert_eq!(lanes.next(now), None, "it is the broker's");
    lanes.push(arrival(None, 1));
    let again = lanes.next(now).unwrap();
    assert_eq!((again.attempt, again.first_seen), (2, first.first_seen));
    assert!(!lanes.is_waiting(|_| true));
    lanes
        .retry(again.receipt, now + Duration::from_secs(1))
        .unwrap();
    assert!(lanes.is_waiting(|item| *item == 1) && !lanes.is_waiting(|item| *item == 2));
}

fn desk(bounds: Bounds) -> Desk<u32, u32, ()> {
    Desk::new(Lanes::new(true, bounds), ())
}

#[tokio::test(start_paused = true)]
async fn the_desk_waits_for_a_retry_exactly() {
    let desk = desk(WIDE);
    desk.change(|lanes, ()| lanes.push(arrival(Some("a"), 1)));
    let first = desk.next().await.unwrap().unwrap();
    let start = Instant::now();
    desk.change(|lanes, ()| lanes.retry(first.receipt, start + Duration::from_secs(30)))
        .unwrap();
    let again = desk.next().await.unwrap().unwrap();
    assert_eq!(again.attempt, 2);
    // The timer wheel counts milliseconds, rounded up.
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_secs(30) && waited < Duration::from_millis(30_010),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_desk_wakes_for_arrivals_settlements_and_the_end() {
    let desk = std::sync::Arc::new(desk(Bounds {
        in_flight: 1,
        held: 10,
        ..WIDE
    }));
    let taker = tokio::spawn({
        let desk = std::sync::Arc::clone(&desk);
        async move {
            let mut taken = Vec::new();
            while let Some(handed_out) = desk.next().await.unwrap() {
                taken.push(handed_out.item);
                let desk = std::sync::Arc::clone(&desk);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    desk.change(|lanes, ()| lanes.finish(handed_out.receipt))
                        .unwrap();
                });
            }
            taken
        }
    });
    for item in 1..=3 {
        desk.change(|lanes, ()| lanes.push(arrival(Some("a"), item)));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    desk.drained().await;
    desk.end();
    assert_eq!(taker.await.unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn a_cancelled_receive_loses_nothing() {
    let desk = desk(WIDE);
    for _ in 0..50 {
        let receive = desk.next();
        assert!(tokio::time::timeout(Duration::ZERO, receive).await.is_err());
    }
    desk.change(|lanes, ()| lanes.push(arrival(None, 7)));
    assert_eq!(desk.next().await.unwrap().unwrap().item, 7);
}

#[tokio::test(start_paused = true)]
async fn a_departure_counts_the_shorter_time() {
    let departure = Departure::new();
    let start = Instant::now();
    let ((), waited, ()) = tokio::join!(
        departure.asked(),
        async {
            departure.time_is_up().await;
            departure.done();
            start.elapsed()
        },
        async {
            departure.ask(Duration::MAX);
            tokio::time::sleep(Duration::from_secs(1)).await;
            departure.ask(Duration::from_secs(2));
            departure.ask(Duration::from_secs(20));
            departure.gone().await;
        },
    );
    assert!(
        waited >= Duration::from_secs(3) && waited < Duration::from_millis(3010),
        "{waited:?}"
    );
}
