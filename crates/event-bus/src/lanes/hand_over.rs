//! The hand-over between who reads, who receives, who settles and who leaves, in every order that their threads can run in.
//!
//! The desk here is the desk's own source over the locks of a model checker (loom). A wake-up that is lost in any order
//! ends as a deadlock, which the checker reports with the order that leads there.

#[path = "desk.rs"]
#[expect(
    clippy::duplicate_mod,
    reason = "over other locks it is another module"
)]
#[allow(dead_code, reason = "not everything that a desk does is a hand-over")]
mod desk;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use self::desk::Desk;
use super::{Arrival, Bounds, HandedOut, Lanes};

/// What `sync.rs` names.
mod sync {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    pub(super) use loom::sync::{Condvar, Mutex, MutexGuard};
    pub(super) use std::sync::PoisonError;

    /// Time stands still: what has none is over at once, what has some never.
    pub(super) fn wait_while<'a, T>(
        condvar: &Condvar,
        mut guard: MutexGuard<'a, T>,
        within: Duration,
        mut waits: impl FnMut(&mut T) -> bool,
    ) -> (MutexGuard<'a, T>, bool) {
        while waits(&mut guard) {
            if within.is_zero() {
                return (guard, false);
            }
            guard = condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        (guard, true)
    }

    /// Tokio's, where at most one waits for what tells one.
    #[derive(Debug)]
    pub(super) struct Notify(Mutex<State>);

    #[derive(Debug, Default)]
    struct State {
        /// Kept until it is taken.
        permit: bool,
        /// How often all were told, who had begun to wait.
        told: u64,
        waiting: Vec<Waker>,
    }

    impl Notify {
        pub(super) fn new() -> Self {
            Self(Mutex::new(State::default()))
        }

        pub(super) fn notify_one(&self) {
            let mut state = self.0.lock().unwrap();
            state.permit = true;
            state.wake();
        }

        pub(super) fn notify_waiters(&self) {
            let mut state = self.0.lock().unwrap();
            state.told += 1;
            state.wake();
        }

        pub(super) fn notified(&self) -> Notified<'_> {
            let begun = self.0.lock().unwrap().told;
            Notified {
                notify: self,
                begun,
            }
        }
    }

    impl State {
        fn wake(&mut self) {
            for waiting in self.waiting.drain(..) {
                waiting.wake();
            }
        }
    }

    pub(super) struct Notified<'a> {
        notify: &'a Notify,
        begun: u64,
    }

    impl Notified<'_> {
        /// As tokio's, it hears of all that comes after it was made, and tells here whether that was something.
        pub(super) fn enable(self: Pin<&mut Self>) -> bool {
            self.notify.0.lock().unwrap().told > self.begun
        }
    }

    impl Future for Notified<'_> {
        type Output = ();

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let mut state = self.notify.0.lock().unwrap();
            if state.told > self.begun || std::mem::take(&mut state.permit) {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        }
    }
}

/// Beside the lanes: what is settled.
type TestDesk = Desk<u32, u32, BTreeSet<u32>>;

/// For ever, and no time at all.
const PATIENT: Duration = Duration::MAX;
const HURRIED: Duration = Duration::ZERO;

/// Every order in which a thread is interrupted at most twice where it could have gone on: what is lost is lost in one of
/// those, and all of them are checked in seconds.
fn check(threads: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(threads);
}

fn desk(held: usize) -> Arc<TestDesk> {
    let bounds = Bounds {
        in_flight: 10,
        bytes: usize::MAX,
        held,
        held_bytes: usize::MAX,
    };
    Arc::new(Desk::new(Lanes::new(true, bounds), BTreeSet::new()))
}

/// All are of one key.
fn put(desk: &TestDesk, item: u32) {
    let arrival = Arrival {
        key: Some(Bytes::from_static(b"key")),
        identity: Some(item),
        earlier_attempts: 0,
        size: 1,
        item,
    };
    desk.change(|lanes, _| lanes.push(arrival));
}

fn receive(desk: &TestDesk) -> Option<HandedOut<u32>> {
    block_on(desk.next()).unwrap()
}

/// False: it went to another member meanwhile.
fn settle(desk: &TestDesk, handed_out: &HandedOut<u32>) -> bool {
    desk.change(|lanes, settled| {
        let finished = lanes.finish(handed_out.receipt);
        finished.is_ok_and(|item| settled.insert(item))
    })
}

#[test]
fn what_is_put_is_received_and_what_is_settled_frees_its_key() {
    check(|| {
        let desk = desk(10);
        let reader = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || {
                for item in [1, 2] {
                    put(&desk, item);
                }
            })
        };
        let first = receive(&desk).unwrap();
        let handler = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || {
                assert_eq!(first.item, 1);
                assert!(settle(&desk, &first));
            })
        };
        assert_eq!(receive(&desk).unwrap().item, 2);
        reader.join().unwrap();
        handler.join().unwrap();
    });
}

#[test]
fn room_that_is_made_is_used() {
    check(|| {
        let desk = desk(1);
        let reader = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || {
                for item in [1, 2] {
                    while !desk.look(|lanes, _| lanes.has_room()) {
                        block_on(desk.intake());
                    }
                    put(&desk, item);
                }
            })
        };
        for item in [1, 2] {
            let handed_out = receive(&desk).unwrap();
            assert_eq!(handed_out.item, item);
            assert!(settle(&desk, &handed_out));
        }
        reader.join().unwrap();
    });
}

/// A partition moves while somebody receives and settles: the position it leaves with has all that was settled, what
/// comes later is refused, and what was not handed out before stays where it is.
fn what_is_settled_is_known_or_refused(within: Duration) {
    check(move || {
        let desk = desk(10);
        put(&desk, 1);
        put(&desk, 2);
        let reader = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || {
                let moved = desk.take_back(within, |_| true, |settled| settled.clone());
                desk.end();
                moved
            })
        };
        let mut settled = BTreeSet::new();
        let mut refused = 0;
        while let Some(handed_out) = receive(&desk) {
            if settle(&desk, &handed_out) {
                settled.insert(handed_out.item);
            } else {
                desk.change(|lanes, _| lanes.release(handed_out.receipt));
                refused += 1;
            }
        }
        let (is_settled, known) = reader.join().unwrap();
        assert_eq!(known, settled);
        assert_eq!(is_settled, refused == 0);
        assert!(within.is_zero() || is_settled);
        assert_eq!(desk.look(|lanes, _| lanes.in_flight()), 0);
    });
}

#[test]
fn a_partition_that_waits_for_its_deliveries_leaves_with_all_of_them() {
    what_is_settled_is_known_or_refused(PATIENT);
}

#[test]
fn a_partition_that_waits_no_longer_leaves_with_what_was_settled() {
    what_is_settled_is_known_or_refused(HURRIED);
}

/// The partition goes and comes back while its delivery is in somebody's hands: the same message is handed out again when
/// these have let go, and not before.
#[test]
fn what_comes_back_is_in_nobody_elses_hands() {
    check(|| {
        let desk = desk(10);
        put(&desk, 1);
        let in_hand = receive(&desk).unwrap();
        let has_let_go = Arc::new(AtomicBool::new(false));
        let handler = {
            let (desk, has_let_go) = (Arc::clone(&desk), Arc::clone(&has_let_go));
            thread::spawn(move || {
                let is_settled = settle(&desk, &in_hand);
                if !is_settled {
                    desk.change(|lanes, _| {
                        lanes.release(in_hand.receipt);
                        has_let_go.store(true, Ordering::SeqCst);
                    });
                }
                is_settled
            })
        };
        let (_, known) = desk.take_back(HURRIED, |_| true, |settled| settled.clone());
        if known.is_empty() {
            put(&desk, 1);
            let again = receive(&desk).unwrap();
            assert!(has_let_go.load(Ordering::SeqCst));
            assert_eq!((again.item, again.attempt), (1, 2));
            assert!(settle(&desk, &again));
        }
        assert_eq!(handler.join().unwrap(), !known.is_empty());
    });
}

/// The feed is closed while a delivery is in somebody's hands: who waits for that learns that it is settled, and nothing
/// is handed out any more.
#[test]
fn at_a_close_what_is_in_flight_is_waited_for() {
    check(|| {
        let desk = desk(10);
        put(&desk, 1);
        put(&desk, 2);
        let handler = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || {
                let mut settled = 0;
                while let Some(handed_out) = receive(&desk) {
                    assert!(settle(&desk, &handed_out));
                    settled += 1;
                }
                settled
            })
        };
        desk.end();
        desk.change(|lanes, _| lanes.leave(|_| true));
        block_on(desk.drained());
        let known = desk.look(|_, settled| settled.len());
        assert_eq!(handler.join().unwrap(), known);
    });
}
