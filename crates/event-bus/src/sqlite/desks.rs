//! The desks of this process, to wake those whom a commit concerns.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

use super::desk::Desk;
use super::writer::Touched;

/// The desks of this process.
#[derive(Default)]
pub(super) struct Desks {
    known: Mutex<Vec<Weak<Desk>>>,
    /// A delivery left somebody's hands: a close may be complete.
    pub(super) settled: Notify,
    /// Something was scheduled, or there may be more that is due.
    pub(super) scheduled: Notify,
}

impl Desks {
    pub(super) fn add(&self, desk: &Arc<Desk>) {
        let mut desks = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        desks.retain(|desk| desk.strong_count() > 0);
        desks.push(Arc::downgrade(desk));
    }

    pub(super) fn all(&self) -> Vec<Arc<Desk>> {
        let desks = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        desks.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn wake(&self, touched: &Touched) {
        if touched.scheduled {
            self.scheduled.notify_one();
        }
        if touched.topics.is_empty() && touched.subscriptions.is_empty() {
            return;
        }
        for desk in self.all() {
            let place = desk.place;
            if touched.topics.contains(&place.topic)
                || touched.subscriptions.contains(&place.subscription)
            {
                desk.wake.notify_one();
            }
        }
    }

    /// Deliveries in users' hands.
    pub(super) fn in_flight(&self) -> usize {
        self.all().iter().map(|desk| desk.in_flight()).sum()
    }
}
