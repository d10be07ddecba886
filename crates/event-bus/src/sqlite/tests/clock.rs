//! A clock that somebody sets while processes share a file, and while none has it open.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use sqlx::{Connection, SqliteConnection};
use tokio::time::{Instant, timeout};

use super::file::raw;
use super::{directory, message, name, topic};
use crate::backend::{Backend, Incoming, Settlement};
use crate::clock::Clock;
use crate::filter::Filter;
use crate::sqlite::claim::Claim;
use crate::sqlite::clock::{FileClock, Millis};
use crate::sqlite::config::Config;
use crate::sqlite::desk::{Place, Room};
use crate::sqlite::{Sqlite, backlog, schema};
use crate::subscription::Subscription;

const LEASE: Duration = Duration::from_secs(1);
const HOUR: Millis = 60 * 60 * 1000;

async fn open(path: &Path, clock: &Clock) -> Sqlite {
    let url = format!("{}?poll=20ms", path.display());
    Sqlite::connect(&url, clock.clone()).await.unwrap()
}

async fn place(bus: &Sqlite) -> Place {
    backlog::find(&bus.shared, "test", &topic(), &name())
        .await
        .unwrap()
}

/// Claims the only message, as a process does that is killed before it extends its lease.
async fn claim_and_die(bus: &Sqlite) {
    let claim = Claim {
        place: place(bus).await,
        room: Room {
            count: 1,
            bytes: usize::MAX,
            empty: true,
        },
        lease: LEASE,
        filter: Arc::new(Filter::new()),
    };
    let claimed = bus.shared.work(claim).await.unwrap();
    assert_eq!(claimed.deliveries.len(), 1);
}

/// The next delivery to a new member.
async fn next(bus: &Sqlite) -> Incoming {
    let mut feed = bus.subscribe(subscription()).await.unwrap();
    let received = timeout(Duration::from_secs(30), feed.receive()).await;
    let incoming = received.expect("it comes").unwrap().unwrap();
    let settled = feed
        .settler()
        .settle(
            incoming.receipt,
            Settlement::Reject {
                reason: "seen".to_owned(),
            },
        )
        .await;
    settled.unwrap();
    incoming
}

/// By how much the file's clock is ahead of the wall's.
async fn ahead(path: &Path) -> Millis {
    let ahead = sqlx::query_scalar("SELECT ahead FROM clock");
    ahead.fetch_one(&mut raw(path).await).await.unwrap()
}

fn subscription() -> Subscription {
    Subscription::new(topic(), name()).lease(LEASE)
}

/// A file with one message and a subscription to it.
async fn begin(path: &Path, clock: &Clock) -> Sqlite {
    let bus = open(path, clock).await;
    bus.subscribe(subscription()).await.unwrap().close().await;
    bus.publish(vec![message(Some("a"), "1")])
        .await
        .remove(0)
        .unwrap();
    bus
}

#[tokio::test]
async fn the_lease_of_a_dead_process_ends_when_it_would_have() {
    for hours in [6, -6] {
        let directory = directory();
        let path = directory.path().join("bus.db");
        let clock = Clock::new();
        let bus = begin(&path, &clock).await;
        let claimed = Instant::now();
        claim_and_die(&bus).await;
        clock.set_ahead(TimeDelta::hours(hours));
        assert_eq!(next(&bus).await.attempt, 2);
        let waited = claimed.elapsed();
        assert!(waited >= LEASE, "{hours} h: {waited:?}");
        // What is told of times is told by the wall's clock.
        let letters = bus.dead_letters(&topic(), &name(), 1).await.unwrap();
        let (first, last) = (letters[0].first_failed_at, letters[0].rejected_at);
        let ago = |time: DateTime<Utc>| (clock.now() - time).abs();
        assert!(ago(last) < TimeDelta::minutes(1), "{hours} h: {last}");
        assert!(ago(first) < TimeDelta::minutes(1), "{hours} h: {first}");
        bus.close(Duration::from_secs(5)).await.unwrap();
    }
}

#[tokio::test]
async fn a_clock_set_back_while_nobody_is_there_keeps_no_lease_alive() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let clock = Clock::new();
    let bus = begin(&path, &clock).await;
    claim_and_die(&bus).await;
    bus.close(Duration::from_secs(5)).await.unwrap();
    clock.set_ahead(-TimeDelta::hours(6));
    let bus = open(&path, &clock).await;
    assert_eq!(next(&bus).await.attempt, 2);
    bus.close(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn who_comes_after_the_clock_was_set_takes_nothing_out_of_hands() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let clock = Clock::new();
    let bus = begin(&path, &clock).await;
    let mut feed = bus.subscribe(subscription()).await.unwrap();
    let held = feed.receive().await.unwrap().unwrap();
    for hours in [6, -6, 0] {
        let before = ahead(&path).await;
        clock.set_ahead(TimeDelta::hours(hours));
        // It is noticed by who looks every 20 ms, whether or not a lease is due to be extended.
        let noticed = async {
            while (ahead(&path).await - before).abs() < HOUR {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let noticed = timeout(Duration::from_secs(30), noticed).await;
        noticed.expect("the jump is noticed");
        let other = open(&path, &clock).await;
        let mut others = other.subscribe(subscription()).await.unwrap();
        let taken = timeout(LEASE * 2, others.receive()).await;
        assert!(taken.is_err(), "{hours} h: {taken:?}");
        others.close().await;
        other.close(Duration::from_secs(5)).await.unwrap();
    }
    let settled = feed.settler().settle(held.receipt, Settlement::Ack).await;
    settled.unwrap();
}

#[tokio::test]
async fn what_is_for_later_follows_the_time_of_day() {
    let directory = directory();
    let path = directory.path().join("bus.db");
    let clock = Clock::new();
    let bus = open(&path, &clock).await;
    let mut feed = bus.subscribe(subscription()).await.unwrap();
    let mut late = message(Some("a"), "1");
    late.deliver_at = Some(clock.now() + TimeDelta::hours(5));
    bus.publish(vec![late]).await.remove(0).unwrap();
    for ahead in [0, -1, 4] {
        clock.set_ahead(TimeDelta::hours(ahead));
        let early = timeout(Duration::from_millis(200), feed.receive()).await;
        assert!(early.is_err(), "{ahead} h ahead: {early:?}");
    }
    clock.set_ahead(TimeDelta::hours(5));
    let received = timeout(Duration::from_secs(10), feed.receive()).await;
    let incoming = received.expect("it is due").unwrap().unwrap();
    assert_eq!(incoming.attempt, 1);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The wall's clock is set, by so many minutes.
    Set(i64),
    /// A process writes, and reaches the file or not.
    Write { process: usize, committed: bool },
    /// A process ends, and another opens the file.
    Restart(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let process = 0..3_usize;
    prop_oneof![
        2 => (-10_000..10_000_i64).prop_map(Step::Set),
        5 => (process.clone(), proptest::bool::weighted(0.8))
            .prop_map(|(process, committed)| Step::Write { process, committed }),
        1 => process.prop_map(Step::Restart),
    ]
}

struct Processes {
    wall: Clock,
    connection: SqliteConnection,
    clocks: Vec<FileClock>,
}

impl Processes {
    async fn begin(path: &Path) -> Self {
        let config = Config::parse(&path.display().to_string()).unwrap();
        let mut connection = schema::open_writer(&config).await.unwrap();
        let wall = Clock::new();
        let mut clocks = Vec::new();
        for _ in 0..3 {
            clocks.push(
                FileClock::open(wall.clone(), &mut connection)
                    .await
                    .unwrap(),
            );
        }
        Self {
            wall,
            connection,
            clocks,
        }
    }

    async fn write(&mut self, process: usize, committed: bool) -> Millis {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let clock = &self.clocks[process];
        let reached = clock.begin(&mut transaction).await.unwrap();
        if committed {
            transaction.commit().await.unwrap();
            clock.committed(&reached);
        } else {
            transaction.rollback().await.unwrap();
        }
        reached.now.steady
    }

    async fn play(&mut self, steps: Vec<Step>) {
        let begun = (Instant::now(), self.write(0, true).await);
        // Who has written since the clock was set.
        let mut known = [true; 3];
        for step in steps {
            match step {
                Step::Set(minutes) => {
                    // Everybody looks several times a second, so nobody misses that it was set once.
                    let unaware = known.iter().enumerate().filter(|(_, known)| !**known);
                    for (process, _) in unaware {
                        self.write(process, true).await;
                    }
                    self.wall.set_ahead(TimeDelta::minutes(minutes));
                    known = [false; 3];
                }
                Step::Write { process, committed } => {
                    let shown = self.write(process, committed).await;
                    let passed = i64::try_from(begun.0.elapsed().as_millis()).unwrap();
                    let off = (shown - begun.1 - passed).abs();
                    // A minute is the least that the clock is set by, and most of the time it is hours.
                    assert!(off < 20_000, "{step:?}: {off} ms off");
                    known[process] |= committed;
                }
                // Who opens the file before anybody noticed cannot know.
                Step::Restart(process) if known.contains(&true) => {
                    let clock = FileClock::open(self.wall.clone(), &mut self.connection).await;
                    self.clocks[process] = clock.unwrap();
                    known[process] = true;
                }
                Step::Restart(_) => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    #[test]
    fn the_files_clock_goes_on_whatever_becomes_of_the_walls(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = directory();
            let mut processes = Processes::begin(&directory.path().join("bus.db")).await;
            processes.play(steps).await;
        });
    }
}
