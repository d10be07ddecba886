//! Asks the provider about payments that have been pending for too long: a webhook may never come.

use std::time::Duration;

use chrono::{SubsecRound as _, TimeDelta, Utc};
use commerce_host::Shutdown;
use commerce_resilient_client::ErrorKind;

use crate::Payments;
use crate::hearing::{self, Heard};
use crate::payment::Payment;
use crate::store;

const BATCH: i64 = 50;
/// After so many in a row that cannot be asked about, it is the provider that is away, not a payment that is odd.
const AWAY: u32 = 3;

/// Looks again and again, until `shutdown`.
pub(crate) async fn run(
    payments: Payments,
    after: Duration,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    // Often enough that "pending for so long" is not twice as long.
    let pause = (after / 4).clamp(Duration::from_millis(50), Duration::from_secs(10));
    while !shutdown.is_requested() {
        round(&payments, after).await?;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.requested() => {}
        }
    }
    Ok(())
}

/// Every payment that is due is asked about, whatever becomes of the others. One that fails goes to the end of the line as
/// well, so that it does not keep those behind it from their turn.
async fn round(payments: &Payments, after: Duration) -> anyhow::Result<()> {
    let before = Utc::now() - TimeDelta::from_std(after)?;
    let mut failed_in_a_row = 0;
    for payment in store::unchecked(&payments.database, before, BATCH).await? {
        match payments.provider.look(&payment.provider_reference).await {
            Ok(charge) => {
                failed_in_a_row = 0;
                match hear(payments, &payment, &charge).await {
                    Ok(heard) => payments.reports.count("reconcile", heard.outcome()),
                    Err(error) => {
                        payments.reports.count("reconcile", "failed");
                        tracing::error!(payment_id = %payment.id, "what the provider reports cannot be taken: {error:#}");
                    }
                }
            }
            // Nothing was asked.
            Err(error) if error.kind() == ErrorKind::CircuitOpen => return Ok(()),
            Err(error) if error.is_retryable() => {
                tracing::debug!(payment_id = %payment.id, %error, "the provider cannot be asked now");
                failed_in_a_row += 1;
            }
            Err(error) => {
                failed_in_a_row = 0;
                payments.reports.count("reconcile", "failed");
                tracing::error!(payment_id = %payment.id, %error, "the provider does not tell about a charge");
            }
        }
        store::checked(&payments.database, payment.id, Utc::now()).await?;
        if failed_in_a_row == AWAY {
            return Ok(());
        }
    }
    Ok(())
}

async fn hear(
    payments: &Payments,
    payment: &Payment,
    charge: &crate::provider::Charge,
) -> anyhow::Result<Heard> {
    let now = Utc::now().trunc_subsecs(6);
    let mut tx = payments.database.begin().await?;
    let heard = hearing::hear(&mut tx, payment, charge, now).await?;
    if let Heard::Settled(announcement) = &heard {
        announcement
            .append(&mut tx, payment, &format!("reconcile-{}", payment.id))
            .await?;
    }
    tx.commit().await?;
    Ok(heard)
}
