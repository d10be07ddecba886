//! The delivery contract as a suite: what a backend must do to be one.
//!
//! Give it a [`Factory`] that connects to your backend; it runs the cases that the backend's
//! [capabilities](crate::Capabilities) claim. Each case uses a topic of its own, so cases run side by side on one server.
//!
//! In tests, each case by its name:
//!
//! ```
//! # use async_trait::async_trait;
//! # use commerce_event_bus::{Error, EventBus, conformance::Factory};
//! struct Mine;
//!
//! #[async_trait]
//! impl Factory for Mine {
//!     async fn connect(&self) -> Result<EventBus, Error> {
//!         Ok(EventBus::memory())
//!     }
//! }
//!
//! commerce_event_bus::conformance_tests!(Mine);
//! ```
//!
//! Or all of them at once, with a report:
//!
//! ```
//! # use async_trait::async_trait;
//! # use commerce_event_bus::{Error, EventBus, conformance::{self, Factory}};
//! # struct Mine;
//! # #[async_trait]
//! # impl Factory for Mine {
//! #     async fn connect(&self) -> Result<EventBus, Error> { Ok(EventBus::memory()) }
//! # }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Error> {
//! let report = conformance::run(&Mine).await?;
//! assert!(report.passed(), "{report}");
//! # Ok(())
//! # }
//! ```

mod choosing;
mod clock;
mod crash;
mod dead_letters;
mod delivery;
mod failure;
mod groups;
mod interruption;
mod later;
mod lifecycle;
mod order;
mod publishing;
mod report;
mod stage;

use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout};

use crate::bus::EventBus;
use crate::capabilities::Capabilities;
use crate::clock::Clock;
use crate::error::Error;
use crate::name::{SubscriptionName, TopicName};

pub use crash::hold_until_killed;
pub use failure::Failure;
pub use report::{Outcome, Report, Verdict};
use stage::Stage;

/// Connects the suite to a backend.
#[async_trait]
pub trait Factory: Send + Sync {
    /// A connection of its own. Where the backend claims `durable` or `multi_process`, all connections of one factory
    /// lead to the same place.
    async fn connect(&self) -> Result<EventBus, Error>;

    /// How long a step that must happen may take. Raise it for brokers that rebalance slowly.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }

    /// How long the suite watches for something that must not happen.
    fn watch(&self) -> Duration {
        Duration::from_millis(300)
    }

    /// Whether servers fail while the suite runs: a node is killed, say. What was settled may come again then, as the
    /// contract allows, and the suite looks past it.
    fn is_disturbed(&self) -> bool {
        false
    }

    /// Puts bytes that are no event on a topic, past the bus. `false` when the backend has no such way; the case about
    /// undecodable bytes is then not run, and says so.
    async fn put_bytes(&self, topic: &TopicName, bytes: Bytes) -> Result<bool, Failure> {
        let _ = (topic, bytes);
        Ok(false)
    }

    /// A connection whose broker can be made unreachable, for the cases about interruptions. `None` when there is no way;
    /// the cases are then not run, and say so.
    async fn connect_breakable(&self) -> Result<Option<(EventBus, Box<dyn Interruption>)>, Error> {
        Ok(None)
    }

    /// A connection whose broker can be killed and started again with its data, for the cases about restarts:
    /// [`interrupt`](Interruption::interrupt) does both, and returns when the broker answers again. `None` when there is no
    /// way; the cases are then not run, and say so.
    async fn connect_restartable(
        &self,
    ) -> Result<Option<(EventBus, Box<dyn Interruption>)>, Error> {
        Ok(None)
    }

    /// So many connections to one place, which take this clock for the time of day, for the cases about clocks that are set.
    /// A place of their own, where the clock of one would be felt by those with another. `None` when there is no way; the
    /// cases are then not run, and say so.
    async fn connect_with_clock(
        &self,
        clock: &Clock,
        connections: usize,
    ) -> Result<Option<Vec<EventBus>>, Error> {
        let _ = (clock, connections);
        Ok(None)
    }

    /// A command whose process calls [`hold_until_killed`] with a factory that leads to the same place, for the case about
    /// a crash between handling and ack: this test program once more, say, with the name of the test that calls it. The
    /// suite adds environment variables, and kills it. `None` when there is no way; the case is then not run, and says so.
    fn process_to_kill(&self) -> Option<Command> {
        None
    }

    /// Takes away the place where the dead letters of a subscription go, past the bus (deletes the queue, say). `false` when
    /// there is no way; the case is then not run, and says so.
    async fn lose_dead_letters(
        &self,
        topic: &TopicName,
        name: &SubscriptionName,
    ) -> Result<bool, Failure> {
        let _ = (topic, name);
        Ok(false)
    }
}

/// Makes a broker unreachable for a moment.
#[async_trait]
pub trait Interruption: Send + Sync {
    /// Breaks the connection that came with this, refuses new ones for about a second, and then lets them through again.
    async fn interrupt(&self);

    /// From now on holds back what the broker says, while what is said to it still arrives: confirms are lost. The next
    /// [`interrupt`](Self::interrupt) ends it. `false` when there is no way; the case is then not run, and says so.
    async fn hold_answers(&self) -> bool {
        false
    }
}

type Running<'stage> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'stage>>;

/// One case.
pub struct Case {
    name: &'static str,
    claims: &'static [&'static str],
    run: for<'stage> fn(&'stage Stage<'stage>) -> Running<'stage>,
}

impl Case {
    /// What the case is called: a sentence about the backend.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The capabilities that a backend must claim for the case to apply.
    pub const fn claims(&self) -> &'static [&'static str] {
        self.claims
    }

    /// Runs the case on connections of the factory.
    pub async fn run(&self, factory: &dyn Factory) -> Outcome {
        let started = Instant::now();
        let verdict = self.judge(factory).await;
        Outcome::new(self.name, verdict, started.elapsed())
    }

    async fn judge(&self, factory: &dyn Factory) -> Verdict {
        let bus = match factory.connect().await {
            Ok(bus) => bus,
            Err(error) => return Verdict::Failed(Failure::from(error).to_string()),
        };
        if let Some(missing) = missing_claim(self.claims, bus.capabilities()) {
            return Verdict::NotClaimed(missing);
        }
        let stage = Stage::new(factory, bus);
        let within = factory.patience() * 3;
        let verdict = match timeout(within, (self.run)(&stage)).await {
            Ok(Ok(())) => Verdict::Passed,
            Ok(Err(failure)) => match failure.needs() {
                Some(needs) => Verdict::NotClaimed(needs),
                None => Verdict::Failed(failure.to_string()),
            },
            Err(_) => Verdict::Failed(format!("not over after {within:?}")),
        };
        stage.leave().await;
        verdict
    }
}

fn missing_claim(needed: &[&'static str], capabilities: Capabilities) -> Option<&'static str> {
    let claims = capabilities.claims();
    let claimed = |name: &str| claims.iter().any(|(claim, yes)| *claim == name && *yes);
    needed.iter().copied().find(|name| !claimed(name))
}

/// Every case, one after the other.
///
/// # Errors
///
/// When the factory does not connect: there is no backend to report on.
pub async fn run(factory: &dyn Factory) -> Result<Report, Error> {
    run_at_once(factory, 1).await
}

/// Every case, several at a time: against a server most of their time is waiting.
///
/// # Errors
///
/// When the factory does not connect: there is no backend to report on.
pub async fn run_at_once(factory: &dyn Factory, at_once: usize) -> Result<Report, Error> {
    let bus = factory.connect().await?;
    let (backend, capabilities) = (bus.backend().name(), bus.capabilities());
    // Nothing is in flight on it.
    let _ = bus.close(Duration::ZERO).await;
    let outcomes = futures_util::stream::iter(CASES)
        .map(|case| case.run(factory))
        .buffer_unordered(at_once.max(1))
        .collect()
        .await;
    Ok(Report::new(backend, capabilities, outcomes))
}

/// One case by its name.
///
/// # Panics
///
/// When there is no case of this name.
pub async fn run_case(factory: &dyn Factory, name: &str) -> Outcome {
    let case = CASES.iter().find(|case| case.name == name);
    case.unwrap_or_else(|| panic!("there is no case {name:?}"))
        .run(factory)
        .await
}

/// The list of cases, handed to another macro: the one place where a case is registered.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($callback:ident, $($context:tt)*) => {
        $crate::$callback! {
            { $($context)* }
            publishing::attributes_and_data_survive [],
            publishing::no_data_and_empty_data_differ [],
            publishing::a_large_payload_survives [],
            publishing::a_batch_reports_every_entry [],
            publishing::positions_are_told [positions],
            publishing::many_publishers_at_once_lose_nothing [],
            publishing::binary_headers_survive [],
            publishing::an_oversize_message_is_refused [],
            publishing::a_message_at_the_limit_survives [],
            publishing::a_refused_entry_hides_no_other [],
            publishing::a_deadline_is_kept [],
            publishing::what_nobody_would_get_is_not_accepted [],
            publishing::a_closed_bus_gives_the_message_back [],
            delivery::every_subscription_sees_every_message [],
            delivery::members_share_the_messages [],
            delivery::what_was_acked_stays_away [],
            delivery::a_retry_is_the_next_attempt [],
            delivery::a_retry_is_never_early [],
            delivery::a_dropped_delivery_comes_back [],
            delivery::what_was_unsettled_at_close_comes_back [],
            delivery::settlements_come_in_any_order [],
            delivery::another_task_settles [],
            delivery::waiting_can_be_cancelled [],
            delivery::no_more_in_flight_than_agreed [],
            delivery::no_more_bytes_in_flight_than_agreed [],
            delivery::a_slow_consumer_holds_no_more_than_agreed [],
            delivery::when_it_was_first_seen_stays [],
            delivery::batches_are_taken_and_settled [],
            delivery::a_delivery_is_kept_beyond_its_lease [multi_process],
            delivery::unordered_runs_one_key_in_parallel [],
            delivery::earliest_sees_what_came_before [replay],
            delivery::latest_sees_only_what_comes_after [],
            delivery::a_receipt_settles_once [fenced],
            delivery::a_receipt_taken_over_is_refused [fenced],
            choosing::what_is_not_claimed_is_refused [],
            choosing::a_filter_passes_what_it_wants [filters],
            choosing::what_is_not_wanted_is_settled [filters],
            choosing::a_subscription_begins_at_a_time [seek],
            choosing::a_subscription_begins_at_a_position [seek positions],
            choosing::a_pattern_follows_its_topics [patterns],
            later::a_delayed_message_is_never_early [delayed],
            later::delayed_messages_come_in_the_order_they_are_due [delayed],
            later::what_is_overdue_comes_at_once [delayed],
            later::a_delayed_message_survives_its_publisher [delayed durable],
            order::keys_keep_their_order [ordered],
            order::a_key_waits_for_its_retry [ordered],
            order::a_waiting_key_delays_no_other [ordered],
            order::a_dropped_delivery_keeps_its_place [ordered],
            order::members_come_and_go_and_order_stays [ordered],
            order::without_a_key_nothing_waits [ordered],
            groups::who_joins_or_leaves_takes_no_work_out_of_hands [ordered],
            dead_letters::what_is_rejected_is_kept [dead_letters],
            dead_letters::a_rejected_head_frees_its_key [dead_letters ordered],
            dead_letters::each_subscription_has_its_own [dead_letters],
            dead_letters::redrive_keeps_the_order_per_key [dead_letters ordered],
            dead_letters::a_redriven_message_starts_again [dead_letters],
            dead_letters::reasons_outlive_a_redrive [dead_letters],
            dead_letters::redrive_takes_what_the_filter_wants [dead_letters filters],
            dead_letters::redrive_keeps_its_rate [dead_letters],
            dead_letters::a_rejection_outlives_the_loss_of_its_place [dead_letters],
            dead_letters::redrive_takes_the_oldest_first [dead_letters],
            dead_letters::purge_forgets [dead_letters],
            dead_letters::undecodable_bytes_are_kept_as_they_are [dead_letters],
            lifecycle::the_backlog_is_counted [exact_backlog],
            lifecycle::the_backlog_tells_its_age [backlog_age],
            lifecycle::check_tells_that_it_works [],
            lifecycle::close_ends_every_subscriber [],
            lifecycle::close_waits_for_what_is_in_flight [],
            lifecycle::what_is_in_flight_at_close_may_publish [],
            lifecycle::close_tells_what_was_left [],
            lifecycle::close_flushes_what_is_being_published [],
            interruption::an_interruption_loses_nothing [],
            interruption::what_is_held_through_an_interruption_settles_or_comes_again [],
            interruption::a_lost_confirm_is_no_acceptance [],
            interruption::a_restart_of_the_broker_loses_nothing [durable],
            interruption::order_outlasts_a_restart_of_the_broker [durable ordered],
            interruption::what_is_held_through_a_restart_settles_or_comes_again [durable],
            interruption::what_waits_outlasts_a_restart [durable delayed dead_letters],
            clock::a_clock_set_forward_takes_no_work_out_of_hands [],
            clock::a_clock_set_back_takes_no_work_out_of_hands [],
            clock::what_is_for_later_outlasts_a_clock_that_is_set [delayed],
            crash::what_a_killed_process_held_comes_again [durable multi_process],
            lifecycle::messages_survive_a_new_connection [durable],
            lifecycle::progress_survives_a_new_connection [durable],
            lifecycle::attempts_survive_a_new_connection [durable durable_attempts],
            lifecycle::a_retry_survives_a_new_connection [durable durable_retry],
            lifecycle::connections_share_a_subscription [multi_process],
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_table {
    ({} $($group:ident::$case:ident [$($claim:ident)*],)*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$(Case {
            name: stringify!($case),
            claims: &[$(stringify!($claim)),*],
            run: |stage| Box::pin($group::$case(stage)),
        }),*];
    };
}

__conformance_cases!(__conformance_table,);

/// One `#[tokio::test]` per case of the suite, for a [`Factory`](crate::conformance::Factory) made by the expression.
/// Arguments after it go to `#[tokio::test(…)]`.
#[macro_export]
macro_rules! conformance_tests {
    ($factory:expr $(, $($tokio:tt)*)?) => {
        $crate::__conformance_cases! { __conformance_test, ($factory) ($($($tokio)*)?) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test {
    ({ $factory:tt $tokio:tt } $($group:ident::$case:ident [$($claim:ident)*],)*) => {
        $( $crate::__conformance_test!(@one $factory $tokio $case); )*
    };
    (@one ($factory:expr) ($($tokio:tt)*) $case:ident) => {
        #[::tokio::test($($tokio)*)]
        async fn $case() {
            let outcome = $crate::conformance::run_case(&$factory, stringify!($case)).await;
            println!("{outcome}");
            assert!(!outcome.failed(), "{outcome}");
        }
    };
}
