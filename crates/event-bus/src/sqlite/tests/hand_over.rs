//! The hand-over between the pump, the subscriber, and whoever settles, in every order that their threads can run in.
//!
//! The desk here is the desk's own source over the locks of a model checker (loom). A wake-up that is lost in any order
//! ends as a deadlock, which the checker reports with the order that leads there.

#[path = "../desk.rs"]
#[expect(
    clippy::duplicate_mod,
    reason = "over other locks it is another module"
)]
#[expect(dead_code, reason = "not everything that a desk does is a hand-over")]
mod desk;

use std::time::Duration;

use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use self::desk::{Desk, Fetched, Place};
use crate::backend::{Incoming, Receipt};
use crate::message::Undecodable;

/// What `sync.rs` names.
mod sync {
    use std::future::poll_fn;
    use std::task::{Poll, Waker};

    pub(super) use loom::sync::{Mutex, MutexGuard};
    pub(super) use std::sync::PoisonError;

    /// Tokio's, for one who waits: a permit is kept until it is taken.
    pub(super) struct Notify(Mutex<(bool, Option<Waker>)>);

    impl Notify {
        pub(super) fn new() -> Self {
            Self(Mutex::new((false, None)))
        }

        pub(super) fn notify_one(&self) {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            if let Some(waiting) = state.1.take() {
                waiting.wake();
            }
        }

        pub(super) async fn notified(&self) {
            poll_fn(|context| {
                let mut state = self.0.lock().unwrap();
                if std::mem::take(&mut state.0) {
                    return Poll::Ready(());
                }
                state.1 = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
        }
    }
}

/// Every order in which a thread is interrupted at most twice where it could have gone on: what is lost is lost in one of
/// those, and all of them are checked in a second.
fn check(threads: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(threads);
}

fn desk(limit: usize) -> Arc<Desk> {
    let place = Place {
        topic: 1,
        subscription: 1,
        ordered: true,
    };
    Arc::new(Desk::new(place, Duration::from_secs(1), limit, 100))
}

fn delivery(id: u64) -> Fetched {
    let body = Err(Undecodable::new("of no interest", None));
    Fetched {
        incoming: Incoming::new(body, 1, id.to_string(), Receipt::new(id, 1)),
        size: 10,
    }
}

fn receive(desk: &Desk) -> Option<u64> {
    let incoming = block_on(desk.receive()).unwrap();
    incoming.map(|incoming| incoming.receipt.id)
}

#[test]
fn what_is_put_is_received() {
    check(|| {
        let desk = desk(2);
        let pump = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || {
                for id in [1, 2] {
                    assert_eq!(desk.put(vec![delivery(id)]), []);
                }
            })
        };
        assert_eq!([receive(&desk), receive(&desk)], [Some(1), Some(2)]);
        pump.join().unwrap();
    });
}

#[test]
fn room_that_is_made_is_used() {
    check(|| {
        let desk = desk(1);
        let pump = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || {
                for id in [1, 2] {
                    let room = block_on(desk.roomy()).expect("it is open");
                    assert_eq!((room.count, room.bytes, room.empty), (1, 100, true));
                    assert_eq!(desk.put(vec![delivery(id)]), []);
                }
            })
        };
        for id in [1, 2] {
            assert_eq!(receive(&desk), Some(id));
            assert!(desk.let_go(Receipt::new(id, 1)));
        }
        pump.join().unwrap();
    });
}

#[test]
fn at_a_close_everything_is_received_or_given_back() {
    check(|| {
        let desk = desk(2);
        let pump = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || match block_on(desk.roomy()) {
                Some(_) => desk.put(vec![delivery(1)]),
                None => vec![Receipt::new(1, 1)],
            })
        };
        let closer = {
            let desk = Arc::clone(&desk);
            thread::spawn(move || desk.close())
        };
        // It ends, whenever the close comes.
        let mut received = Vec::new();
        while let Some(id) = receive(&desk) {
            received.push(Receipt::new(id, 1));
        }
        let (refused, unreceived) = (pump.join().unwrap(), closer.join().unwrap());
        let all = [received, refused, unreceived].concat();
        assert_eq!(all, [Receipt::new(1, 1)], "once, and nowhere twice");
    });
}
