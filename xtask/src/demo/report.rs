//! The demo's report, as `--json` prints it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// Every key that the demo promises.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    orders: u64,
    by_state: BTreeMap<String, u64>,
    /// Present, whatever it holds.
    #[serde(rename = "payments")]
    _payments: Value,
    notifications: u64,
    duplicates_absorbed: u64,
    retries: u64,
    lost: u64,
    violations: Vec<Value>,
    rejected_rows: Vec<Value>,
    throughput_per_s: f64,
    latency_ms: Latency,
}

#[derive(Debug, Deserialize)]
struct Latency {
    p50: Option<f64>,
    p99: Option<f64>,
}

impl Report {
    pub(super) fn read(output: &str) -> Result<Self> {
        serde_json::from_str(output.trim())
            .context("it did not print its report as one JSON object")
    }

    pub(super) fn check(&self, expected_orders: Option<u64>) -> Result<()> {
        ensure!(
            self.violations.is_empty(),
            "its invariants do not hold: {}",
            Value::from(self.violations.clone())
        );
        ensure!(self.lost == 0, "{} orders were lost", self.lost);
        if let Some(expected) = expected_orders {
            ensure!(
                self.orders == expected,
                "{} orders came through of {expected}; rejected rows: {}",
                self.orders,
                Value::from(self.rejected_rows.clone())
            );
        }
        Ok(())
    }

    pub(super) fn summary(&self) -> String {
        let states: Vec<String> = self
            .by_state
            .iter()
            .map(|(state, number)| format!("{state} {number}"))
            .collect();
        let milliseconds =
            |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.0} ms"));
        format!(
            "{} orders ({}), {} told, {} duplicates absorbed, {} retries, {:.1}/s, p50 {}, p99 {}",
            self.orders,
            states.join(", "),
            self.notifications,
            self.duplicates_absorbed,
            self.retries,
            self.throughput_per_s,
            milliseconds(self.latency_ms.p50),
            milliseconds(self.latency_ms.p99)
        )
    }
}
