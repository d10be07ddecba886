//! Settling moves the partition's frontier; the reader commits it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::dead_letter::{DeadLetters, End};
use super::member::Member;
use crate::backend::{Receipt, Settlement, Settler};
use crate::error::{Error, ErrorKind};
use crate::lanes::{Stale, after};

/// Settles the deliveries of one member.
pub(super) struct KafkaSettler {
    pub(super) member: Arc<Member>,
    pub(super) dead_letters: Arc<DeadLetters>,
}

#[async_trait]
impl Settler for KafkaSettler {
    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        let member = &self.member;
        let (item, attempt, first_failed_at) = member
            .desk
            .look(|lanes, _| {
                let (item, attempt) = lanes.held(receipt)?;
                Ok((item, attempt, lanes.first_failed(receipt)))
            })
            .map_err(lost)?;
        match settlement {
            Settlement::Ack => member.finish(receipt).map_err(lost),
            Settlement::Retry { after } => self.retry(receipt, after),
            Settlement::Reject { reason } => {
                // Confirmed first: an offset that is committed without its dead letter is a lost message.
                let end = End {
                    attempts: attempt,
                    reason,
                    first_failed_at,
                };
                self.dead_letters
                    .bury(&member.topic, &member.name, &item.record, end)
                    .await?;
                member.finish(receipt).map_err(lost)
            }
        }
    }

    fn release(&self, receipt: Receipt) {
        self.member.desk.change(|lanes, _| lanes.release(receipt));
    }
}

impl KafkaSettler {
    fn retry(&self, receipt: Receipt, delay: Duration) -> Result<(), Error> {
        let due = after(Instant::now(), delay);
        self.member
            .desk
            .change(|lanes, _| lanes.retry(receipt, due))
            .map_err(lost)
    }
}

fn lost(_: Stale) -> Error {
    let problem = "the delivery was settled before, or its partition went to another member";
    Error::new(ErrorKind::LeaseLost, "settle", problem)
}
