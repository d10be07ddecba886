//! Leases against the model: random histories on a clock of their own, with restarts and two claimants.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::{Semaphore, oneshot};

use super::{directory, message, name, topic};
use crate::backend::Receipt;
use crate::filter::Filter;
use crate::model::{Given, Model, Verdict};
use crate::sqlite::claim::{Claim, claim};
use crate::sqlite::clock::Now;
use crate::sqlite::codec::Row;
use crate::sqlite::config::Config;
use crate::sqlite::dead_letter::{Purge, Redrive, redrive};
use crate::sqlite::desk::{Place, Room};
use crate::sqlite::writer::{Task, Touched};
use crate::sqlite::{clock, feed, lease, publish, schedule, schema, settle};
use crate::subscription::{Order, Start, Subscription};

const LEASE: Duration = Duration::from_millis(100);

/// What is published: its key, whether the subscription's filter wants it, and when it is due, if that is later.
#[derive(Clone, Copy, Debug)]
struct Spec {
    key: Option<u8>,
    red: bool,
    delay: Option<i64>,
}

fn spec() -> impl Strategy<Value = Spec> {
    let key = proptest::option::weighted(0.85, 0..4_u8);
    (key, proptest::bool::weighted(0.7)).prop_map(|(key, red)| Spec {
        key,
        red,
        delay: None,
    })
}

fn maybe_later() -> impl Strategy<Value = Spec> {
    let delay = proptest::option::weighted(0.2, 1..90_i64);
    (spec(), delay).prop_map(|(spec, delay)| Spec { delay, ..spec })
}

/// How a run begins.
#[derive(Clone, Debug)]
struct Setting {
    filtered: bool,
    /// Published before the subscription is made.
    before: Vec<Spec>,
    /// How many of those it does not begin with.
    skipped: usize,
}

fn setting() -> impl Strategy<Value = Setting> {
    let before = proptest::collection::vec(spec(), 0..5);
    (any::<bool>(), before, 0..6_usize).prop_map(|(filtered, before, skipped)| Setting {
        filtered,
        before,
        skipped,
    })
}

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<Spec>),
    Claim(usize),
    /// Settlements that share a transaction.
    Settle(Vec<(usize, Verdict)>),
    Extend(usize),
    Wait(i64),
    /// How many, and of which kind only.
    Redrive(usize, Option<bool>),
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
        4 => proptest::collection::vec(maybe_later(), 1..6).prop_map(Step::Publish),
        6 => (1..5_usize).prop_map(Step::Claim),
        6 => proptest::collection::vec((any.clone(), verdict()), 1..5).prop_map(Step::Settle),
        1 => any.prop_map(Step::Extend),
        3 => (0..70_i64).prop_map(Step::Wait),
        1 => (0..4_usize, proptest::option::of(proptest::bool::ANY)).prop_map(|(limit, red)| Step::Redrive(limit, red)),
        1 => Just(Step::Purge),
        1 => Just(Step::Restart),
    ]
}

struct Run {
    config: Config,
    connection: SqliteConnection,
    place: Place,
    /// What the subscription begins with, which may be yet to come, and what it wants.
    first: u64,
    filter: Arc<Filter>,
    model: Model,
    /// What is not due yet, in the order in which it will be.
    scheduled: BTreeMap<(i64, u64), Spec>,
    /// What was published, by its sequence.
    log: BTreeMap<u64, Spec>,
    given: Vec<Given>,
    now: i64,
    _directory: TempDir,
}

impl Run {
    async fn begin(order: Order, setting: &Setting) -> Self {
        let directory = directory();
        let path: PathBuf = directory.path().join("bus.db");
        let config = Config::parse(&path.display().to_string()).unwrap();
        let mut connection = connect(&config).await;
        let now = 1_000_000;
        let (topics, touched) = (&mut HashMap::new(), &mut Touched::default());
        let before = [publish_job(&setting.before, now)];
        publish::apply(&mut connection, topics, &before, now, touched)
            .await
            .unwrap();
        let filter = if setting.filtered {
            Filter::new().equals("color", "red")
        } else {
            Filter::new()
        };
        let first = setting.skipped + 1;
        let subscription = Subscription::new(topic(), name())
            .order(order)
            .start(Start::Position(first.to_string()));
        let place = feed::join(&mut connection, &subscription, now)
            .await
            .unwrap()
            .unwrap();
        let mut run = Self {
            config,
            connection,
            place,
            first: first as u64,
            filter: Arc::new(filter),
            model: Model::default(),
            scheduled: BTreeMap::new(),
            log: BTreeMap::new(),
            given: Vec::new(),
            now,
            _directory: directory,
        };
        for (sequence, spec) in (1..).zip(&setting.before) {
            run.published(sequence, *spec);
        }
        run
    }

    /// The log has a message: the model learns of it if the subscription wants it.
    fn published(&mut self, sequence: u64, spec: Spec) {
        assert!(self.log.insert(sequence, spec).is_none());
        let wanted = spec.red || self.filter.is_empty();
        if wanted && sequence >= self.first {
            let key = spec.key.filter(|_| self.place.ordered);
            self.model.publish(sequence, key);
        }
    }

    /// What the writer does before each of its transactions.
    async fn append_due(&mut self) {
        let touched = &mut Touched::default();
        schedule::append_due(&mut self.connection, self.now, touched)
            .await
            .unwrap();
        while let Some(entry) = self.scheduled.first_entry()
            && entry.key().0 <= self.now
        {
            let spec = entry.remove();
            let next = self.log.keys().next_back().map_or(1, |last| last + 1);
            self.published(next, spec);
        }
        let stored: Vec<u64> = sqlx::query_scalar("SELECT sequence FROM message ORDER BY sequence")
            .fetch_all(&mut self.connection)
            .await
            .unwrap()
            .into_iter()
            .map(|sequence: i64| u64::try_from(sequence).unwrap())
            .collect();
        let expected: Vec<u64> = self.log.keys().copied().collect();
        assert_eq!(stored, expected, "what is in the log");
    }

    /// The file's clock is the model's. What the wall's shows, nothing here depends on.
    fn both(&self) -> Now {
        Now {
            wall: self.now + 1_000_000_000,
            steady: self.now,
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm per kind of step")]
    async fn step(&mut self, step: Step) {
        self.append_due().await;
        let (place, now) = (self.place, self.both());
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let connection = &mut *transaction;
        match step {
            Step::Publish(specs) => {
                let job = publish_job(&specs, self.now);
                let mut touched = Touched::default();
                let topics = &mut HashMap::new();
                let sequences = publish::apply(connection, topics, &[job], self.now, &mut touched)
                    .await
                    .unwrap();
                transaction.commit().await.unwrap();
                for (sequence, spec) in sequences.concat().into_iter().zip(specs) {
                    match (sequence, spec.delay) {
                        (Some(sequence), None) => {
                            self.published(u64::try_from(sequence).unwrap(), spec);
                        }
                        (None, Some(delay)) => {
                            let nth = self.scheduled.len() as u64 + self.log.len() as u64;
                            self.scheduled.insert((self.now + delay, nth), spec);
                        }
                        told => panic!("{spec:?} was told {told:?}"),
                    }
                }
                return;
            }
            Step::Claim(limit) => {
                let ask = Claim {
                    place,
                    room: Room {
                        count: limit,
                        bytes: usize::MAX,
                        empty: false,
                    },
                    lease: LEASE,
                    filter: Arc::clone(&self.filter),
                };
                let claimed = claim(connection, &ask, now).await.unwrap();
                assert!(claimed.deliveries.len() <= limit);
                for leased in &claimed.deliveries {
                    let (sequence, fence) = (leased.sequence, claimed.fence);
                    let one = Given { sequence, fence };
                    self.model.hand_out(
                        one,
                        leased.attempt,
                        self.now,
                        clock::after(self.now, LEASE),
                    );
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
                // Two jobs of a transaction, each with several verdicts, or one with all of them.
                let jobs: Vec<settle::Job> = verdicts
                    .chunks(verdicts.len().div_ceil(2))
                    .map(|verdicts| {
                        let verdicts = verdicts.iter();
                        settle_job(place, verdicts.map(|(at, verdict)| (given(*at), *verdict)))
                    })
                    .collect();
                let held = settle::apply(connection, &jobs, now, &mut Touched::default())
                    .await
                    .unwrap();
                for ((at, verdict), held) in verdicts.into_iter().zip(held.concat()) {
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
            Step::Redrive(limit, red) => {
                let filter = match red {
                    Some(red) => Filter::new().equals("color", color(red)),
                    None => Filter::new(),
                };
                let step = Redrive {
                    place,
                    after: 0,
                    limit,
                    filter,
                };
                let redriven = redrive(connection, &step, self.now).await.unwrap();
                let wanted = |sequence: u64| red.is_none_or(|red| self.log[&sequence].red == red);
                let expected = self.model.redrive_wanted(limit, wanted);
                assert_eq!(redriven.count as u64, expected);
            }
            Step::Purge => {
                let purged = Purge { place }
                    .apply(connection, now, &mut Touched::default())
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

fn color(red: bool) -> &'static str {
    if red { "red" } else { "blue" }
}

fn publish_job(specs: &[Spec], now: i64) -> publish::Job {
    let rows = specs.iter().map(|spec| {
        let key = spec.key.map(|key| format!("key-{key}"));
        let mut message = message(key.as_deref(), "x");
        message.event = message
            .event
            .with_extension("color", color(spec.red))
            .unwrap();
        message.deliver_at = spec.delay.map(|delay| clock::time(now + delay));
        (topic(), Row::encode(&message).unwrap())
    });
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    publish::Job::new(rows.collect(), oneshot::channel().0, room)
}

fn settle_job(place: Place, verdicts: impl Iterator<Item = (Given, Verdict)>) -> settle::Job {
    let verdict = |verdict| match verdict {
        Verdict::Ack => settle::Verdict::Done,
        Verdict::Reject => settle::Verdict::Rejected("of no use".to_owned()),
        Verdict::Again { due, counted: true } => {
            settle::Verdict::Again(Duration::from_millis(due.unsigned_abs()))
        }
        Verdict::Again { counted: false, .. } => settle::Verdict::Untouched,
    };
    settle::Job {
        subscription: place.subscription,
        verdicts: verdicts
            .map(|(given, of)| (Receipt::new(given.sequence, given.fence), verdict(of)))
            .collect(),
        reply: None,
    }
}

fn play(order: Order, setting: &Setting, steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut run = Run::begin(order, setting).await;
        for step in steps {
            run.step(step).await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn an_ordered_subscription_follows_the_model(setting in setting(), steps in proptest::collection::vec(step(), 1..80)) {
        play(Order::PerKey, &setting, steps);
    }

    #[test]
    fn an_unordered_subscription_follows_the_model(setting in setting(), steps in proptest::collection::vec(step(), 1..40)) {
        play(Order::Unordered, &setting, steps);
    }
}
