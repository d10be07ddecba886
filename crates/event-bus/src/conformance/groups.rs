//! Cases about members that come and go while others have work in hand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Failure;
use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, key, number, subscribe};
use crate::delivery::Delivery;
use crate::error::ErrorKind;
use crate::subscriber::Subscriber;

const KEYS: u64 = 8;
const EACH: u64 = 4;
/// How many the first member holds while another one joins.
const HELD: usize = 4;

/// What was settled, per key: every number below.
#[derive(Default)]
struct Ledger {
    reached: BTreeMap<String, u64>,
    /// What came again after it was settled, which at least once allows while members change.
    repeated: BTreeSet<(String, u64)>,
    /// A late settlement is an error.
    fenced: bool,
}

impl Ledger {
    fn settled(&self) -> u64 {
        self.reached.values().sum()
    }

    /// Looks whether a delivery may come.
    fn comes(&mut self, delivery: &Delivery) -> Result<(), Failure> {
        let (key, number) = (key(delivery)?, number(delivery)?);
        let reached = *self.reached.entry(key.clone()).or_default();
        ensure!(
            number <= reached,
            "{key}: {number} came before {reached} was settled"
        );
        if number < reached {
            self.repeated.insert((key, number));
        }
        Ok(())
    }

    /// Settles; one that went to another member meanwhile must be refused, and comes there.
    async fn ack(&mut self, delivery: Delivery) -> Result<(), Failure> {
        let (key, number) = (key(&delivery)?, number(&delivery)?);
        let reached = self.reached.entry(key.clone()).or_default();
        match delivery.ack().await {
            Ok(()) => {
                ensure!(
                    !self.fenced
                        || number == *reached
                        || self.repeated.contains(&(key.clone(), number)),
                    "{key}: {number} was settled by two members"
                );
                *reached = (*reached).max(number + 1);
                Ok(())
            }
            Err(error) => {
                ensure_eq!(
                    error.source.kind(),
                    ErrorKind::LeaseLost,
                    "why a settlement is refused"
                );
                Ok(())
            }
        }
    }

    /// Settles what comes to the members until so many are settled in all.
    async fn work_off(
        &mut self,
        stage: &Stage<'_>,
        members: &mut [&mut Subscriber],
        until: u64,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + stage.factory.patience();
        while self.settled() < until {
            ensure!(
                Instant::now() < deadline,
                "of {until} only {} are settled: {:?}",
                self.settled(),
                self.reached
            );
            for member in &mut *members {
                let Ok(next) = timeout(Duration::from_millis(50), member.next()).await else {
                    continue;
                };
                let delivery = next?.ok_or_else(|| Failure::new("a member ended"))?;
                self.comes(&delivery)?;
                self.ack(delivery).await?;
            }
        }
        Ok(())
    }
}

pub(super) async fn who_joins_or_leaves_takes_no_work_out_of_hands(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    let subscription = stage.subscription().max_in_flight(HELD);
    let mut first = stage.subscribe(&subscription).await?;
    for n in 0..EACH {
        for k in 0..KEYS {
            stage.publish(Some(&format!("key-{k}")), [n]).await?;
        }
    }
    let mut ledger = Ledger {
        fenced: stage.bus.capabilities().fenced,
        ..Ledger::default()
    };
    let mut held = stage.receive_all(&mut first, HELD).await?;
    for delivery in &held {
        ledger.comes(delivery)?;
    }

    // Another process joins, where there can be one.
    let other = if stage.bus.capabilities().multi_process {
        stage.connect().await?
    } else {
        stage.bus.clone()
    };
    let mut second = subscribe(&other, &subscription).await?;
    // While it does, some are settled, and some stay in hand until all that does not wait for them is done.
    if let Ok(next) = timeout(stage.factory.watch(), second.next()).await {
        let delivery = next?.ok_or_else(|| Failure::new("a member ended"))?;
        ledger.comes(&delivery)?;
        ledger.ack(delivery).await?;
    }
    for delivery in held.split_off(HELD / 2) {
        ledger.ack(delivery).await?;
    }
    let waiting = (HELD as u64 / 2) * EACH;
    ledger
        .work_off(stage, &mut [&mut first, &mut second], KEYS * EACH - waiting)
        .await?;

    // One is settled before its member leaves, the others by a member that has left.
    if let Some(delivery) = held.pop() {
        ledger.ack(delivery).await?;
    }
    first.close().await;
    for delivery in held {
        ledger.ack(delivery).await?;
    }
    ledger
        .work_off(stage, &mut [&mut second], KEYS * EACH)
        .await?;
    // Nothing is left; what comes now came before.
    while let Ok(next) = timeout(stage.factory.watch(), second.next()).await {
        let delivery = next?.ok_or_else(|| Failure::new("a member ended"))?;
        ledger.comes(&delivery)?;
        ledger.ack(delivery).await?;
    }
    Ok(())
}
