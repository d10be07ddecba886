//! The story of one order: its events across services, each under the one that caused it.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One event of an order, as the bus carried it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    /// CloudEvents id.
    pub(crate) id: String,
    /// The event or request that caused it.
    pub(crate) caused_by: Option<String>,
    /// CloudEvents source: the service.
    pub(crate) source: String,
    /// CloudEvents type.
    pub(crate) event_type: String,
    /// When it happened.
    pub(crate) time: DateTime<Utc>,
    /// The business transaction it belongs to.
    pub(crate) transaction_id: Option<String>,
}

/// Steps in causal order.
#[derive(Debug)]
pub(crate) struct Timeline {
    order_id: Uuid,
    transaction_id: String,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    depth: usize,
    step: Step,
    /// Told only where the cause is no event of this story: a request, a webhook.
    outside_cause: Option<String>,
}

impl Timeline {
    /// Arranges the steps of one order: causes before effects, siblings by time.
    pub(crate) fn of(order_id: Uuid, mut steps: Vec<Step>) -> Self {
        steps.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        steps.dedup_by(|a, b| a.id == b.id);
        let transaction_id = steps
            .iter()
            .find_map(|step| step.transaction_id.clone())
            .unwrap_or_default();
        let mut effects: HashMap<String, Vec<Step>> = HashMap::new();
        let mut roots = Vec::new();
        let ids: std::collections::HashSet<String> =
            steps.iter().map(|step| step.id.clone()).collect();
        for step in steps {
            match &step.caused_by {
                Some(cause) if ids.contains(cause) && *cause != step.id => {
                    effects.entry(cause.clone()).or_default().push(step);
                }
                _ => roots.push(step),
            }
        }
        let mut lines = Vec::new();
        let mut stack: Vec<(usize, Step, Option<String>)> = roots
            .into_iter()
            .rev()
            .map(|step| {
                let cause = step.caused_by.clone();
                (0, step, cause)
            })
            .collect();
        while let Some((depth, step, outside_cause)) = stack.pop() {
            let below = effects.remove(&step.id).unwrap_or_default();
            stack.extend(below.into_iter().rev().map(|step| (depth + 1, step, None)));
            lines.push(Line {
                depth,
                step,
                outside_cause,
            });
        }
        Self {
            order_id,
            transaction_id,
            lines,
        }
    }
}

impl Display for Timeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "order {} through the services (transaction {})",
            self.order_id, self.transaction_id
        )?;
        let start = self.lines.iter().map(|line| line.step.time).min();
        for line in &self.lines {
            let after = start.map_or(0, |start| (line.step.time - start).num_milliseconds());
            let branch = if line.depth == 0 {
                String::new()
            } else {
                format!("{}└ ", "  ".repeat(line.depth - 1))
            };
            let what = format!("{branch}{}", line.step.event_type);
            write!(
                f,
                "  +{after:>5} ms  {:<14} {what:<46}",
                line.step.source.trim_start_matches('/')
            )?;
            match &line.outside_cause {
                Some(cause) => writeln!(f, " after {cause}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, Utc};
    use uuid::Uuid;

    use super::{Step, Timeline};

    #[test]
    fn effects_stand_under_their_causes_and_duplicates_once() {
        let now = Utc::now();
        let step = |id: &str, caused_by: &str, after: i64| Step {
            id: id.into(),
            caused_by: Some(caused_by.into()),
            source: "/orders".into(),
            event_type: id.into(),
            time: now + TimeDelta::milliseconds(after),
            transaction_id: Some("t".into()),
        };
        let steps = vec![
            step("paid", "requested", 30),
            step("created", "request 1", 0),
            step("told", "paid", 40),
            step("requested", "request 2", 10),
            step("paid", "requested", 30),
        ];
        let timeline = Timeline::of(Uuid::nil(), steps);
        let told: Vec<_> = timeline
            .lines
            .iter()
            .map(|line| (line.step.id.as_str(), line.depth))
            .collect();
        assert_eq!(
            told,
            [("created", 0), ("requested", 0), ("paid", 1), ("told", 2)]
        );
        assert!(timeline.to_string().contains("after request 2"));
    }
}
