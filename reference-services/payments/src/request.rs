//! Handles an order's request to be paid.

use chrono::{SubsecRound as _, Utc};
use commerce_consumer_framework::{Begin, Emit, Event, Failure, Metadata, State};
use commerce_contracts::commerce::PaymentRequested;

use crate::Payments;
use crate::hearing::{self, Heard};
use crate::payment::Asked;
use crate::provider::NoCharge;
use crate::store;

/// Asks the provider for the charge, then stores the payment. The provider is asked before the transaction begins: a slow
/// provider holds no lock, and asking again after a crash gives the same charge.
pub(crate) async fn request_payment(
    event: Event<PaymentRequested>,
    State(payments): State<Payments>,
    metadata: Metadata,
    begin: Begin,
) -> Result<Emit, Failure> {
    let asked = Asked::new(event.0, &metadata);
    let charged = match payments.provider.charge(&asked).await {
        Ok(charge) => Ok(charge),
        Err(NoCharge::Declined { reason }) => Err(reason),
        Err(NoCharge::Unknown(error)) => {
            let wait = error.retry_after().unwrap_or_default();
            return Err(Failure::retry(error).after(wait));
        }
        Err(NoCharge::Wrong(error)) => return Err(Failure::reject(error)),
    };
    let reference = charged.as_ref().map_or("", |charge| charge.id.as_str());

    let now = Utc::now().trunc_subsecs(6);
    let mut tx = begin.transaction().await?;
    store::insert(&mut tx, &asked, reference, now).await?;
    let payment = store::find_in(&mut tx, asked.id.as_uuid()).await?;
    let payment = payment
        .filter(|payment| payment.is_for(&asked))
        .ok_or_else(|| {
            Failure::reject(format!(
                "attempt {} of this order was requested before, for another amount",
                asked.request.attempt
            ))
        })?;
    let heard = match charged {
        Ok(charge) => hearing::hear(&mut tx, &payment, &charge, now).await,
        Err(reason) => hearing::decline(&mut tx, &payment, reason, now).await,
    }
    .map_err(Failure::retry)?;
    payments.reports.count("request", heard.outcome());
    match heard {
        Heard::Settled(announcement) => announcement.emit(),
        Heard::Noted | Heard::Absorbed | Heard::Contradicted => Ok(Emit::nothing()),
        Heard::Mismatched => Err(Failure::reject(
            "the provider answered with another charge than the one asked for",
        )),
    }
}
