//! What may be handed out, when, and what goes back.

use proptest::prelude::*;

use super::*;
use crate::sqs::wire::Wire;

const LEASE: Duration = Duration::from_secs(30);

fn item(id: u32, group: Option<&str>) -> Item {
    Item {
        parcel: Parcel {
            id: format!("m{id}"),
            handle: format!("h{id}"),
            group: group.map(ToOwned::to_owned),
            receives: 1,
            first_received: None,
            sent: None,
            wire: Wire::default(),
        },
        body: Err(Undecodable::new("", None)),
        bytes: 10,
    }
}

fn desk(messages: usize, bytes: usize) -> Desk {
    Desk::new(Bounds { messages, bytes })
}

fn items(ids: impl IntoIterator<Item = u32>, group: Option<&str>) -> Vec<Item> {
    ids.into_iter().map(|id| item(id, group)).collect()
}

fn next(desk: &mut Desk, now: Instant) -> (String, Receipt, u32) {
    let next = desk.next(now).expect("something to hand out");
    (next.item.parcel.id.clone(), next.receipt, next.attempt)
}

#[tokio::test(start_paused = true)]
async fn followers_come_each_after_the_one_before() {
    let now = Instant::now();
    let mut desk = desk(10, 1000);
    assert!(desk.put(items(0..3, Some("a")), now, LEASE).is_empty());
    for expected in ["m0", "m1", "m2"] {
        let (id, receipt, _) = next(&mut desk, now);
        assert_eq!(id, expected);
        assert!(desk.next(now).is_none(), "one of a group at a time");
        desk.finish(receipt).unwrap();
        assert_eq!(desk.finish(receipt), Err(Lost), "once");
    }
    assert!(desk.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_takes_its_followers_along_last_first() {
    let now = Instant::now();
    let mut desk = desk(10, 1000);
    desk.put(items(0..3, Some("a")), now, LEASE);
    let (_, receipt, _) = next(&mut desk, now);
    assert_eq!(desk.let_go(receipt), ["h2", "h1", "h0"]);
    // They were received, and nobody was handed them: that was no attempt.
    let again = items(0..3, Some("a")).into_iter().map(|mut item| {
        item.parcel.receives = 2;
        item
    });
    desk.put(again.collect(), now, LEASE);
    let (_, receipt, attempt) = next(&mut desk, now);
    assert_eq!(attempt, 2);
    desk.finish(receipt).unwrap();
    assert_eq!(next(&mut desk, now).2, 1);
}

#[tokio::test(start_paused = true)]
async fn followers_make_way_when_nothing_else_can_run() {
    let now = Instant::now();
    let mut desk = desk(4, 1000);
    desk.put(items(0..4, Some("slow")), now, LEASE);
    let (_, slow, _) = next(&mut desk, now);
    let (room, released) = desk.room();
    assert_eq!((room, released.len()), (3, 3));
    desk.put(items(10..12, Some("quick")), now, LEASE);
    assert_eq!(next(&mut desk, now).0, "m10");
    desk.finish(slow).unwrap();
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_and_one_message_is_always_held() {
    let now = Instant::now();
    let mut desk = desk(10, 25);
    assert_eq!(desk.put(items(0..4, None), now, LEASE), ["h2", "h3"]);
    let (_, first, _) = next(&mut desk, now);
    let (_, _, _) = next(&mut desk, now);
    assert_eq!(
        desk.room().0,
        0,
        "it was full, and nothing was settled since"
    );
    desk.finish(first).unwrap();
    assert!(desk.room().0 > 0);

    let mut small = self::desk(10, 1);
    assert_eq!(small.put(items(0..2, None), now, LEASE), ["h1"]);
    assert!(small.next(now).is_some());
}

#[tokio::test(start_paused = true)]
async fn behind_what_has_no_room_nothing_of_its_group_is_kept() {
    let now = Instant::now();
    let mut desk = desk(10, 25);
    let mut batch = items(0..2, Some("a"));
    batch.push(Item {
        bytes: 20,
        ..item(2, Some("b"))
    });
    batch.push(Item {
        bytes: 1,
        ..item(3, Some("b"))
    });
    assert_eq!(desk.put(batch, now, LEASE), ["h2", "h3"]);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_for_what_is_held_and_end_after_twelve_hours() {
    let start = Instant::now();
    let mut desk = desk(10, 1000);
    desk.put(items(0..3, None), start, LEASE);
    let (_, settling, _) = next(&mut desk, start);
    desk.begin(settling, start).unwrap();
    assert!(desk.due(start, LEASE / 2, LEASE).is_empty(), "too early");
    let half = start + LEASE / 2;
    let due = desk.due(half, LEASE / 2, LEASE);
    assert_eq!(due.len(), 2, "not for what is on its way out");
    assert!(due.iter().all(|(_, _, seconds)| *seconds == 30));

    let mut now = start;
    let mut beats = 0;
    loop {
        now += LEASE / 2;
        desk.undo(settling);
        let due = desk.due(now, LEASE, LEASE);
        if due.is_empty() {
            break;
        }
        beats += 1;
        for (id, _, seconds) in due {
            let until = now + Duration::from_secs(u64::try_from(seconds).unwrap());
            assert!(until <= start + LONGEST_HOLD);
            desk.extended(id, until);
        }
    }
    assert!(beats > 2800, "{beats}");
    assert!(now + LEASE >= start + LONGEST_HOLD);
    assert_eq!(desk.expire(start + LONGEST_HOLD).0, 3);
    assert_eq!(desk.held(settling, now).err(), Some(Lost));
}

#[tokio::test(start_paused = true)]
async fn what_expired_is_neither_handed_out_nor_settled() {
    let now = Instant::now();
    let mut desk = desk(10, 1000);
    desk.put(items(0..2, Some("a")), now, LEASE);
    desk.put(items(5..6, None), now, LEASE);
    let (_, head, _) = next(&mut desk, now);
    let late = now + LEASE;
    assert!(desk.begin(head, late).is_err());
    assert!(desk.next(late).is_none());
    assert_eq!(desk.expire(late).0, 3);
    assert!(desk.is_empty() && desk.in_flight() == 0);
}

#[tokio::test(start_paused = true)]
async fn closing_gives_back_what_was_not_handed_out() {
    let now = Instant::now();
    let mut desk = desk(10, 1000);
    desk.put(items(0..3, Some("a")), now, LEASE);
    desk.put(items(5..6, None), now, LEASE);
    let (_, head, _) = next(&mut desk, now);
    assert_eq!(desk.close(), ["h5", "h2", "h1"]);
    assert_eq!(desk.in_flight(), 1);
    assert_eq!(desk.put(items(7..8, None), now, LEASE), ["h7"]);
    assert_eq!(desk.room().0, 0);
    desk.finish(head).unwrap();
    assert!(desk.is_empty());
}

/// A queue as SQS keeps its promise: of a group that has a message in flight no other is given out.
#[derive(Debug, Default)]
struct Server {
    /// Group and number, in order; true while in flight.
    row: Vec<(u32, u32, bool)>,
}

impl Server {
    fn receive(&mut self, most: usize) -> Vec<Item> {
        let busy: Vec<u32> = self.row.iter().filter(|it| it.2).map(|it| it.0).collect();
        let free = self
            .row
            .iter_mut()
            .filter(|it| !busy.contains(&it.0))
            .take(most);
        let mut items = Vec::new();
        for (group, number, in_flight) in free {
            *in_flight = true;
            items.push(item(*number, Some(&group.to_string())));
        }
        items
    }

    fn release(&mut self, handles: Vec<String>) {
        for handle in handles {
            let number: u32 = handle[1..].parse().unwrap();
            let message = self.row.iter_mut().find(|it| it.1 == number);
            message.expect("what is released is there").2 = false;
        }
    }
}

proptest! {
    #[test]
    fn groups_keep_their_order_whatever_happens(
        groups in proptest::collection::vec(0_u32..4, 1..40),
        steps in proptest::collection::vec((0_u8..5, 0_usize..8), 1..400),
        messages in 1_usize..6,
        bytes in prop_oneof![Just(1000_usize), 5_usize..60],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().start_paused(true).enable_time().build().unwrap();
        runtime.block_on(async {
            let now = Instant::now();
            let mut server = Server::default();
            for (number, group) in groups.iter().enumerate() {
                server.row.push((*group, u32::try_from(number).unwrap(), false));
            }
            let mut desk = desk(messages, bytes);
            let mut out: Vec<(u32, u32, Receipt)> = Vec::new();
            // Whatever was drawn, in the end everything must have come.
            let rest = std::iter::repeat_n([(0, 9), (1, 0), (2, 0)], 400).flatten();
            for (step, at) in steps.into_iter().chain(rest) {
                match step {
                    0 => {
                        let (room, released) = desk.room();
                        server.release(released);
                        if room > 0 {
                            let received = server.receive(room.min(10));
                            let refused = desk.put(received, now, LEASE);
                            server.release(refused);
                        }
                    }
                    1 => {
                        if let Some(next) = desk.next(now) {
                            let number: u32 = next.item.parcel.id[1..].parse().unwrap();
                            let group = server.row.iter().find(|it| it.1 == number).unwrap().0;
                            let first = server.row.iter().find(|it| it.0 == group).unwrap().1;
                            prop_assert_eq!(number, first, "of the group the oldest that is not settled");
                            prop_assert!(out.iter().all(|it| it.0 != group), "one of a group at a time");
                            out.push((group, number, next.receipt));
                        }
                    }
                    2 if !out.is_empty() => {
                        let (_, number, receipt) = out.remove(at % out.len());
                        desk.finish(receipt).unwrap();
                        server.row.retain(|it| it.1 != number);
                    }
                    3 if !out.is_empty() => {
                        let (_, _, receipt) = out.remove(at % out.len());
                        server.release(desk.let_go(receipt));
                    }
                    _ => {}
                }
                prop_assert!(desk.entries.len() <= messages);
                prop_assert!(desk.bytes <= bytes || desk.entries.len() <= 1);
            }
            prop_assert!(server.row.is_empty(), "never handed out: {:?}", server.row);
            Ok(())
        })?;
    }
}
