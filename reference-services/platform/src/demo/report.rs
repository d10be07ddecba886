//! What the demo tells at its end: for people as text, for programs as one JSON object.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;

use super::faults::Thrown;
use super::invariants::{PaymentSeen, Violation};
use super::orders::olist::RejectedRow;
use super::timeline::Timeline;

/// The outcome of one demo.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Orders imported.
    pub(crate) orders: usize,
    /// Orders by state.
    pub(crate) by_state: BTreeMap<String, usize>,
    /// Payments by state, and the money.
    pub(crate) payments: Payments,
    /// Messages that customers received.
    pub(crate) notifications: usize,
    /// Deliveries, webhooks and requests that came again and changed nothing.
    pub(crate) duplicates_absorbed: u64,
    /// Attempts after the first: deliveries and HTTP requests.
    pub(crate) retries: u64,
    /// Orders accepted that are missing or were never settled.
    pub(crate) lost: usize,
    /// Invariants that do not hold.
    pub(crate) violations: Vec<Violation>,
    /// Rows of the dataset that were left out.
    pub(crate) rejected_rows: Vec<RejectedRow>,
    /// Settled orders per second, from the first request to the last outcome.
    pub(crate) throughput_per_s: f64,
    /// From the order's creation to its payment.
    pub(crate) latency_ms: Latency,
    /// What was thrown at it.
    pub(crate) faults: Option<Thrown>,
    /// The story of one order.
    #[serde(skip)]
    pub(crate) timeline: Option<Timeline>,
    /// What outlives the demo, and where it is.
    pub(crate) left_behind: Vec<String>,
}

/// Payments by state.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Payments {
    /// Paid.
    pub(crate) confirmed: usize,
    /// Refused by the provider.
    pub(crate) rejected: usize,
    /// Still without an answer.
    pub(crate) pending: usize,
    /// Sum of the confirmed ones, in cents.
    pub(crate) confirmed_minor: i64,
}

/// Percentiles in milliseconds; absent where no paid order was seen from beginning to end.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Latency {
    /// Median.
    pub p50: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

impl Payments {
    /// Counts payments by state.
    pub(crate) fn of(payments: &[PaymentSeen]) -> Self {
        let mut counted = Self::default();
        for payment in payments {
            match payment.status.as_str() {
                "CONFIRMED" => {
                    counted.confirmed += 1;
                    counted.confirmed_minor += payment.amount;
                }
                "REJECTED" => counted.rejected += 1,
                _ => counted.pending += 1,
            }
        }
        counted
    }
}

impl Latency {
    /// Nearest-rank percentiles.
    pub(crate) fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        let rank = |percent: usize| {
            let index = (samples.len() * percent).div_ceil(100).checked_sub(1)?;
            Some(samples.get(index)?.as_secs_f64() * 1_000.0)
        };
        Self {
            p50: rank(50),
            p99: rank(99),
        }
    }
}

impl Report {
    /// Whether every invariant holds.
    pub(crate) fn is_sound(&self) -> bool {
        self.violations.is_empty() && self.lost == 0
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let states: Vec<_> = self
            .by_state
            .iter()
            .map(|(state, count)| format!("{state} {count}"))
            .collect();
        let paid = &self.payments;
        if let Some(timeline) = &self.timeline {
            writeln!(f, "{timeline}")?;
        }
        writeln!(
            f,
            "orders               {} ({})",
            self.orders,
            states.join(", ")
        )?;
        writeln!(
            f,
            "payments             {} confirmed (BRL {}.{:02}), {} rejected, {} pending",
            paid.confirmed,
            paid.confirmed_minor / 100,
            paid.confirmed_minor % 100,
            paid.rejected,
            paid.pending
        )?;
        writeln!(f, "customers told       {}", self.notifications)?;
        match &self.faults {
            Some(thrown) => writeln!(f, "faults               {thrown}")?,
            None => writeln!(f, "faults               none")?,
        }
        writeln!(f, "duplicates absorbed  {}", self.duplicates_absorbed)?;
        writeln!(f, "retries              {}", self.retries)?;
        writeln!(
            f,
            "throughput           {:.1} orders/s",
            self.throughput_per_s
        )?;
        if let (Some(p50), Some(p99)) = (self.latency_ms.p50, self.latency_ms.p99) {
            writeln!(f, "order to paid        p50 {p50:.0} ms, p99 {p99:.0} ms")?;
        }
        for row in &self.rejected_rows {
            writeln!(
                f,
                "row left out         {}:{}: {}",
                row.file, row.line, row.reason
            )?;
        }
        for left in &self.left_behind {
            writeln!(f, "left behind          {left}")?;
        }
        for violation in &self.violations {
            writeln!(f, "VIOLATED             {violation}")?;
        }
        if self.is_sound() {
            write!(
                f,
                "every order settled, paid to the cent, prepared once, each customer told exactly once, nothing lost"
            )
        } else {
            write!(
                f,
                "{} orders lost, {} invariants violated",
                self.lost,
                self.violations.len()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Latency;

    #[test]
    fn percentiles_are_nearest_rank() {
        let latency = Latency::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!((latency.p50, latency.p99), (Some(100.0), Some(198.0)));
        assert_eq!(Latency::of(Vec::new()).p50, None);
    }
}
