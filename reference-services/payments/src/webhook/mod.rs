//! The provider's webhooks.

mod signature;

use axum::body::Bytes;
use axum::extract::State;
use chrono::{SubsecRound as _, Utc};
use commerce_host::{Problem, json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub use self::signature::InvalidSecret;
use self::signature::Refused;
pub(crate) use self::signature::Verifier;
use crate::Payments;
use crate::hearing::{self, Heard};
use crate::provider::Charge;
use crate::store;

/// Where the provider sends its webhooks.
pub const PATH: &str = "/webhooks/payment-provider";

pub(crate) fn routes() -> OpenApiRouter<Payments> {
    OpenApiRouter::new().routes(routes!(receive))
}

/// The envelope of every webhook.
#[derive(Debug, Deserialize)]
struct Webhook {
    #[serde(rename = "type")]
    kind: String,
    data: serde_json::Value,
}

/// Takes a signed webhook (Standard Webhooks) from the payment provider.
///
/// Anything but 2xx makes the provider send it again: also 404, for the news of a charge may arrive before the payment is
/// stored.
#[utoipa::path(
    post,
    path = "/webhooks/payment-provider",
    tag = "webhooks",
    params(
        ("webhook-id" = String, Header),
        ("webhook-timestamp" = i64, Header, description = "Seconds since 1970"),
        ("webhook-signature" = String, Header, description = "v1,<base64 of HMAC-SHA256>, several separated by spaces"),
    ),
    request_body(content = Object, description = "type, timestamp and data, as the provider documents them"),
    responses(
        (status = 204, description = "Taken, or known already, or about something else"),
        (status = 400, body = Problem, description = "Headers missing, or not JSON"),
        (status = 401, body = Problem, description = "Forged, or too old"),
        (status = 404, body = Problem, description = "No such payment (yet)"),
        (status = 409, body = Problem, description = "Not the charge of this payment"),
        (status = 422, body = Problem, description = "JSON, but not what the provider documents"),
    )
)]
async fn receive(
    State(payments): State<Payments>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let webhook_id = payments
        .webhooks
        .verify(&headers, &body, Utc::now())
        .map_err(refuse)?;
    let webhook: Webhook = json::parse(&body)?;
    if !webhook.kind.starts_with("charge.") {
        tracing::debug!(
            webhook_id,
            kind = webhook.kind,
            "a webhook about something else"
        );
        return Ok(StatusCode::NO_CONTENT);
    }
    let charge: Charge = serde_json::from_value(webhook.data).map_err(|error| {
        Problem::unprocessable("the data is not a charge").at("/data", error.to_string())
    })?;
    hear(&payments, webhook_id, &charge).await
}

async fn hear(
    payments: &Payments,
    webhook_id: &str,
    charge: &Charge,
) -> Result<StatusCode, Problem> {
    let unknown = || {
        payments.reports.count("webhook", "unknown");
        Problem::not_found("there is no payment with this reference (yet)")
    };
    let id = Uuid::parse_str(&charge.reference).map_err(|_| unknown())?;
    let mut tx = payments.database.begin().await?;
    let payment = store::find_in(&mut tx, id).await?.ok_or_else(unknown)?;
    let heard = hearing::hear(&mut tx, &payment, charge, Utc::now().trunc_subsecs(6)).await?;
    if let Heard::Settled(announcement) = &heard {
        announcement.append(&mut tx, &payment, webhook_id).await?;
    }
    tx.commit().await?;
    payments.reports.count("webhook", heard.outcome());
    match heard {
        Heard::Mismatched => Err(Problem::conflict(
            "this is not the charge of the payment it refers to",
        )),
        // A contradiction does not become true by repetition: it is logged, and the webhook is done with.
        Heard::Settled(_) | Heard::Noted | Heard::Absorbed | Heard::Contradicted => {
            Ok(StatusCode::NO_CONTENT)
        }
    }
}

fn refuse(refused: Refused) -> Problem {
    tracing::warn!(%refused, "a webhook was refused");
    match refused {
        Refused::Headers => Problem::bad_request(refused.to_string()),
        Refused::Time | Refused::Signature => Problem::new(StatusCode::UNAUTHORIZED)
            .detail(refused.to_string())
            .header(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("StandardWebhooks"),
            ),
    }
}
