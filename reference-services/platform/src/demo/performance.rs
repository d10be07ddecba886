//! One performance of the demo: orders are placed, faults are thrown, everybody is asked what they know.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use commerce_resilient_client::Client;
use tokio::sync::watch;
use uuid::Uuid;

use super::audit::Audit;
use super::faults::{Faults, Thrown};
use super::invariants::{Expected, Ordered, Seen};
use super::orders::OrderDraft;
use super::progress::Progress;
use super::run::Run;
use super::stage::Stage;
use super::{collect, mailbox, placing, shop};

const POLL: Duration = Duration::from_millis(100);
/// The provider goes away when one order in so many is placed.
const STRIKE_AT: usize = 4;

/// Who acts: the shop, and who sets the provider's faults.
pub(crate) struct Actors {
    shop: Client,
    provider: Client,
}

impl Actors {
    /// Connects as the shop of the run; registers it first when it is new.
    pub(crate) async fn enter(stage: &Stage, run: &mut Run, folder: &Path) -> anyhow::Result<Self> {
        let registered = if let Some(known) = run.shop.clone() {
            known
        } else {
            let new = shop::register(stage.url(), run).await?;
            run.shop = Some(new.clone());
            run.save(folder)?;
            new
        };
        Ok(Self {
            shop: shop::connect(
                stage.url(),
                &registered.client_id,
                &registered.client_secret,
            )?,
            provider: shop::connect_provider(stage.provider_url(), &run.secrets.provider_api_key)?,
        })
    }
}

/// One performance: who plays, and for how long at most.
pub(crate) struct Performance<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) actors: &'a Actors,
    pub(crate) faults: Option<&'a Faults>,
    pub(crate) audit: Audit,
    pub(crate) deadline: Duration,
}

/// What was asked for, and what was seen.
pub(crate) struct Outcome {
    pub(crate) expected: Expected,
    pub(crate) seen: Seen,
    pub(crate) elapsed: Duration,
    pub(crate) duplicates: u64,
    pub(crate) retries: u64,
    pub(crate) thrown: Option<Thrown>,
    pub(crate) audit: Audit,
}

/// How far the performance is, for those who play at the same time.
struct Course {
    /// The faults that need a moment of their own are thrown.
    struck: AtomicBool,
    /// Every customer is told, or the time is up: nothing is to be expected any more.
    over: AtomicBool,
}

impl Performance<'_> {
    /// Places the orders, waits for what becomes of them, and asks everybody what they know.
    pub(crate) async fn play(
        self,
        orders: &[OrderDraft],
        every_fault_must_hit: bool,
    ) -> anyhow::Result<Outcome> {
        let (stage, actors) = (self.stage, self.actors);
        if let Some(faults) = self.faults {
            faults.begin(&actors.provider).await?;
        }
        let started = Instant::now();
        let (placed, placing) = watch::channel(0);
        let course = Course {
            struck: AtomicBool::new(self.faults.is_none()),
            over: AtomicBool::new(false),
        };
        let (placed_before, settled, ()) = tokio::try_join!(
            placing::place_all(&actors.shop, orders, &placed),
            self.settle(orders.len(), &course),
            self.strike_at(orders.len().div_ceil(STRIKE_AT), placing, &course),
        )?;
        let elapsed = started.elapsed();
        if !settled {
            let deadline = self.deadline;
            eprintln!("not everything was settled within {deadline:?}: checking what there is");
        }
        self.audit.catch_up(stage.bus()).await?;
        let thrown = match self.faults {
            Some(faults) => Some(faults.thrown(&actors.provider).await?),
            None => None,
        };
        let seen = Seen {
            orders: collect::orders(&actors.shop).await?,
            payments: collect::payments(&actors.shop).await?,
            ledger: collect::ledger(&actors.provider).await?,
            mails: collect::mails(&actors.shop, &stage.mailbox()).await?,
            prepared: self.audit.prepared(),
            dead_letters: stage.dead_letters().await?,
            thrown: thrown.filter(|_| every_fault_must_hit),
        };
        let counted = stage.counted();
        Ok(Outcome {
            expected: orders.iter().map(expected).collect(),
            seen,
            elapsed,
            duplicates: placed_before + counted.duplicates,
            retries: counted.retries + actors.shop.stats().retries,
            thrown,
            audit: self.audit,
        })
    }

    /// Throws the faults that need a moment of their own once so many orders are placed: most are then still to be paid.
    async fn strike_at(
        &self,
        orders: usize,
        mut placing: watch::Receiver<usize>,
        course: &Course,
    ) -> anyhow::Result<()> {
        if let Some(faults) = self.faults {
            placing.wait_for(|placed| *placed >= orders).await?;
            let provider = &self.actors.provider;
            faults.strike(self.stage, provider, &course.over).await?;
            course.struck.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Waits until every order is settled, every customer told and nothing is under way. False when the time was up first.
    async fn settle(&self, orders: usize, course: &Course) -> anyhow::Result<bool> {
        let progress = Progress::begin("settling orders", orders);
        let started = Instant::now();
        let mut quiet = 0;
        let mailbox = self.stage.mailbox();
        while started.elapsed() < self.deadline {
            let told = mailbox::read(&mailbox).await?.len();
            course.over.store(told >= orders, Ordering::SeqCst);
            let thrown = course.struck.load(Ordering::SeqCst);
            let note = if thrown && self.faults.is_some() {
                "the provider went away, consumers crash"
            } else {
                ""
            };
            progress.at(
                told.min(orders),
                &format!("{} paid {note}", self.audit.paid()),
            );
            if thrown && told >= orders && !self.stage.is_busy(&self.actors.shop).await? {
                quiet += 1;
                // Twice in a row: between two looks an event may have been on its way from an outbox to the bus.
                if quiet == 2 {
                    progress.end("all settled");
                    return Ok(true);
                }
            } else {
                quiet = 0;
            }
            tokio::time::sleep(POLL).await;
        }
        course.over.store(true, Ordering::SeqCst);
        progress.end("time is up");
        Ok(false)
    }
}

fn expected(draft: &OrderDraft) -> (Uuid, Ordered) {
    let ordered = Ordered {
        total: draft.total_cents(),
        email: draft.request.customer.email.clone(),
    };
    (draft.request.order_id, ordered)
}
