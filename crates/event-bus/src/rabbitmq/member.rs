//! One member of a subscription, as its intakes, its feed and its settlers share it.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use lapin::message::Delivery;
use lapin::types::ShortString;
use lapin::{Acker, BasicProperties};
use tokio::sync::Notify;

use super::envelope::{decode, is_wanted};
use super::headers::text;
use super::topology::Queues;
use super::trail::Trail;
use crate::filter::Filter;
use crate::lanes::{Arrival, Bounds, Departure, Desk, Lanes};
use crate::message::{Message, Undecodable};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::{Order, Subscription};

/// How often the broker has delivered a message before and got it back.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// What may be held in bytes at least, so that a small bound on what is in flight does not make one key that waits hold up
/// all the others.
const LEAST_HELD_BYTES: usize = 1024 * 1024;

/// A message that was delivered and is not settled.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) properties: BasicProperties,
    pub(super) payload: Bytes,
    pub(super) body: Result<Message, Undecodable>,
    /// Of the channel that delivered it; useless once that is gone.
    pub(super) acker: Acker,
    pub(super) position: String,
    /// Which of the queues it came from.
    pub(super) part: usize,
    /// How often it came from this queue before.
    pub(super) returned: u32,
    /// What happened to it before it came to this queue.
    pub(super) trail: Trail,
    pub(super) first_seen_at: OnceLock<DateTime<Utc>>,
}

pub(super) type Item = Arc<Held>;

/// One of the queues, as this member sees it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) queue: ShortString,
    /// Something came since the last time that the place in the queue was taken: this member is the active one.
    pub(super) active: AtomicBool,
    /// Asks to give the place in the queue to who waits for it.
    pub(super) step_aside: Notify,
}

/// One member of a subscription.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) topic: TopicName,
    pub(super) name: SubscriptionName,
    pub(super) queues: Queues,
    pub(super) order: Order,
    pub(super) parts: Vec<Part>,
    /// Of each queue. It shrinks when messages are heavy.
    prefetch: AtomicU16,
    /// How many bytes may be held, fetched ahead or handed out.
    held_bytes: usize,
    pub(super) lease: Duration,
    pub(super) desk: Desk<Item, String, ()>,
    pub(super) departure: Departure,
    filter: Filter,
    /// Intakes that have not left.
    staying: AtomicUsize,
}

impl Member {
    pub(super) fn new(
        subscription: Subscription,
        queues: Queues,
        partitions: u16,
        lookahead: u16,
    ) -> Self {
        let Subscription {
            topic,
            name,
            order,
            max_in_flight,
            max_bytes_in_flight,
            lease,
            filter,
            ..
        } = subscription;
        let parts: Vec<Part> = queues
            .all(partitions)
            .into_iter()
            .map(|queue| Part {
                queue,
                active: AtomicBool::new(false),
                step_aside: Notify::new(),
            })
            .collect();
        let prefetch = lookahead.div_ceil(partitions.max(1));
        let bounds = Bounds {
            in_flight: max_in_flight.max(1),
            bytes: max_bytes_in_flight,
            held: usize::from(prefetch) * parts.len(),
            // The broker counts what it sends ahead, it does not weigh it: see `too_heavy_for`.
            held_bytes: usize::MAX,
        };
        Self {
            topic,
            name,
            queues,
            order,
            staying: AtomicUsize::new(parts.len()),
            parts,
            prefetch: AtomicU16::new(prefetch),
            held_bytes: max_bytes_in_flight.max(LEAST_HELD_BYTES),
            lease,
            desk: Desk::new(Lanes::new(order == Order::PerKey, bounds), ()),
            departure: Departure::new(),
            filter,
        }
    }

    /// Takes a message from the channel, unless the subscription does not want it: then it is done with. `session`
    /// counts the channels of this part.
    pub(super) fn receive(&self, part: usize, delivery: Delivery, session: u64) -> Option<Acker> {
        let Delivery {
            delivery_tag,
            properties,
            data,
            acker,
            ..
        } = delivery;
        let payload = Bytes::from(data);
        self.parts[part].active.store(true, Ordering::Relaxed);
        if !is_wanted(&self.filter, &properties, &payload) {
            return Some(acker);
        }
        let body = decode(&self.topic, &properties, &payload);
        let (key, size) = match &body {
            Ok(message) => {
                let key = message.key().map(str::as_bytes);
                (key.map(Bytes::copy_from_slice), message.size())
            }
            Err(bytes) => (bytes.key.clone(), payload.len()),
        };
        let identity = properties.message_id().as_ref().map(ToString::to_string);
        let headers = properties.headers().as_ref();
        let returned = headers
            .and_then(|headers| text(headers.inner().get(DELIVERY_COUNT)?)?.parse().ok())
            .unwrap_or_default();
        let trail = headers.map(Trail::read).unwrap_or_default();
        let earlier_attempts = match self.order {
            // What an ordered subscription fetches ahead goes back uncounted, and the broker counts it.
            Order::PerKey => trail.attempts,
            Order::Unordered => trail.attempts.saturating_add(returned),
        };
        let item = Arc::new(Held {
            properties,
            payload,
            body,
            acker,
            position: format!("{part}.{session}.{delivery_tag}"),
            part,
            returned,
            trail,
            first_seen_at: OnceLock::new(),
        });
        self.desk.change(|lanes, ()| {
            lanes.push(Arrival {
                key,
                identity,
                earlier_attempts,
                size,
                item,
            });
        });
        None
    }

    /// How many messages the broker may send ahead from one queue.
    pub(super) fn prefetch(&self) -> u16 {
        self.prefetch.load(Ordering::Relaxed)
    }

    /// Whether a channel of this prefetch brings more bytes than may be held, and a smaller one would not: then the next
    /// channels have a smaller one.
    ///
    /// Never in an ordered subscription. What goes back to a queue goes behind what went back before it, so the next channel
    /// must take at least as much as the last one held, or a second return puts later messages first.
    pub(super) fn too_heavy_for(&self, prefetch: u16) -> bool {
        if self.order == Order::PerKey {
            return false;
        }
        let held = self.desk.look(|lanes, ()| lanes.held_bytes());
        if held <= self.held_bytes {
            return false;
        }
        let agreed = self.prefetch();
        if agreed < prefetch {
            return true;
        }
        let fitting = usize::from(prefetch).saturating_mul(self.held_bytes) / held;
        let fitting = u16::try_from(fitting).unwrap_or(prefetch).max(1);
        if fitting < prefetch {
            tracing::info!(topic = %self.topic, subscription = %self.name, held, prefetch, fitting, "messages are heavy: fetching fewer ahead");
            self.prefetch.store(fitting, Ordering::Relaxed);
        }
        fitting < prefetch
    }

    /// The channel of a part is gone, and with it every delivery: the broker delivers again.
    pub(super) fn revoke(&self, part: usize) {
        self.desk
            .change(|lanes, ()| lanes.revoke(|item| item.part == part));
    }

    /// Ends the feed and, when what is in flight is settled, gives back what was fetched ahead.
    pub(super) fn leave(&self, within: Duration) {
        self.desk.end();
        self.departure.ask(within);
    }

    /// The intake of a part has left for good.
    pub(super) fn left(&self, part: usize) {
        self.revoke(part);
        if self.staying.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.departure.done();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(bytes: usize) -> Delivery {
        Delivery::mock(0, "orders".into(), "".into(), false, vec![0; bytes])
    }

    #[test]
    fn heavy_messages_shrink_what_is_fetched_ahead() {
        let topic = TopicName::new("orders").unwrap();
        let name = SubscriptionName::new("billing").unwrap();
        let queues = Queues::of("subscribe", &topic, &name).unwrap();
        let heavy = Subscription::new(topic, name).max_bytes_in_flight(1);
        let ordered = Member::new(heavy.clone(), queues.clone(), 2, 100);
        ordered.receive(0, delivery(LEAST_HELD_BYTES * 2), 1);
        assert!(!ordered.too_heavy_for(50), "its order matters more");
        let member = Member::new(heavy.order(Order::Unordered), queues, 2, 100);
        assert_eq!(member.prefetch(), 50);
        for _ in 0..4 {
            assert!(
                member
                    .receive(0, delivery(LEAST_HELD_BYTES / 4), 1)
                    .is_none()
            );
            assert!(!member.too_heavy_for(50));
        }
        member.receive(0, delivery(LEAST_HELD_BYTES), 1);
        assert!(member.too_heavy_for(50));
        assert_eq!(member.prefetch(), 25);
        // The other queue's channel learns of it, and one that is small already goes on.
        assert!(member.too_heavy_for(50));
        assert_eq!(member.prefetch(), 25);
        member.revoke(0);
        member.receive(1, delivery(LEAST_HELD_BYTES * 3), 2);
        assert!(!member.too_heavy_for(1), "one is always held");
    }
}
