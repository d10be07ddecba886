//! The queues of an ordered subscription among its members.
//!
//! Every member consumes from every queue, and RabbitMQ delivers to the one that came first: the first member would have
//! all of them. So a member that has more than its share steps aside, queue by queue, and takes its place behind those who
//! wait. Nobody leads. How many members there are a queue tells that never holds a message and that all of them consume:
//! the broker counts its consumers, and of the other queues only those that are active.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::time::{Instant, sleep, timeout};

use super::headers::long;
use super::link::{Link, jittered};
use super::member::{Item, Member};
use super::topology::{look, table};
use super::unavailable;
use crate::error::Error;

/// How often a member looks.
const EVERY: Duration = Duration::from_secs(4);

/// How long a look may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Among the members: counted for as long as the channel lives.
struct Presence {
    channel: Channel,
    _consumer: Consumer,
}

/// Shares the queues until the member leaves.
pub(super) async fn balance(link: Arc<Link>, member: Arc<Member>) {
    let mut presence = None;
    loop {
        let look = timeout(WITHIN, members(&link, &member, &mut presence));
        match look.await {
            Ok(Ok(members)) => step_aside(&member, members),
            // A broker that is away, or slow, is asked again later.
            Ok(Err(error)) => {
                tracing::debug!(%error, "the members are not counted");
                presence = None;
            }
            Err(_) => presence = None,
        }
        tokio::select! {
            biased;
            () = member.departure.asked() => break,
            () = sleep(jittered(EVERY)) => {}
        }
    }
    if let Some(Presence { channel, .. }) = presence {
        let left = channel.close(200, ShortString::from("left"));
        let _ = timeout(WITHIN, left).await;
    }
}

/// Takes part, and counts who does.
async fn members(
    link: &Link,
    member: &Member,
    presence: &mut Option<Presence>,
) -> Result<usize, Error> {
    let failed = |error| unavailable("subscribe", "the members are not counted", error);
    let queue = &member.queues.members;
    let present = if let Some(present) = presence {
        present
    } else {
        let deadline = Instant::now() + WITHIN;
        let channel = link.channel("subscribe", deadline).await?;
        let arguments = table([("x-queue-type", long("quorum"))]);
        let options = QueueDeclareOptions::durable();
        let declared = channel.queue_declare(queue.clone(), options, arguments);
        declared.await.map_err(failed)?;
        let (tag, options) = (ShortString::default(), BasicConsumeOptions::default());
        let consumer = channel.basic_consume(queue.clone(), tag, options, FieldTable::default());
        presence.insert(Presence {
            _consumer: consumer.await.map_err(failed)?,
            channel,
        })
    };
    let counted = look(&present.channel, queue).await.map_err(failed)?;
    // Deleted: made again with the next look.
    let members = counted.map_or(1, |queue| queue.consumer_count().max(1));
    Ok(usize::try_from(members).unwrap_or(usize::MAX))
}

fn step_aside(member: &Member, members: usize) {
    for part in surplus(member, members) {
        let part = &member.parts[part];
        tracing::debug!(queue = %part.queue, members, "stepping aside");
        part.active.store(false, Ordering::Relaxed);
        part.step_aside.notify_one();
    }
}

/// The queues to give away: of those that deliver to this member what is beyond its share, but none with a message that
/// waits for its time here, because elsewhere it would not wait.
fn surplus(member: &Member, members: usize) -> Vec<usize> {
    let active: Vec<usize> = (0..member.parts.len())
        .filter(|part| member.parts[*part].active.load(Ordering::Relaxed))
        .collect();
    let share = member.parts.len().div_ceil(members.max(1));
    let waits = |part: usize| {
        let of_this = |item: &Item| item.part == part;
        member.desk.look(|lanes, ()| lanes.is_waiting(of_this))
    };
    let surplus = active.len().saturating_sub(share);
    let free = active.into_iter().filter(|part| !waits(*part));
    free.take(surplus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{SubscriptionName, TopicName};
    use crate::rabbitmq::topology::Queues;
    use crate::subscription::Subscription;

    #[test]
    fn what_is_beyond_the_share_is_given_away() {
        let topic = TopicName::new("orders").unwrap();
        let name = SubscriptionName::new("billing").unwrap();
        let queues = Queues::of("subscribe", &topic, &name).unwrap();
        let member = Member::new(Subscription::new(topic, name), queues, 4, 100);
        assert!(surplus(&member, 2).is_empty(), "nothing came yet");
        for part in [0, 1, 3] {
            member.parts[part].active.store(true, Ordering::Relaxed);
        }
        assert!(surplus(&member, 1).is_empty());
        assert_eq!(surplus(&member, 2), [0]);
        assert_eq!(surplus(&member, 3), [0]);
        assert_eq!(surplus(&member, 4), [0, 1]);
        assert_eq!(surplus(&member, 9), [0, 1], "one stays");
    }
}
