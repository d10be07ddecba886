//! Settling: what becomes of a message that was handed out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::dead_letter::DeadLetters;
use super::desk::Lost;
use super::fault::Fault;
use super::member::Member;
use crate::backend::{Receipt, Settlement, Settler};
use crate::error::{Error, ErrorKind};

/// Settles the deliveries of one member. Those who settle at the same time share their requests.
pub(super) struct SqsSettler {
    pub(super) member: Arc<Member>,
    pub(super) dead_letters: Arc<DeadLetters>,
}

#[async_trait]
impl Settler for SqsSettler {
    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        match settlement {
            Settlement::Ack => self.delete(receipt).await,
            Settlement::Retry { after } => self.retry(receipt, after).await,
            Settlement::Reject { reason } => {
                let held = self
                    .member
                    .desk()
                    .held(receipt, Instant::now())
                    .map_err(lost)?;
                // Kept first: a message deleted without its dead letter is a lost message. Heartbeats go on meanwhile.
                self.dead_letters.bury(&self.member, &held, &reason).await?;
                self.delete(receipt).await
            }
        }
    }

    fn release(&self, receipt: Receipt) {
        self.member.release(|desk| desk.let_go(receipt));
    }
}

impl SqsSettler {
    async fn delete(&self, receipt: Receipt) -> Result<(), Error> {
        let member = &self.member;
        let (handle, _) = member.desk().begin(receipt, Instant::now()).map_err(lost)?;
        let outcome = member.changes.delete(handle).await;
        self.settled(receipt, outcome, |member| {
            member.desk().finish(receipt).map_err(lost)
        })
    }

    async fn retry(&self, receipt: Receipt, after: Duration) -> Result<(), Error> {
        let member = &self.member;
        let now = Instant::now();
        let answer = {
            let mut desk = member.desk();
            let (handle, ends) = desk.begin(receipt, now).map_err(lost)?;
            let Some(seconds) = seconds(after, ends.saturating_duration_since(now)) else {
                desk.undo(receipt);
                let problem = "SQS keeps a message back for 12 hours at most, counted from when it was received; retry \
                               sooner, or publish it again with deliver_at and ack this one";
                return Err(Error::new(ErrorKind::Unsupported, "settle", problem));
            };
            // First what follows: SQS gives none of it out before this one.
            member.changes.make_visible(desk.followers_of(receipt));
            member.changes.extend(handle, seconds)
        };
        let gone = |_| Err(Fault::new(ErrorKind::Closed, "the program is about to end"));
        let outcome = answer.await.unwrap_or_else(gone);
        self.settled(receipt, outcome, |member| {
            member.desk().forget(receipt);
            Ok(())
        })
    }

    fn settled(
        &self,
        receipt: Receipt,
        outcome: Result<(), Fault>,
        done: impl FnOnce(&Member) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let result = match outcome {
            Ok(()) => done(&self.member),
            Err(fault) if fault.is_stale() => {
                self.member.release(|desk| desk.lose(receipt.id));
                Err(lost(Lost))
            }
            Err(fault) => {
                self.member.desk().undo(receipt);
                Err(fault.error("settle"))
            }
        };
        self.member.tell();
        result
    }
}

/// Whole seconds that are never fewer than asked for; `None` where SQS does not keep a message back for so long.
fn seconds(after: Duration, most: Duration) -> Option<i32> {
    let seconds = after
        .as_secs()
        .saturating_add(u64::from(after.subsec_nanos() > 0));
    (seconds == 0 || seconds <= most.as_secs())
        .then(|| i32::try_from(seconds).ok())
        .flatten()
}

fn lost(_: Lost) -> Error {
    let problem =
        "the delivery was settled before, or its visibility ended and SQS delivers it again";
    Error::new(ErrorKind::LeaseLost, "settle", problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_never_shortened_and_never_beyond_what_sqs_keeps() {
        let most = Duration::from_hours(12);
        for (after, expected) in [
            (Duration::ZERO, Some(0)),
            (Duration::from_nanos(1), Some(1)),
            (Duration::from_millis(400), Some(1)),
            (Duration::from_secs(5), Some(5)),
            (Duration::from_millis(5001), Some(6)),
            (most, Some(43_200)),
            (most + Duration::from_millis(1), None),
            (Duration::MAX, None),
        ] {
            assert_eq!(seconds(after, most), expected, "{after:?}");
        }
        assert_eq!(seconds(Duration::ZERO, Duration::ZERO), Some(0));
    }
}
