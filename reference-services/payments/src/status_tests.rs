//! Every way in which the three channels can interleave ends in the provider's own outcome, announced once.

use proptest::prelude::*;

use super::{Report, Status, Step};

/// One thing that reaches the service. What it says depends on how far the provider is by then.
#[derive(Clone, Copy, Debug)]
enum Arrival {
    /// The payment request is handled: the provider is asked for the charge (the same one, however often) and the payment
    /// is stored.
    Request,
    /// The webhook about the beginning; it may come at the very end.
    ProcessingWebhook,
    /// The webhook about the outcome, where the provider has sent it.
    OutcomeWebhook,
    /// The reconciliation looks.
    Reconcile,
    /// The provider settles the charge.
    ProviderSettles,
}

fn arrival() -> impl Strategy<Value = Arrival> {
    prop_oneof![
        Just(Arrival::Request),
        Just(Arrival::ProcessingWebhook),
        Just(Arrival::OutcomeWebhook),
        Just(Arrival::Reconcile),
        Just(Arrival::ProviderSettles),
    ]
}

#[derive(Debug)]
struct World {
    outcome: Report,
    charged: bool,
    settled: bool,
    stored: Option<Status>,
    announced: Vec<Status>,
}

impl World {
    fn provider_says(&self) -> Report {
        if self.settled {
            self.outcome.clone()
        } else {
            Report::Processing
        }
    }

    fn hear(&mut self, report: &Report) {
        // A webhook about a payment that is not stored yet is answered 404 and comes again.
        let Some(status) = self.stored else { return };
        match status.hear(report) {
            Step::Settle(status) => {
                self.stored = Some(status);
                self.announced.push(status);
            }
            Step::Note | Step::Absorb => {}
            Step::Contradict => {
                panic!("a truthful provider was not believed: {status} and then {report:?}")
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Request => {
                self.charged = true;
                self.stored.get_or_insert(Status::Pending);
                self.hear(&self.provider_says());
            }
            Arrival::ProviderSettles => self.settled |= self.charged,
            Arrival::ProcessingWebhook if self.charged => self.hear(&Report::Processing),
            Arrival::OutcomeWebhook if self.settled => self.hear(&self.outcome.clone()),
            Arrival::Reconcile if self.stored.is_some() => self.hear(&self.provider_says()),
            Arrival::ProcessingWebhook | Arrival::OutcomeWebhook | Arrival::Reconcile => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn every_interleaving_ends_in_the_providers_outcome_announced_once(
        rejected: bool, arrivals in proptest::collection::vec(arrival(), 0..40),
    ) {
        let (outcome, expected) = if rejected {
            (Report::Rejected { reason: "no funds".into() }, Status::Rejected)
        } else {
            (Report::Confirmed, Status::Confirmed)
        };
        let mut world = World { outcome, charged: false, settled: false, stored: None, announced: Vec::new() };
        for arrival in arrivals {
            world.arrive(arrival);
        }
        // At least once each: the request is delivered, the provider settles, and one of the channels tells so.
        for arrival in [Arrival::Request, Arrival::ProviderSettles, Arrival::OutcomeWebhook, Arrival::Reconcile] {
            world.arrive(arrival);
        }
        prop_assert_eq!(world.stored, Some(expected));
        prop_assert_eq!(world.announced, vec![expected]);
    }

    #[test]
    fn the_first_outcome_stands_whatever_is_said_later(reports in proptest::collection::vec(0u8..3, 1..30)) {
        let (mut status, mut announced) = (Status::Pending, Vec::new());
        for report in reports {
            let report = match report {
                0 => Report::Processing,
                1 => Report::Confirmed,
                _ => Report::Rejected { reason: String::new() },
            };
            if let Step::Settle(settled) = status.hear(&report) {
                prop_assert_eq!(status, Status::Pending);
                status = settled;
                announced.push(settled);
            }
        }
        prop_assert!(announced.len() <= 1);
        prop_assert_eq!(announced.first().copied().unwrap_or(Status::Pending), status);
    }
}

#[test]
fn a_contradiction_is_not_a_repetition() {
    let rejected = Report::Rejected {
        reason: "no funds".into(),
    };
    assert_eq!(Status::Confirmed.hear(&rejected), Step::Contradict);
    assert_eq!(Status::Rejected.hear(&Report::Confirmed), Step::Contradict);
    assert_eq!(Status::Pending.hear(&Report::Processing), Step::Note);
    assert_eq!(Status::Confirmed.hear(&Report::Processing), Step::Absorb);
}

#[test]
fn the_stored_text_is_read_back() {
    for status in [Status::Pending, Status::Confirmed, Status::Rejected] {
        assert_eq!(status.to_string().parse(), Ok(status));
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
    }
    assert!("pending".parse::<Status>().is_err());
}
