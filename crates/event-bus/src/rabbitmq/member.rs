//! One member of a subscription, as its intake, its feed and its settlers share it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lapin::message::Delivery;
use lapin::{Acker, BasicProperties};

use super::envelope::decode;
use super::topology::Queues;
use crate::lanes::{Arrival, Bounds, Departure, Desk, Lanes};
use crate::message::{Message, Undecodable};
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::{Order, Subscription};

/// A message that was delivered and is not settled.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) properties: BasicProperties,
    pub(super) payload: Bytes,
    pub(super) body: Result<Message, Undecodable>,
    /// Of the channel that delivered it; useless once that is gone.
    pub(super) acker: Acker,
    pub(super) position: String,
}

pub(super) type Item = Arc<Held>;

/// One member of a subscription.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) topic: TopicName,
    pub(super) name: SubscriptionName,
    pub(super) queues: Queues,
    pub(super) order: Order,
    pub(super) prefetch: u16,
    pub(super) lease: Duration,
    pub(super) desk: Desk<Item, String, ()>,
    pub(super) departure: Departure,
}

impl Member {
    pub(super) fn new(subscription: Subscription, queues: Queues, prefetch: u16) -> Self {
        let Subscription {
            topic,
            name,
            order,
            max_in_flight,
            max_bytes_in_flight,
            lease,
            ..
        } = subscription;
        let bounds = Bounds {
            in_flight: max_in_flight.max(1),
            bytes: max_bytes_in_flight,
            held: usize::from(prefetch),
            // The broker counts what it sends ahead, it does not weigh it.
            held_bytes: usize::MAX,
        };
        Self {
            topic,
            name,
            queues,
            order,
            prefetch,
            lease,
            desk: Desk::new(Lanes::new(order == Order::PerKey, bounds), ()),
            departure: Departure::new(),
        }
    }

    /// Takes a message from the channel. `session` counts the channels of this member.
    pub(super) fn receive(&self, delivery: Delivery, session: u64) {
        let Delivery {
            delivery_tag,
            properties,
            data,
            acker,
            ..
        } = delivery;
        let payload = Bytes::from(data);
        let body = decode(&self.topic, &properties, &payload);
        let key = body
            .as_ref()
            .ok()
            .and_then(Message::key)
            .map(|key| Bytes::copy_from_slice(key.as_bytes()));
        let size = body.as_ref().map_or(payload.len(), Message::size);
        let identity = properties.message_id().as_ref().map(ToString::to_string);
        let position = format!("{session}.{delivery_tag}");
        let item = Arc::new(Held {
            properties,
            payload,
            body,
            acker,
            position,
        });
        self.desk.change(|lanes, ()| {
            lanes.push(Arrival {
                key,
                identity,
                earlier_attempts: 0,
                size,
                item,
            });
        });
    }

    /// The channel is gone, and with it every delivery: the broker delivers again.
    pub(super) fn all_revoked(&self) {
        self.desk.change(|lanes, ()| lanes.revoke(|_| true));
    }

    /// Ends the feed and, when what is in flight is settled, gives back what was fetched ahead.
    pub(super) fn leave(&self, within: Duration) {
        self.desk.end();
        self.departure.ask(within);
    }
}
