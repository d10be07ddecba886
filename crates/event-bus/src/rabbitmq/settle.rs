//! Settling on the channel that delivered.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::BasicAckOptions;
use tokio::time::{Instant, timeout};

use super::dead_letter::DeadLetters;
use super::member::{Item, Member};
use super::unavailable;
use crate::backend::{Receipt, Settlement, Settler};
use crate::error::{Error, ErrorKind};
use crate::lanes::{Stale, after};

const ACK_WITHIN: Duration = Duration::from_secs(10);

/// Settles the deliveries of one member.
pub(super) struct RabbitSettler {
    pub(super) member: Arc<Member>,
    pub(super) dead_letters: Arc<DeadLetters>,
}

#[async_trait]
impl Settler for RabbitSettler {
    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        let member = &self.member;
        let (item, attempt) = member
            .desk
            .look(|lanes, ()| lanes.held(receipt))
            .map_err(lost)?;
        match settlement {
            Settlement::Ack => self.ack(receipt, &item).await,
            Settlement::Retry { after: delay } => {
                // In the lane: given back to the queue, the message would come at once and behind the others.
                let due = after(Instant::now(), delay);
                member
                    .desk
                    .change(|lanes, ()| lanes.retry(receipt, due))
                    .map_err(lost)
            }
            Settlement::Reject { reason } => {
                // Confirmed first: a message acked without its dead letter is a lost message.
                self.dead_letters
                    .bury(member, &item, attempt, &reason)
                    .await?;
                self.ack(receipt, &item).await
            }
        }
    }

    fn release(&self, receipt: Receipt) {
        self.member.desk.change(|lanes, ()| lanes.release(receipt));
    }
}

impl RabbitSettler {
    async fn ack(&self, receipt: Receipt, item: &Item) -> Result<(), Error> {
        let acker = &item.acker;
        // A connection that looks alive and is dead would never say so; the lease of who waits for it must end.
        let answer = timeout(ACK_WITHIN, acker.ack(BasicAckOptions::default())).await;
        let Ok(answer) = answer else {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "settle",
                "RabbitMQ does not answer",
            ));
        };
        match answer {
            // The channel that delivered it is gone.
            Ok(false) if acker.poisoned() => return Err(lost(Stale)),
            // False: acked before, by a call that was dropped before it could say so here.
            Ok(true | false) => {}
            Err(error) => {
                return Err(unavailable(
                    "settle",
                    "the connection to RabbitMQ is gone",
                    error,
                ));
            }
        }
        self.member
            .desk
            .change(|lanes, ()| lanes.finish(receipt))
            .map(drop)
            .map_err(lost)
    }
}

fn lost(_: Stale) -> Error {
    let problem = "the delivery was settled before, or its connection was lost and RabbitMQ delivers it again";
    Error::new(ErrorKind::LeaseLost, "settle", problem)
}
