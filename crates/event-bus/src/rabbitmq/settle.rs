//! Settling on the channel that delivered.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use lapin::options::{BasicAckOptions, BasicRejectOptions};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::dead_letter::DeadLetters;
use super::delay::delayed;
use super::envelope::republished;
use super::member::{Item, Member};
use super::publish::Needs;
use super::trail::{Trail, without_trail};
use super::unavailable;
use crate::backend::{Receipt, Settlement, Settler};
use crate::error::{Error, ErrorKind};
use crate::lanes::{Stale, after};
use crate::subscription::Order;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

const REQUEUE: BasicRejectOptions = BasicRejectOptions { requeue: true };

/// Settles the deliveries of one member.
pub(super) struct RabbitSettler {
    pub(super) member: Arc<Member>,
    pub(super) dead_letters: Arc<DeadLetters>,
}

/// A delivery that may still be settled.
struct Open {
    receipt: Receipt,
    item: Item,
    /// What happened to it, this attempt included.
    trail: Trail,
}

#[async_trait]
impl Settler for RabbitSettler {
    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        let open = self.open(receipt).map_err(lost)?;
        match settlement {
            Settlement::Ack => self.ack(&open).await,
            Settlement::Retry { after: delay } => match self.member.order {
                // In the lane: given back to the queue, the message would come behind the others of its key.
                Order::PerKey => self.wait_here(receipt, delay),
                Order::Unordered => self.again(open, delay).await,
            },
            Settlement::Reject { reason } => {
                // Confirmed first: a message acked without its dead letter is a lost message.
                self.dead_letters
                    .bury(&self.member, &open.item, open.trail.clone(), reason)
                    .await?;
                self.ack(&open).await
            }
        }
    }

    fn release(&self, receipt: Receipt) {
        let desk = &self.member.desk;
        // Without a runtime nothing can be sent: then, as in an ordered subscription, it comes again from here.
        let Some(runtime) = Handle::try_current()
            .ok()
            .filter(|_| self.member.order == Order::Unordered)
        else {
            desk.change(|lanes, ()| lanes.release(receipt));
            return;
        };
        match desk.change(|lanes, ()| lanes.hand_back(receipt)) {
            Ok(item) => {
                runtime.spawn(async move {
                    // With the channel gone it goes back by itself.
                    let _ = item.acker.reject(REQUEUE).await;
                });
            }
            Err(Stale) => desk.change(|lanes, ()| lanes.release(receipt)),
        }
    }
}

impl RabbitSettler {
    fn open(&self, receipt: Receipt) -> Result<Open, Stale> {
        let member = &self.member;
        let (item, attempts, first_failed) = member.desk.look(|lanes, ()| {
            let (item, attempts) = lanes.held(receipt)?;
            Ok((item, attempts, lanes.first_failed(receipt)))
        })?;
        let trail = Trail {
            attempts,
            first_seen_at: item.first_seen_at.get().copied(),
            first_failed_at: item
                .trail
                .first_failed_at
                .or(first_failed)
                .or_else(|| Some(Utc::now())),
            reasons: item.trail.reasons.clone(),
        };
        Ok(Open {
            receipt,
            item,
            trail,
        })
    }

    fn wait_here(&self, receipt: Receipt, delay: Duration) -> Result<(), Error> {
        let due = after(Instant::now(), delay);
        self.member
            .desk
            .change(|lanes, ()| lanes.retry(receipt, due))
            .map_err(lost)
    }

    /// Back to the queue, now or by way of the queues of delays. What the broker counts it would dead-letter in the end,
    /// which nobody asked for: before that the message is published again, with its count in a header.
    async fn again(&self, open: Open, delay: Duration) -> Result<(), Error> {
        const OPERATION: &str = "settle";
        let limit = self.dead_letters.config.delivery_limit;
        if delay.is_zero() && open.item.returned.saturating_add(1) < limit {
            return self.give_back(&open).await;
        }
        let held = &open.item;
        let mut headers = without_trail(&held.properties.headers().clone().unwrap_or_default());
        open.trail.write(&mut headers);
        let queue = &self.member.parts[held.part].queue;
        let properties = republished(&held.properties, headers);
        let Some(copy) = delayed(delay, queue, properties, held.payload.clone()) else {
            // More than a year.
            return self.wait_here(open.receipt, delay);
        };
        // Confirmed first: a message acked without its copy is a lost message.
        self.dead_letters
            .send_confirmed(OPERATION, &Needs::delays(), copy)
            .await?;
        self.ack(&open).await
    }

    async fn give_back(&self, open: &Open) -> Result<(), Error> {
        // First, so that what it remembers is there when the message comes again. When the sending fails, the channel is
        // gone and the message comes again too.
        self.member
            .desk
            .change(|lanes, ()| lanes.hand_back(open.receipt))
            .map_err(lost)?;
        answer(open.item.acker.reject(REQUEUE), &open.item).await
    }

    async fn ack(&self, open: &Open) -> Result<(), Error> {
        answer(open.item.acker.ack(BasicAckOptions::default()), &open.item).await?;
        self.member
            .desk
            .change(|lanes, ()| lanes.finish(open.receipt))
            .map(drop)
            .map_err(lost)
    }
}

/// Waits until a settlement is sent. A connection that looks alive and is dead would never say so; the lease of who waits
/// for it must end.
async fn answer(sent: impl Future<Output = lapin::Result<bool>>, item: &Item) -> Result<(), Error> {
    match timeout(ANSWER_WITHIN, sent).await {
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            "settle",
            "RabbitMQ does not answer",
        )),
        // The channel that delivered it is gone.
        Ok(Ok(false)) if item.acker.poisoned() => Err(lost(Stale)),
        // False: sent before, by a call that was dropped before it could say so here.
        Ok(Ok(true | false)) => Ok(()),
        Ok(Err(error)) => Err(unavailable(
            "settle",
            "the connection to RabbitMQ is gone",
            error,
        )),
    }
}

fn lost(_: Stale) -> Error {
    let problem = "the delivery was settled before, or its connection was lost and RabbitMQ delivers it again";
    Error::new(ErrorKind::LeaseLost, "settle", problem)
}
