//! The payment provider's API, as this service uses it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use commerce_resilient_client::{
    Authorize, AuthorizeError, BreakerPolicy, Client, Error, ErrorKind, Resource, RetryPolicy,
    Stats,
};
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::payment::{Asked, Payment, method_name};
use crate::status::Report;

/// How the provider says that it has a charge under this idempotency key, asked for in other words.
const KEY_REUSED: &str = "/problems/idempotency-key-reused";

/// The provider.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    client: Client,
}

#[derive(Debug, Serialize)]
struct NewCharge<'a> {
    reference: String,
    amount_minor: i64,
    currency: &'a str,
    method: String,
    installments: u32,
}

/// A charge as the provider shows it; also the data of its webhooks. What it adds one day is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Charge {
    #[serde(rename = "charge_id")]
    pub(crate) id: String,
    /// The payment's id.
    pub(crate) reference: String,
    amount_minor: i64,
    currency: String,
    status: ChargeStatus,
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChargeStatus {
    Confirmed,
    Rejected,
    /// `processing`, and whatever the provider may add on the way to an outcome.
    #[serde(other)]
    Processing,
}

impl Charge {
    /// Whether it is the charge of this payment, for the same amount.
    pub(crate) fn is_of(&self, payment: &Payment) -> bool {
        self.reference == payment.id.to_string()
            && self.id == payment.provider_reference
            && self.amount_minor == payment.amount_minor
            && self.currency == payment.currency
    }

    /// Whether it is a charge for what is asked.
    fn is_for(&self, asked: &Asked) -> bool {
        let amount = asked.request.amount;
        self.reference == asked.id.to_string()
            && self.amount_minor == amount.amount_minor
            && self.currency == amount.currency.code()
    }

    pub(crate) fn report(&self) -> Report {
        match self.status {
            ChargeStatus::Processing => Report::Processing,
            ChargeStatus::Confirmed => Report::Confirmed,
            ChargeStatus::Rejected => Report::Rejected {
                reason: self
                    .reason
                    .clone()
                    .unwrap_or_else(|| "no reason given".to_owned()),
            },
        }
    }
}

/// Why there is no charge.
#[derive(Debug)]
pub(crate) enum NoCharge {
    /// The provider will not make this charge; the customer may try another way.
    Declined { reason: String },
    /// It cannot be known now whether there is one; the same request may be sent again.
    Unknown(Error),
    /// The request itself is wrong, and will be wrong again.
    Wrong(Error),
}

impl Provider {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let client = Client::builder(config.provider_url().as_str())?
            .auth(ApiKey(config.provider_api_key.clone()))
            .timeout(Duration::from_secs(15))
            .attempt_timeout(Duration::from_secs(5))
            // A longer pause is not waited out here: the consumer delivers the event again when it is over.
            .retry(
                RetryPolicy::default()
                    .attempts(3)
                    .longest_retry_after(Duration::from_secs(1)),
            )
            .breaker(BreakerPolicy::default().open_for(Duration::from_secs(2)))
            .keep_entry_for(Duration::from_mins(1))
            .build()?;
        Ok(Self { client })
    }

    /// Asks for the charge. The payment's id is the idempotency key, so that asking again gives the same charge.
    pub(crate) async fn charge(&self, asked: &Asked) -> Result<Charge, NoCharge> {
        let request = &asked.request;
        let id = asked.id.to_string();
        let mut post = self
            .client
            .follow("charges")
            .post(&NewCharge {
                reference: id.clone(),
                amount_minor: request.amount.amount_minor,
                currency: request.amount.currency.code(),
                method: method_name(request.method),
                installments: request.installments,
            })
            .idempotency_key(&id);
        for (name, value) in [
            ("x-transaction-id", &asked.transaction_id),
            ("traceparent", &asked.trace_parent),
        ] {
            if let Some(value) = value {
                post = post.header(name, value);
            }
        }
        match post.send().await.map(Resource::into_data) {
            Ok(charge) => Ok(charge),
            Err(error) if is_of_type(&error, KEY_REUSED) => self.charged_before(asked, error).await,
            Err(error) => Err(classify(error)),
        }
    }

    /// The charge that was made under this payment's key before, by a request that said something else beside the amount:
    /// one of an older version of this program, say. The money is on its way, so it must not count as declined.
    async fn charged_before(&self, asked: &Asked, refused: Error) -> Result<Charge, NoCharge> {
        let found: Result<Resource<serde_json::Value>, Error> = self
            .client
            .follow("charges")
            .with("reference", asked.id)
            .get()
            .await;
        let charges = match found.and_then(|found| found.embedded::<Charge>("charges")) {
            Ok(charges) => charges,
            // It cannot be asked that way: somebody has to look.
            Err(error) if error.kind() == ErrorKind::Link => return Err(NoCharge::Wrong(refused)),
            Err(error) => return Err(classify(error)),
        };
        charges
            .into_iter()
            .map(Resource::into_data)
            .find(|charge| charge.is_for(asked))
            .ok_or(NoCharge::Wrong(refused))
    }

    /// Asks what became of a charge.
    pub(crate) async fn look(&self, charge_id: &str) -> Result<Charge, Error> {
        self.client
            .follow("charge")
            .with("id", charge_id)
            .get()
            .await
            .map(Resource::into_data)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.client.stats()
    }
}

fn is_of_type(error: &Error, problem_type: &str) -> bool {
    error
        .problem()
        .and_then(|problem| problem.problem_type.as_deref())
        .is_some_and(|given| given == problem_type)
}

/// 402 is the provider's judgement on this charge. Another status that no repetition cures means that we ask wrongly, 422
/// as well: the customer is not to be told that a payment was declined which nobody has looked at. Except for 401 and 403:
/// those an operator cures, by giving us the right key.
fn classify(error: Error) -> NoCharge {
    match error.status().map(|status| status.as_u16()) {
        Some(402) => {
            let problem = error.problem();
            let reason = problem
                .and_then(|problem| problem.detail.clone().or_else(|| problem.title.clone()));
            NoCharge::Declined {
                reason: reason.unwrap_or_else(|| "declined by the provider".to_owned()),
            }
        }
        Some(400 | 404..=407 | 410..=424 | 426..=428 | 430..=499) => NoCharge::Wrong(error),
        _ => NoCharge::Unknown(error),
    }
}

struct ApiKey(SecretString);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

#[async_trait]
impl Authorize for ApiKey {
    async fn authorize(&self) -> Result<HeaderValue, AuthorizeError> {
        let bearer = format!("Bearer {}", self.0.expose_secret());
        let mut value = HeaderValue::try_from(bearer).map_err(AuthorizeError::permanent)?;
        value.set_sensitive(true);
        Ok(value)
    }
}
