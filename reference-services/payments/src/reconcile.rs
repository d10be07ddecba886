//! Asks the provider about payments that have been pending for too long: a webhook may never come.

use std::time::Duration;

use chrono::{SubsecRound as _, TimeDelta, Utc};
use commerce_host::Shutdown;

use crate::Payments;
use crate::hearing::{self, Heard};
use crate::payment::Payment;
use crate::store;

const BATCH: i64 = 50;

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

async fn round(payments: &Payments, after: Duration) -> anyhow::Result<()> {
    let before = Utc::now() - TimeDelta::from_std(after)?;
    for payment in store::unchecked(&payments.database, before, BATCH).await? {
        let charge = match payments.provider.look(&payment.provider_reference).await {
            Ok(charge) => charge,
            // The provider is away or slow: so it would be for the others.
            Err(error) if error.is_retryable() => {
                tracing::debug!(%error, "the provider cannot be asked now");
                return Ok(());
            }
            Err(error) => {
                tracing::error!(payment_id = %payment.id, %error, "the provider does not tell about a charge");
                store::checked(&payments.database, payment.id, Utc::now()).await?;
                continue;
            }
        };
        let heard = hear(payments, &payment, &charge).await?;
        payments.reports.count("reconcile", heard.outcome());
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
    store::checked(&payments.database, payment.id, now).await?;
    Ok(heard)
}
