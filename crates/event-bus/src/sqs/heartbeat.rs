//! The task that keeps what one member holds invisible to others, in batches, at times that members do not share.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::member::Member;

/// Beats until the member has left and holds nothing more.
pub(super) async fn keep(member: Weak<Member>) {
    loop {
        let Some(held) = member.upgrade() else { return };
        if beat(&held).await {
            return;
        }
        let pause = pause(held.lease, fastrand::f64());
        tokio::select! {
            () = sleep(pause) => {}
            () = held.beat.notified() => {}
        }
    }
}

/// A quarter of the lease, less up to a quarter of that: what is extended when half of its time is left has two more
/// chances after one that fails.
fn pause(lease: Duration, random: f64) -> Duration {
    (lease / 4).mul_f64(random.mul_add(-0.25, 1.0))
}

/// One look; true when there is nothing left to look after.
async fn beat(member: &Arc<Member>) -> bool {
    let now = Instant::now();
    let lease = member.lease;
    let answers = {
        let mut desk = member.desk();
        let (expired, released) = desk.expire(now);
        if expired > 0 {
            let (topic, subscription) = (&member.subscription.topic, &member.subscription.name);
            tracing::warn!(expired, %topic, %subscription, "deliveries were not settled while they were ours");
        }
        member.changes.make_visible(released);
        if desk.is_closed() && desk.is_empty() {
            return true;
        }
        // Asked for under the lock: whatever a handler asks for after this comes after it.
        let due = desk.due(now, lease / 2, lease).into_iter();
        let asked =
            due.map(|(id, handle, seconds)| (id, seconds, member.changes.extend(handle, seconds)));
        asked.collect::<Vec<_>>()
    };
    let answered = join_all(
        answers
            .into_iter()
            .map(|(id, seconds, answer)| async move { (id, seconds, answer.await) }),
    );
    for (id, seconds, answer) in answered.await {
        match answer {
            Ok(Ok(())) => {
                let seconds = u64::try_from(seconds).unwrap_or_default();
                member
                    .desk()
                    .extended(id, now + Duration::from_secs(seconds));
            }
            Ok(Err(fault)) if fault.is_stale() => {
                tracing::warn!(?fault, "a delivery was lost: another member may have it");
                member.release(|desk| desk.lose(id));
            }
            // Tried again at the next beat, while there is time.
            Ok(Err(_)) | Err(_) => {}
        }
    }
    member.tell();
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_are_spread_and_leave_time_to_fail() {
        let lease = Duration::from_secs(30);
        let (longest, shortest) = (pause(lease, 0.0), pause(lease, 1.0));
        assert_eq!(longest, lease / 4);
        assert!(shortest < longest && shortest > lease / 8);
        // Looked at just before half of the time was left, it is extended with a quarter left at the latest.
        assert!(lease / 2 >= longest * 2);
    }
}
