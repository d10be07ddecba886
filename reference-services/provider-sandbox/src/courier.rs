//! Delivers webhooks until they are answered with a 2xx.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use commerce_consumer_framework::storage::Error;
use commerce_host::Shutdown;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::Sandbox;
use crate::signature::Signer;

const TICK: Duration = Duration::from_millis(25);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const FIRST_PAUSE_MS: i64 = 200;
const LONGEST_PAUSE_MS: i64 = 10_000;

/// Takes webhooks to where they belong.
#[derive(Clone, Debug)]
pub(crate) struct Courier {
    sandbox: Sandbox,
    http: reqwest::Client,
    signer: Arc<Signer>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
struct Webhook {
    id: Uuid,
    #[sqlx(rename = "webhook_id")]
    message_id: String,
    body: String,
    attempts: i64,
}

impl Courier {
    pub(crate) fn new(sandbox: Sandbox) -> anyhow::Result<Self> {
        let signer = Arc::new(Signer::new(&sandbox.config.webhook_secret)?);
        let http = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            sandbox,
            http,
            signer,
        })
    }

    pub(crate) async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        while !shutdown.is_requested() {
            if self.deliver_due().await? == 0 {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    () = self.sandbox.work.notified() => {}
                    () = shutdown.requested() => {}
                }
            }
        }
        Ok(())
    }

    async fn deliver_due(&self) -> Result<usize, Error> {
        let due: Vec<Webhook> = self
            .sandbox
            .database
            .query("SELECT id, webhook_id, body, attempts FROM webhooks WHERE due_at <= $1 ORDER BY due_at, id LIMIT 32")
            .bind(Utc::now())
            .fetch_all()
            .await?;
        let count = due.len();
        let mut deliveries = JoinSet::new();
        for webhook in due {
            let courier = self.clone();
            deliveries.spawn(async move {
                let delivered = courier.deliver(&webhook).await;
                (webhook, delivered)
            });
        }
        let mut outcomes = Vec::with_capacity(count);
        while let Some(outcome) = deliveries.join_next().await {
            outcomes.extend(outcome.ok());
        }
        if outcomes.is_empty() {
            return Ok(0);
        }
        let mut tx = self.sandbox.database.begin().await?;
        for (webhook, delivered) in outcomes {
            if delivered {
                tx.query("DELETE FROM webhooks WHERE id = $1")
                    .bind(webhook.id)
                    .execute()
                    .await?;
            } else {
                let pause = FIRST_PAUSE_MS
                    .saturating_mul(1 << webhook.attempts.clamp(0, 10))
                    .min(LONGEST_PAUSE_MS);
                tx.query("UPDATE webhooks SET attempts = attempts + 1, due_at = $1 WHERE id = $2")
                    .bind(Utc::now() + TimeDelta::milliseconds(pause))
                    .bind(webhook.id)
                    .execute()
                    .await?;
            }
        }
        tx.commit().await?;
        Ok(count)
    }

    async fn deliver(&self, webhook: &Webhook) -> bool {
        let timestamp = Utc::now().timestamp();
        let answer = self
            .http
            .post(self.sandbox.config.webhook_url())
            .header("content-type", "application/json")
            .header("webhook-id", &webhook.message_id)
            .header("webhook-timestamp", timestamp)
            .header(
                "webhook-signature",
                self.signer
                    .sign(&webhook.message_id, timestamp, &webhook.body),
            )
            .body(webhook.body.clone())
            .send()
            .await;
        match answer {
            Ok(answer) if answer.status().is_success() => true,
            Ok(answer) => {
                tracing::debug!(webhook = webhook.message_id, status = %answer.status(), "a webhook was refused and comes again");
                false
            }
            Err(error) => {
                tracing::debug!(webhook = webhook.message_id, %error, "a webhook could not be delivered and comes again");
                false
            }
        }
    }
}
