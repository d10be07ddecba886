//! Settling: verdicts that share a commit share their statements.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::Shared;
use super::claim::number;
use super::clock::{self, Now};
use super::desk::Desk;
use super::fault::{Fault, closed};
use super::statements::{BURY, FINISH, GIVE_BACK, MAKE_WAY, PROMOTE};
use super::writer::{self, Reply, Touched};
use crate::backend::{Receipt, Settlement, Settler};
use crate::dead_letter::REASONS;
use crate::error::{Error, ErrorKind};

/// Verdicts on deliveries of one subscription.
pub(super) struct Job {
    pub(super) subscription: i64,
    pub(super) verdicts: Vec<(Receipt, Verdict)>,
    /// Whether the receipts held.
    pub(super) reply: Option<Reply<Vec<bool>>>,
}

/// What becomes of a delivery.
pub(super) enum Verdict {
    Done,
    Rejected(String),
    /// Back, after a delay.
    Again(Duration),
    /// Back, as if it had not been handed out.
    Untouched,
}

/// Settles the deliveries of one subscriber.
pub(super) struct SqliteSettler {
    pub(super) shared: Arc<Shared>,
    pub(super) desk: Arc<Desk>,
}

impl SqliteSettler {
    /// Asks for verdicts on deliveries that are held; gives whether they still were in the file.
    async fn ask(&self, verdicts: Vec<(Receipt, Verdict)>) -> Result<Vec<bool>, Fault> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            subscription: self.desk.place.subscription,
            verdicts,
            reply: Some(reply),
        };
        self.shared.ask(writer::Job::Settle(job))?;
        answer.await.unwrap_or(Err(Fault::Closed))
    }
}

#[async_trait]
impl Settler for SqliteSettler {
    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        let mut results = self.settle_batch(vec![(receipt, settlement)]).await;
        results.pop().unwrap_or_else(|| Err(lost()))
    }

    async fn settle_batch(
        &self,
        settlements: Vec<(Receipt, Settlement)>,
    ) -> Vec<Result<(), Error>> {
        if self.shared.is_closed() {
            return settlements.iter().map(|_| Err(closed("settle"))).collect();
        }
        let mut results: Vec<Result<(), Error>> = Vec::with_capacity(settlements.len());
        let (mut asked, mut verdicts) = (Vec::new(), Vec::new());
        for (at, (receipt, settlement)) in settlements.into_iter().enumerate() {
            // What is asked for is answered below.
            results.push(Err(lost()));
            if self.desk.holds(receipt) {
                asked.push((at, receipt));
                verdicts.push((receipt, Verdict::from(settlement)));
            }
        }
        if asked.is_empty() {
            return results;
        }
        match self.ask(verdicts).await {
            Ok(held) => {
                for ((at, receipt), held) in asked.into_iter().zip(held) {
                    self.desk.let_go(receipt);
                    if held {
                        results[at] = Ok(());
                    }
                }
                self.shared.desks.settled.notify_waiters();
            }
            Err(fault) => {
                for (at, _) in asked {
                    results[at] = Err(fault.clone().into_error("settle"));
                }
            }
        }
        results
    }

    fn release(&self, receipt: Receipt) {
        if self.desk.let_go(receipt) {
            self.shared
                .give_back(&self.desk, [receipt], || Verdict::Again(Duration::ZERO));
            self.shared.desks.settled.notify_waiters();
        }
    }
}

impl From<Settlement> for Verdict {
    fn from(settlement: Settlement) -> Self {
        match settlement {
            Settlement::Ack => Self::Done,
            Settlement::Reject { reason } => Self::Rejected(reason),
            Settlement::Retry { after } => Self::Again(after),
        }
    }
}

fn lost() -> Error {
    let problem = "the delivery was settled before, or its lease ended and another took it over";
    Error::new(ErrorKind::LeaseLost, "settle", problem)
}

/// One verdict, and whose.
type One<'job> = (i64, Receipt, &'job Verdict);

/// Applies the verdicts in their order; tells of each whether its receipt held.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    jobs: &[Job],
    now: Now,
    touched: &mut Touched,
) -> Result<Vec<Vec<bool>>, sqlx::Error> {
    let all: Vec<One<'_>> = jobs
        .iter()
        .flat_map(|job| {
            let verdicts = job.verdicts.iter();
            verdicts.map(|(receipt, verdict)| (job.subscription, *receipt, verdict))
        })
        .collect();
    let mut held = vec![false; all.len()];
    let mut later: Vec<usize> = (0..all.len()).collect();
    while !later.is_empty() {
        // Two verdicts on one delivery: the first counts, so the second waits until it is applied.
        let mut seen = HashSet::new();
        let (round, next): (Vec<usize>, Vec<usize>) = later
            .into_iter()
            .partition(|at| seen.insert((all[*at].0, all[*at].1.id)));
        later = next;
        let verdicts: Vec<One<'_>> = round.iter().map(|at| all[*at]).collect();
        let settled = apply_round(connection, &verdicts, now, touched).await?;
        for at in &round {
            held[*at] = settled.contains(&(all[*at].0, all[*at].1.id));
        }
    }
    let mut held = held.into_iter();
    Ok(jobs
        .iter()
        .map(|job| held.by_ref().take(job.verdicts.len()).collect())
        .collect())
}

async fn apply_round(
    connection: &mut SqliteConnection,
    round: &[One<'_>],
    now: Now,
    touched: &mut Touched,
) -> Result<HashSet<(i64, u64)>, sqlx::Error> {
    let mut finished = Vec::new();
    let mut rejected = Vec::new();
    let mut back = Vec::new();
    for (subscription, Receipt { id, fence }, verdict) in round.iter().copied() {
        match verdict {
            Verdict::Done => finished.push((subscription, id, fence)),
            Verdict::Rejected(reason) => {
                rejected.push((subscription, id, fence, reason));
                finished.push((subscription, id, fence));
            }
            Verdict::Again(after) => {
                back.push((subscription, id, fence, clock::after(now.steady, *after), 0));
            }
            Verdict::Untouched => back.push((subscription, id, fence, now.steady, 1)),
        }
    }
    let mut gone: Vec<Settled> = Vec::new();
    if !rejected.is_empty() {
        let rejected = serde_json::json!(rejected).to_string();
        sqlx::query(BURY)
            .bind(rejected)
            .bind(now.wall)
            .bind(i64::try_from(REASONS).unwrap_or(i64::MAX))
            .execute(&mut *connection)
            .await?;
    }
    if !finished.is_empty() {
        gone = sqlx::query_as(FINISH)
            .bind(serde_json::json!(finished).to_string())
            .fetch_all(&mut *connection)
            .await?;
    }
    let mut returned: Vec<Settled> = Vec::new();
    if !back.is_empty() {
        returned = sqlx::query_as(GIVE_BACK)
            .bind(serde_json::json!(back).to_string())
            .bind(now.wall)
            .fetch_all(&mut *connection)
            .await?;
        let heads: Vec<_> = returned
            .iter()
            .filter(|(_, _, lane)| lane.is_some())
            .map(|(subscription, sequence, _)| (subscription, sequence))
            .collect();
        if !heads.is_empty() {
            sqlx::query(MAKE_WAY)
                .bind(serde_json::json!(heads).to_string())
                .execute(&mut *connection)
                .await?;
        }
    }
    let mut lanes = HashMap::<i64, BTreeSet<&str>>::new();
    for (subscription, _, lane) in gone.iter().chain(&returned) {
        touched.subscriptions.insert(*subscription);
        if let Some(lane) = lane {
            lanes.entry(*subscription).or_default().insert(lane);
        }
    }
    promote(connection, &lanes).await?;
    Ok(gone
        .iter()
        .chain(&returned)
        .map(|(subscription, sequence, _)| (*subscription, number(*sequence)))
        .collect())
}

type Settled = (i64, i64, Option<String>);

/// The oldest of each lane becomes its head.
pub(super) async fn promote(
    connection: &mut SqliteConnection,
    lanes: &HashMap<i64, BTreeSet<&str>>,
) -> Result<(), sqlx::Error> {
    let lanes: Vec<(i64, &str)> = lanes
        .iter()
        .flat_map(|(subscription, lanes)| lanes.iter().map(|lane| (*subscription, *lane)))
        .collect();
    if !lanes.is_empty() {
        sqlx::query(PROMOTE)
            .bind(serde_json::json!(lanes).to_string())
            .execute(connection)
            .await?;
    }
    Ok(())
}
