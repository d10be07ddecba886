//! The task that keeps a member consuming from one queue, over one connection after another.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::time::{Instant, sleep, timeout};

use super::config::Config;
use super::link::{Link, jittered};
use super::member::{Member, Part};
use super::topology::Plan;
use super::unavailable;
use crate::error::{Error, ErrorKind};
use crate::subscription::Order;

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const GOODBYE: Duration = Duration::from_secs(5);
const CONSUME_WITHIN: Duration = Duration::from_secs(30);

/// A channel that consumes.
pub(super) struct Session {
    channel: Channel,
    consumer: Consumer,
    number: u64,
    prefetch: u16,
}

/// How receiving ended.
enum Ended {
    /// The member is asked to leave.
    Leaving,
    /// What is fetched ahead goes back: another member shall have the queue, or it was too much.
    SteppingAside,
    /// The channel or its consumer is gone.
    Lost,
}

/// Keeps one member consuming from one of its queues.
pub(super) struct Intake {
    config: Config,
    link: Arc<Link>,
    member: Arc<Member>,
    part: usize,
}

impl Intake {
    pub(super) fn new(
        config: &Config,
        link: &Arc<Link>,
        member: &Arc<Member>,
        part: usize,
    ) -> Self {
        Self {
            config: config.clone(),
            link: Arc::clone(link),
            member: Arc::clone(member),
            part,
        }
    }

    fn part(&self) -> &Part {
        &self.member.parts[self.part]
    }

    /// Begins to consume. Everything that the subscription needs is declared each time: a broker that comes back empty
    /// is set up again.
    pub(super) async fn consume(&self, number: u64) -> Result<Session, Error> {
        let member = &self.member;
        let failed = |error| unavailable("subscribe", "RabbitMQ does not deliver", error);
        let channel = self
            .link
            .channel("subscribe", Instant::now() + self.config.request_timeout)
            .await?;
        // The first part sets up all of them.
        if number > 1 || self.part == 0 {
            let plan = Plan {
                config: &self.config,
                topic: &member.topic,
                queues: &member.queues,
                order: member.order,
                partitions: u16::try_from(member.parts.len()).unwrap_or(u16::MAX),
            };
            plan.declare(&channel).await?;
        }
        let prefetch = member.prefetch();
        channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await
            .map_err(failed)?;
        self.part().active.store(false, Ordering::Relaxed);
        let (queue, tag) = (self.part().queue.clone(), ShortString::default());
        let consumer = channel
            .basic_consume(
                queue,
                tag,
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await;
        Ok(Session {
            channel,
            consumer: consumer.map_err(failed)?,
            number,
            prefetch,
        })
    }

    /// Consumes until the member leaves.
    pub(super) async fn run(self, first: Session) {
        // However this ends, who waits for it learns of it.
        let _left = Left(&self.member, self.part);
        let mut session = first;
        loop {
            let ended = tokio::select! {
                biased;
                () = self.member.departure.asked() => Ended::Leaving,
                () = self.part().step_aside.notified() => Ended::SteppingAside,
                ended = self.receive(&mut session) => ended,
            };
            let ended = match ended {
                Ended::SteppingAside => self.settle_down(&mut session).await,
                ended => ended,
            };
            if matches!(ended, Ended::Leaving) {
                return self.leave(session).await;
            }
            // What came on this channel will be delivered again, on another one.
            self.member.revoke(self.part);
            let number = session.number + 1;
            if matches!(ended, Ended::SteppingAside) {
                goodbye(&session.channel, "stepped aside").await;
            }
            drop(session);
            session = match self.consume_again(number).await {
                Some(session) => session,
                None => return,
            };
        }
    }

    /// Returns when the channel or its consumer is gone, or brings too much.
    async fn receive(&self, session: &mut Session) -> Ended {
        let (topic, subscription) = (&self.member.topic, &self.member.name);
        loop {
            match session.consumer.next().await {
                Some(Ok(delivery)) => {
                    let unwanted = self.member.receive(self.part, delivery, session.number);
                    if let Some(unwanted) = unwanted
                        && let Err(error) = unwanted.ack(BasicAckOptions::default()).await
                    {
                        // It comes again, and is not wanted again.
                        tracing::debug!(%error, %topic, %subscription, "an unwanted message was not settled");
                    }
                    if self.member.too_heavy_for(session.prefetch) {
                        return Ended::SteppingAside;
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, %topic, %subscription, "RabbitMQ stopped delivering");
                    return Ended::Lost;
                }
                // Cancelled by the broker: the queue was deleted, or moves to another node.
                None => {
                    tracing::warn!(%topic, %subscription, "RabbitMQ cancelled the consumer");
                    return Ended::Lost;
                }
            }
        }
    }

    /// Hands out nothing more of this queue, and waits until what is handed out is settled: then another member may have
    /// the queue and no key of it runs twice.
    async fn settle_down(&self, session: &mut Session) -> Ended {
        let of_this = |item: &super::member::Item| item.part == self.part;
        self.member.desk.change(|lanes, ()| lanes.leave(of_this));
        loop {
            tokio::select! {
                biased;
                () = self.member.departure.asked() => return Ended::Leaving,
                () = self.member.desk.wait_until(|lanes| lanes.out_of(of_this) == 0) => {
                    return Ended::SteppingAside;
                }
                next = session.consumer.next() => match next {
                    // Goes back with the channel.
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Ended::Lost,
                },
            }
        }
    }

    /// Tries, with growing pauses, until it consumes again; `None` when the member leaves meanwhile.
    async fn consume_again(&self, number: u64) -> Option<Session> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let attempt = async {
                sleep(jittered(pause)).await;
                timeout(CONSUME_WITHIN, self.consume(number))
                    .await
                    .unwrap_or_else(|_| {
                        let problem = "RabbitMQ does not answer";
                        Err(Error::new(ErrorKind::Unavailable, "subscribe", problem))
                    })
            };
            let outcome = tokio::select! {
                biased;
                () = self.member.departure.asked() => return None,
                outcome = attempt => outcome,
            };
            match outcome {
                Ok(session) => {
                    tracing::info!(queue = %self.part().queue, "consuming again");
                    return Some(session);
                }
                Err(error) => {
                    tracing::warn!(%error, queue = %self.part().queue, "not consuming");
                    // What waiting does not mend is told to who receives.
                    if !error.is_retryable() {
                        self.member.desk.report(error);
                    }
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Keeps the channel, and with it the place in the queue, until deliveries in flight are settled: given back before,
    /// what follows them could run beside them elsewhere.
    async fn leave(&self, session: Session) {
        let settled = tokio::select! {
            biased;
            () = self.member.desk.drained() => true,
            () = self.member.departure.time_is_up() => false,
        };
        self.member.revoke(self.part);
        // From 4.3 on, what is given back by its consumer is not counted, and what a closed channel held is. In order the
        // queue must not go to the next member before everything is back in it.
        if settled && self.member.order == Order::Unordered {
            let give_back = async {
                let (tag, all) = (
                    session.consumer.tag(),
                    BasicNackOptions {
                        multiple: true,
                        requeue: true,
                    },
                );
                let cancel = session
                    .channel
                    .basic_cancel(tag, BasicCancelOptions::default());
                cancel.await?;
                // Tag zero with `multiple`: everything unsettled.
                session.channel.basic_nack(0, all).await
            };
            let _ = timeout(GOODBYE, give_back).await;
        }
        // Closing the channel puts back everything unsettled at once, in its order.
        goodbye(&session.channel, "left").await;
    }
}

async fn goodbye(channel: &Channel, why: &str) {
    let closed = channel.close(200, ShortString::from(why));
    if let Ok(Err(error)) = timeout(GOODBYE, closed).await {
        tracing::debug!(%error, "the channel was gone already");
    }
}

/// Says so when dropped.
struct Left<'a>(&'a Member, usize);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.left(self.1);
    }
}
