//! Takes what the provider reports to the payment it is about, and announces the outcome: the one way a payment changes.

use chrono::{DateTime, Utc};
use commerce_consumer_framework::storage::Transaction;
use commerce_consumer_framework::{Emit, Failure, outbox};
use commerce_contracts::commerce::{PaymentConfirmed, PaymentRejected};
use commerce_event_bus::Message;

use crate::payment::Payment;
use crate::provider::Charge;
use crate::status::{Report, Status, Step};
use crate::store;

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The payment has its outcome, to be announced.
    Settled(Announcement),
    /// The provider is still working on it.
    Noted,
    /// It came again or too late: the payment had its outcome.
    Absorbed,
    /// The provider takes back what it said; nothing was changed.
    Contradicted,
    /// The charge is not the one of this payment, or for another amount; nothing was changed.
    Mismatched,
}

impl Heard {
    /// For metrics and logs.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Settled(_) => "settled",
            Self::Noted => "noted",
            Self::Absorbed => "absorbed",
            Self::Contradicted => "contradicted",
            Self::Mismatched => "mismatched",
        }
    }
}

/// The event about an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Announcement {
    Confirmed(PaymentConfirmed),
    Rejected(PaymentRejected),
}

impl Announcement {
    /// For a handler to return.
    pub(crate) fn emit(&self) -> Result<Emit, Failure> {
        match self {
            Self::Confirmed(event) => Emit::event(event),
            Self::Rejected(event) => Emit::event(event),
        }
    }

    /// Stores the event in the transaction, tied to the payment's business transaction and to what caused it.
    pub(crate) async fn append(
        &self,
        tx: &mut Transaction,
        payment: &Payment,
        cause: &str,
    ) -> anyhow::Result<()> {
        let mut message = match self {
            Self::Confirmed(event) => Message::of(event)?,
            Self::Rejected(event) => Message::of(event)?,
        };
        message.event = message.event.with_causation_id(cause)?;
        if let Some(id) = &payment.transaction_id {
            message.event = message.event.with_transaction_id(id)?;
        }
        // The order's own trace goes on, not the one of the request that happened to bring the news.
        if let Some(trace) = &payment.trace_parent {
            message.event = message.event.with_trace_parent(trace)?;
        }
        Ok(outbox::append(tx, &message).await?)
    }
}

/// Applies a report about `charge` to `payment`.
pub(crate) async fn hear(
    tx: &mut Transaction,
    payment: &Payment,
    charge: &Charge,
    now: DateTime<Utc>,
) -> anyhow::Result<Heard> {
    if !charge.is_of(payment) {
        tracing::error!(payment_id = %payment.id, charge_id = charge.id, "the provider reports a charge that is not this payment's");
        return Ok(Heard::Mismatched);
    }
    let report = charge.report();
    match payment.status.hear(&report) {
        Step::Note => Ok(Heard::Noted),
        Step::Absorb => Ok(Heard::Absorbed),
        Step::Contradict => {
            tracing::error!(payment_id = %payment.id, status = %payment.status, ?report, "the provider contradicts itself; the first outcome stands");
            Ok(Heard::Contradicted)
        }
        Step::Settle(status) => settle(tx, payment, status, &report, now).await,
    }
}

/// Settles a payment that the provider refused to charge at all.
pub(crate) async fn decline(
    tx: &mut Transaction,
    payment: &Payment,
    reason: String,
    now: DateTime<Utc>,
) -> anyhow::Result<Heard> {
    let report = Report::Rejected { reason };
    match payment.status.hear(&report) {
        Step::Settle(status) => settle(tx, payment, status, &report, now).await,
        Step::Note => Ok(Heard::Noted),
        Step::Absorb => Ok(Heard::Absorbed),
        Step::Contradict => Ok(Heard::Contradicted),
    }
}

async fn settle(
    tx: &mut Transaction,
    payment: &Payment,
    status: Status,
    report: &Report,
    now: DateTime<Utc>,
) -> anyhow::Result<Heard> {
    let reason = match report {
        Report::Rejected { reason } => Some(reason.as_str()),
        Report::Processing | Report::Confirmed => None,
    };
    if !store::settle(tx, payment.id, status, reason, now).await? {
        return Ok(Heard::Absorbed);
    }
    tracing::info!(payment_id = %payment.id, order_id = %payment.order_id, %status, reason, "payment settled");
    let (organization_id, order_id, payment_id) = (
        payment.organization_id.into(),
        payment.order_id.into(),
        payment.id.into(),
    );
    let (attempt, amount) = (u32::try_from(payment.attempt)?, payment.amount()?);
    let provider_reference = payment.provider_reference.clone();
    Ok(Heard::Settled(match reason {
        Some(reason) => Announcement::Rejected(PaymentRejected {
            organization_id,
            order_id,
            payment_id,
            attempt,
            amount,
            reason: reason.to_owned(),
            provider_reference,
            rejected_at: now,
        }),
        None => Announcement::Confirmed(PaymentConfirmed {
            organization_id,
            order_id,
            payment_id,
            attempt,
            amount,
            provider_reference,
            confirmed_at: now,
        }),
    }))
}
