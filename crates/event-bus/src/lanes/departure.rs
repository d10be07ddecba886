//! How a member leaves: asked from outside, in its own time, and who waits for it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::after;

/// The way out of one member.
#[derive(Debug)]
pub(crate) struct Departure {
    /// Until when deliveries in flight may still be settled; `None` while the member stays.
    deadline: watch::Sender<Option<Instant>>,
    gone: watch::Sender<bool>,
}

impl Departure {
    pub(crate) fn new() -> Self {
        Self {
            deadline: watch::Sender::new(None),
            gone: watch::Sender::new(false),
        }
    }

    /// Asks the member to leave, within the time at most. Asked again, the shorter time counts.
    pub(crate) fn ask(&self, within: Duration) {
        let asked = after(Instant::now(), within);
        self.deadline.send_modify(|deadline| {
            *deadline = Some(deadline.map_or(asked, |before| before.min(asked)));
        });
    }

    /// Waits until the member is asked to leave.
    pub(crate) async fn asked(&self) {
        // The sender lives in self.
        let _ = self.deadline.subscribe().wait_for(Option::is_some).await;
    }

    /// Waits until the time given for leaving is over.
    pub(crate) async fn time_is_up(&self) {
        let mut deadline = self.deadline.subscribe();
        loop {
            let now = *deadline.borrow_and_update();
            match now {
                None => self.asked().await,
                Some(at) => tokio::select! {
                    () = sleep_until(at) => return,
                    _ = deadline.changed() => {}
                },
            }
        }
    }

    /// The member has left.
    pub(crate) fn done(&self) {
        self.gone.send_replace(true);
    }

    /// Waits until the member has left.
    pub(crate) async fn gone(&self) {
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }
}
