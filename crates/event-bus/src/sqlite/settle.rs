//! Settling: verdicts that share a commit share their statements.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::Shared;
use super::claim::number;
use super::clock::{self, Millis};
use super::desk::Desk;
use super::fault::{Fault, closed};
use super::statements::{BURY, FINISH, GIVE_BACK, MAKE_WAY, PROMOTE};
use super::writer::{self, Reply, Touched};
use crate::backend::{Receipt, Settlement, Settler};
use crate::error::{Error, ErrorKind};

/// One verdict.
pub(super) struct Job {
    pub(super) subscription: i64,
    pub(super) receipt: Receipt,
    pub(super) verdict: Verdict,
    /// Whether the receipt held.
    pub(super) reply: Option<Reply<bool>>,
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

#[async_trait]
impl Settler for SqliteSettler {
    async fn settle(&self, receipt: Receipt, settlement: Settlement) -> Result<(), Error> {
        if self.shared.is_closed() {
            return Err(closed("settle"));
        }
        if !self.desk.holds(receipt) {
            return Err(lost());
        }
        let (reply, answer) = oneshot::channel();
        let job = Job {
            subscription: self.desk.place.subscription,
            receipt,
            verdict: match settlement {
                Settlement::Ack => Verdict::Done,
                Settlement::Reject { reason } => Verdict::Rejected(reason),
                Settlement::Retry { after } => Verdict::Again(after),
            },
            reply: Some(reply),
        };
        let asked = self.shared.ask(writer::Job::Settle(job));
        asked.map_err(|fault| fault.into_error("settle"))?;
        let held = answer
            .await
            .unwrap_or(Err(Fault::Closed))
            .map_err(|fault| fault.into_error("settle"))?;
        self.desk.let_go(receipt);
        self.shared.desks.settled.notify_waiters();
        if held { Ok(()) } else { Err(lost()) }
    }

    fn release(&self, receipt: Receipt) {
        if self.desk.let_go(receipt) {
            self.shared
                .give_back(&self.desk, [receipt], || Verdict::Again(Duration::ZERO));
            self.shared.desks.settled.notify_waiters();
        }
    }
}

fn lost() -> Error {
    let problem = "the delivery was settled before, or its lease ended and another took it over";
    Error::new(ErrorKind::LeaseLost, "settle", problem)
}

/// Applies the verdicts in their order; tells of each whether its receipt held.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    jobs: &[Job],
    now: Millis,
    touched: &mut Touched,
) -> Result<Vec<bool>, sqlx::Error> {
    let mut held = vec![false; jobs.len()];
    let mut round: Vec<usize> = Vec::with_capacity(jobs.len());
    let mut later: Vec<usize> = (0..jobs.len()).collect();
    while !later.is_empty() {
        // Two verdicts on one delivery: the first counts, so the second waits until it is applied.
        let mut seen = HashSet::new();
        round.clear();
        let (now_due, next): (Vec<usize>, Vec<usize>) = later
            .into_iter()
            .partition(|at| seen.insert((jobs[*at].subscription, jobs[*at].receipt.id)));
        round.extend(now_due);
        later = next;
        let settled = apply_round(connection, jobs, &round, now, touched).await?;
        for at in &round {
            held[*at] = settled.contains(&(jobs[*at].subscription, jobs[*at].receipt.id));
        }
    }
    Ok(held)
}

async fn apply_round(
    connection: &mut SqliteConnection,
    jobs: &[Job],
    round: &[usize],
    now: Millis,
    touched: &mut Touched,
) -> Result<HashSet<(i64, u64)>, sqlx::Error> {
    let mut finished = Vec::new();
    let mut rejected = Vec::new();
    let mut back = Vec::new();
    for job in round.iter().map(|at| &jobs[*at]) {
        let (subscription, Receipt { id, fence }) = (job.subscription, job.receipt);
        match &job.verdict {
            Verdict::Done => finished.push((subscription, id, fence)),
            Verdict::Rejected(reason) => {
                rejected.push((subscription, id, fence, reason));
                finished.push((subscription, id, fence));
            }
            Verdict::Again(after) => {
                back.push((subscription, id, fence, clock::after(now, *after), 0));
            }
            Verdict::Untouched => back.push((subscription, id, fence, now, 1)),
        }
    }
    let mut gone = Vec::new();
    if !rejected.is_empty() {
        let rejected = serde_json::json!(rejected).to_string();
        sqlx::query(BURY)
            .bind(rejected)
            .bind(now)
            .execute(&mut *connection)
            .await?;
    }
    if !finished.is_empty() {
        gone = settled_rows(connection, FINISH, serde_json::json!(finished)).await?;
    }
    let mut returned = Vec::new();
    if !back.is_empty() {
        returned = settled_rows(connection, GIVE_BACK, serde_json::json!(back)).await?;
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

async fn settled_rows(
    connection: &mut SqliteConnection,
    statement: &'static str,
    jobs: serde_json::Value,
) -> Result<Vec<Settled>, sqlx::Error> {
    sqlx::query_as(statement)
        .bind(jobs.to_string())
        .fetch_all(connection)
        .await
}

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
