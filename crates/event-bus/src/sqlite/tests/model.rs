//! Leases against the model: random histories on a clock of their own, with restarts and two claimants.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::{Semaphore, oneshot};

use super::{directory, message, name, topic};
use crate::backend::Receipt;
use crate::model::{Given, Model, Verdict};
use crate::sqlite::claim::{Claim, claim};
use crate::sqlite::codec::Row;
use crate::sqlite::config::Config;
use crate::sqlite::dead_letter::{Purge, Redrive, redrive};
use crate::sqlite::desk::Place;
use crate::sqlite::writer::{Task, Touched};
use crate::sqlite::{clock, feed, lease, publish, schema, settle};
use crate::subscription::{Order, Subscription};

const LEASE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<Option<u8>>),
    Claim(usize),
    /// Settlements that share a transaction.
    Settle(Vec<(usize, Verdict)>),
    Extend(usize),
    Wait(i64),
    Redrive(usize),
    Purge,
    Restart,
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        4 => Just(Verdict::Ack),
        1 => Just(Verdict::Reject),
        2 => (0..80_i64, any::<bool>()).prop_map(|(due, counted)| Verdict::Again { due, counted }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let any = 0..usize::MAX;
    prop_oneof![
        4 => proptest::collection::vec(proptest::option::weighted(0.85, 0..4_u8), 1..6).prop_map(Step::Publish),
        6 => (1..5_usize).prop_map(Step::Claim),
        6 => proptest::collection::vec((any.clone(), verdict()), 1..5).prop_map(Step::Settle),
        1 => any.prop_map(Step::Extend),
        3 => (0..70_i64).prop_map(Step::Wait),
        1 => (0..4_usize).prop_map(Step::Redrive),
        1 => Just(Step::Purge),
        1 => Just(Step::Restart),
    ]
}

struct Run {
    config: Config,
    connection: SqliteConnection,
    place: Place,
    model: Model,
    given: Vec<Given>,
    now: i64,
    _directory: TempDir,
}

impl Run {
    async fn begin(order: Order) -> Self {
        let directory = directory();
        let path: PathBuf = directory.path().join("bus.db");
        let config = Config::parse(&path.display().to_string()).unwrap();
        let mut connection = connect(&config).await;
        let subscription = Subscription::new(topic(), name()).order(order);
        let place = feed::join(&mut connection, &subscription)
            .await
            .unwrap()
            .unwrap();
        Self {
            config,
            connection,
            place,
            model: Model::default(),
            given: Vec::new(),
            now: 1_000_000,
            _directory: directory,
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm per kind of step")]
    async fn step(&mut self, step: Step) {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let connection = &mut *transaction;
        let place = self.place;
        match step {
            Step::Publish(keys) => {
                let job = publish_job(&keys);
                let mut touched = Touched::default();
                let topics = &mut HashMap::new();
                let sequences = publish::apply(connection, topics, &[job], self.now, &mut touched)
                    .await
                    .unwrap();
                for (sequence, key) in sequences.concat().into_iter().zip(keys) {
                    self.model.publish(
                        u64::try_from(sequence).unwrap(),
                        key.filter(|_| place.ordered),
                    );
                }
            }
            Step::Claim(limit) => {
                let ask = Claim {
                    place,
                    limit,
                    lease: LEASE,
                };
                let claimed = claim(connection, &ask, self.now).await.unwrap();
                assert!(claimed.deliveries.len() <= limit);
                for (sequence, attempt) in &claimed.deliveries {
                    let (sequence, fence) = (*sequence, claimed.fence);
                    let one = Given { sequence, fence };
                    self.model
                        .hand_out(one, *attempt, self.now, clock::after(self.now, LEASE));
                    self.given.push(one);
                }
                if claimed.deliveries.len() < limit {
                    assert!(!claimed.more, "so few messages fit into one transaction");
                    assert_eq!(
                        self.model.deliverable(self.now),
                        [0; 0],
                        "these were not handed out"
                    );
                }
            }
            Step::Settle(verdicts) if !self.given.is_empty() => {
                let given = |at: usize| self.given[at % self.given.len()];
                let jobs: Vec<settle::Job> = verdicts
                    .iter()
                    .map(|(at, verdict)| settle_job(place, given(*at), *verdict))
                    .collect();
                let held = settle::apply(connection, &jobs, self.now, &mut Touched::default())
                    .await
                    .unwrap();
                for ((at, verdict), held) in verdicts.into_iter().zip(held) {
                    let one = given(at);
                    let verdict = match verdict {
                        Verdict::Again { due, counted: true } => {
                            let due =
                                clock::after(self.now, Duration::from_millis(due.unsigned_abs()));
                            Verdict::Again { due, counted: true }
                        }
                        Verdict::Again { counted: false, .. } => Verdict::Again {
                            due: self.now,
                            counted: false,
                        },
                        verdict => verdict,
                    };
                    assert_eq!(
                        held,
                        self.model.settle(one, verdict),
                        "settling {one:?} with {verdict:?}"
                    );
                }
            }
            Step::Extend(at) if !self.given.is_empty() => {
                let one = self.given[at % self.given.len()];
                let receipt = Receipt::new(one.sequence, one.fence);
                let (reply, _) = oneshot::channel();
                let job = lease::Job {
                    subscription: place.subscription,
                    receipts: vec![receipt],
                    lease: LEASE,
                    reply,
                };
                let extended = lease::apply(connection, &[job], self.now).await.unwrap();
                let until = clock::after(self.now, LEASE);
                assert_eq!(
                    !extended.is_empty(),
                    self.model.extend(one, until),
                    "extending {one:?}"
                );
            }
            Step::Settle(_) | Step::Extend(_) => {}
            Step::Wait(time) => self.now += time,
            Step::Redrive(limit) => {
                let redriven = redrive(connection, &Redrive { place, limit }, self.now)
                    .await
                    .unwrap();
                assert_eq!(redriven, self.model.redrive(limit));
            }
            Step::Purge => {
                let purged = Purge { place }
                    .apply(connection, &mut Touched::default())
                    .await
                    .unwrap();
                assert_eq!(purged, self.model.purge());
            }
            Step::Restart => {
                // Without a close: the transaction is all that ends.
                transaction.commit().await.unwrap();
                self.connection = connect(&self.config).await;
                return;
            }
        }
        transaction.commit().await.unwrap();
        self.heads_are_right().await;
    }

    /// Every lane has one head, and every row without a lane is one.
    async fn heads_are_right(&mut self) {
        let wrong: Vec<(Option<String>, i64)> = sqlx::query_as(
            "SELECT lane, sum(head) FROM delivery WHERE lane IS NOT NULL GROUP BY lane HAVING sum(head) <> 1
             UNION ALL SELECT lane, sequence FROM delivery WHERE lane IS NULL AND head = 0",
        )
        .fetch_all(&mut self.connection)
        .await
        .unwrap();
        assert_eq!(wrong, [], "lanes and their heads");
    }
}

async fn connect(config: &Config) -> SqliteConnection {
    let mut connection = schema::open_writer(config).await.unwrap();
    // The model is about what is decided, not about what reaches the disk.
    sqlx::query("PRAGMA synchronous = OFF")
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

fn publish_job(keys: &[Option<u8>]) -> publish::Job {
    let rows = keys.iter().map(|key| {
        let key = key.map(|key| format!("key-{key}"));
        (topic(), Row::encode(&message(key.as_deref(), "x")).unwrap())
    });
    let room = std::sync::Arc::new(Semaphore::new(1))
        .try_acquire_owned()
        .unwrap();
    publish::Job::new(rows.collect(), oneshot::channel().0, room)
}

fn settle_job(place: Place, given: Given, verdict: Verdict) -> settle::Job {
    settle::Job {
        subscription: place.subscription,
        receipt: Receipt::new(given.sequence, given.fence),
        verdict: match verdict {
            Verdict::Ack => settle::Verdict::Done,
            Verdict::Reject => settle::Verdict::Rejected("of no use".to_owned()),
            Verdict::Again { due, counted: true } => {
                settle::Verdict::Again(Duration::from_millis(due.unsigned_abs()))
            }
            Verdict::Again { counted: false, .. } => settle::Verdict::Untouched,
        },
        reply: None,
    }
}

fn play(order: Order, steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut run = Run::begin(order).await;
        for step in steps {
            run.step(step).await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn an_ordered_subscription_follows_the_model(steps in proptest::collection::vec(step(), 1..80)) {
        play(Order::PerKey, steps);
    }

    #[test]
    fn an_unordered_subscription_follows_the_model(steps in proptest::collection::vec(step(), 1..40)) {
        play(Order::Unordered, steps);
    }
}
