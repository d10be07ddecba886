//! The task that keeps a member consuming, over one connection after another.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::time::{Instant, sleep, timeout};

use super::config::Config;
use super::link::{Link, jittered};
use super::member::Member;
use super::topology::declare_subscription;
use super::unavailable;
use crate::error::{Error, ErrorKind};

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const GOODBYE: Duration = Duration::from_secs(5);
const CONSUME_WITHIN: Duration = Duration::from_secs(30);

/// A channel that consumes.
pub(super) struct Session {
    channel: Channel,
    consumer: Consumer,
    number: u64,
}

/// Keeps one member consuming.
pub(super) struct Intake {
    config: Config,
    link: Arc<Link>,
    member: Arc<Member>,
}

impl Intake {
    pub(super) fn new(config: &Config, link: &Arc<Link>, member: &Arc<Member>) -> Self {
        Self {
            config: config.clone(),
            link: Arc::clone(link),
            member: Arc::clone(member),
        }
    }

    /// Makes what the subscription needs and begins to consume. Everything is declared each time: a broker that comes
    /// back empty is set up again.
    pub(super) async fn consume(&self, number: u64) -> Result<Session, Error> {
        let member = &self.member;
        let failed = |error| unavailable("subscribe", "RabbitMQ does not deliver", error);
        let channel = self
            .link
            .channel("subscribe", Instant::now() + self.config.request_timeout)
            .await?;
        declare_subscription(
            &channel,
            &self.config,
            &member.topic,
            &member.queues,
            member.order,
        )
        .await?;
        channel
            .basic_qos(member.prefetch, BasicQosOptions::default())
            .await
            .map_err(failed)?;
        let (queue, tag) = (member.queues.main.clone(), ShortString::default());
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
        })
    }

    /// Consumes until the member leaves.
    pub(super) async fn run(self, first: Session) {
        // However this ends, who waits for it learns of it.
        let _gone = Gone(Arc::clone(&self.member));
        let mut session = first;
        loop {
            let ended = tokio::select! {
                biased;
                () = self.member.departure.asked() => false,
                () = self.receive(&mut session) => true,
            };
            if !ended {
                return self.leave(session).await;
            }
            // What came on this channel will be delivered again, on another one.
            self.member.all_revoked();
            session = match self.consume_again(session.number + 1).await {
                Some(session) => session,
                None => return,
            };
        }
    }

    /// Returns when the channel or its consumer is gone.
    async fn receive(&self, session: &mut Session) {
        let (topic, subscription) = (&self.member.topic, &self.member.name);
        loop {
            match session.consumer.next().await {
                Some(Ok(delivery)) => self.member.receive(delivery, session.number),
                Some(Err(error)) => {
                    tracing::warn!(%error, %topic, %subscription, "RabbitMQ stopped delivering");
                    return;
                }
                // Cancelled by the broker: the queue was deleted, or moves to another node.
                None => {
                    tracing::warn!(%topic, %subscription, "RabbitMQ cancelled the consumer");
                    return;
                }
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
                    tracing::info!(topic = %self.member.topic, subscription = %self.member.name, "consuming again");
                    return Some(session);
                }
                Err(error) => {
                    tracing::warn!(%error, topic = %self.member.topic, subscription = %self.member.name, "not consuming");
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
        tokio::select! {
            biased;
            () = self.member.desk.drained() => {}
            () = self.member.departure.time_is_up() => {}
        }
        self.member.all_revoked();
        // Closing the channel puts back everything unsettled at once, in its order.
        let goodbye = session.channel.close(200, ShortString::from("left"));
        if let Ok(Err(error)) = timeout(GOODBYE, goodbye).await {
            tracing::debug!(%error, "the channel was gone already");
        }
    }
}

/// Says so when dropped.
struct Gone(Arc<Member>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.all_revoked();
        self.0.departure.done();
    }
}
