//! The provider's HTTP API.

use axum::extract::{Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use commerce_host::hal::Resource;
use commerce_host::{Json, Problem};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::Sandbox;
use crate::charge::{self, Charge, NewCharge, Taken};
use crate::counts::Counted;
use crate::faults::{Fate, Faults};
use crate::ledger::{self, Entry};

/// A key as long as this serves every caller; a longer one is a mistake.
const LONGEST_KEY: usize = 255;
const METHODS: [&str; 5] = ["pix", "boleto", "credit_card", "debit_card", "voucher"];

pub(crate) fn routes(sandbox: Sandbox) -> OpenApiRouter {
    let faulty = OpenApiRouter::new()
        .routes(routes!(create_charge, find_charges))
        .routes(routes!(get_charge))
        .layer(middleware::from_fn_with_state(sandbox.clone(), misbehave));
    OpenApiRouter::new()
        .merge(faulty)
        .routes(routes!(get_ledger))
        .routes(routes!(get_faults, put_faults))
        .routes(routes!(get_counts))
        .layer(middleware::from_fn_with_state(
            sandbox.clone(),
            authenticate,
        ))
        .with_state(sandbox)
}

async fn authenticate(State(sandbox): State<Sandbox>, request: Request, next: Next) -> Response {
    let presented = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let expected = sandbox.config.api_key.expose_secret();
    if bool::from(presented.as_bytes().ct_eq(expected.as_bytes())) {
        return next.run(request).await;
    }
    Problem::new(StatusCode::UNAUTHORIZED)
        .detail("the API key is missing or wrong")
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        .into_response()
}

/// Lets the request meet its fate.
async fn misbehave(State(sandbox): State<Sandbox>, request: Request, next: Next) -> Response {
    let latency = sandbox.faults.latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match sandbox.faults.fate() {
        Fate::Served => next.run(request).await,
        Fate::Out(left) => {
            sandbox.counts.refused();
            let seconds = u32::try_from(left.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
            Problem::unavailable("the provider is out of service", seconds).into_response()
        }
        Fate::FailsBefore => broken(&sandbox),
        Fate::FailsAfter => {
            // The caller learns nothing of what was done.
            drop(next.run(request).await);
            broken(&sandbox)
        }
    }
}

fn broken(sandbox: &Sandbox) -> Response {
    sandbox.counts.error();
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
        .detail("something broke at the provider")
        .into_response()
}

/// Takes a charge.
#[utoipa::path(
    post,
    path = "/charges",
    request_body = NewCharge,
    params(("Idempotency-Key" = String, Header, description = "The same key and body give the same charge")),
    responses((status = 201, body = Charge), (status = 200, description = "Taken before", body = Charge), (status = 422, description = "Refused, or the key was used for another charge"))
)]
async fn create_charge(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    Json(asked): Json<NewCharge>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    check(&asked)?;
    let taken = charge::take(&sandbox, &key, asked)
        .await
        .map_err(|error| Problem::internal(&error))?;
    let (status, charge) = match taken {
        Taken::Created(charge) => (StatusCode::CREATED, charge),
        Taken::Again(charge) => (StatusCode::OK, charge),
        Taken::KeyReused => {
            return Err(
                Problem::unprocessable("this Idempotency-Key was used for another charge")
                    .kind("/problems/idempotency-key-reused")
                    .title("Idempotency-Key used for another charge"),
            );
        }
    };
    let location = format!("/charges/{}", charge.id);
    let location = [(header::LOCATION, location)];
    Ok((status, location, represent(charge)).into_response())
}

/// Which charges.
#[derive(Debug, Deserialize, IntoParams)]
struct Wanted {
    /// The caller's own name for them.
    reference: String,
}

/// How many charges were found; they are embedded as `charges`.
#[derive(Debug, Serialize, ToSchema)]
struct Found {
    count: usize,
}

/// The charges of a reference: one, unless something went wrong.
#[utoipa::path(get, path = "/charges", params(Wanted), responses((status = 200, body = Found)))]
async fn find_charges(
    State(sandbox): State<Sandbox>,
    Query(wanted): Query<Wanted>,
) -> Result<Resource<Found>, Problem> {
    let charges = charge::of_reference(&sandbox, &wanted.reference)
        .await
        .map_err(|error| Problem::internal(&error))?;
    let count = charges.len();
    let charges: Vec<_> = charges.into_iter().map(represent).collect();
    Ok(Resource::new(Found { count }).embed("charges", charges))
}

/// The charge, and what became of it.
#[utoipa::path(get, path = "/charges/{id}", params(("id" = Uuid, Path)), responses((status = 200, body = Charge), (status = 404)))]
async fn get_charge(
    State(sandbox): State<Sandbox>,
    Path(id): Path<String>,
) -> Result<Resource<Charge>, Problem> {
    let unknown = || Problem::not_found("there is no such charge");
    let id = Uuid::parse_str(&id).map_err(|_| unknown())?;
    let charge = charge::find(&sandbox, id)
        .await
        .map_err(|error| Problem::internal(&error))?;
    charge.map(represent).ok_or_else(unknown)
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
struct Page {
    /// The last reference of the page before.
    cursor: Option<String>,
}

/// A page of the ledger.
#[derive(Debug, Serialize, ToSchema)]
struct Ledger {
    entries: Vec<Entry>,
}

/// What was charged, by reference.
#[utoipa::path(get, path = "/ledger", params(Page), responses((status = 200, body = Ledger)))]
async fn get_ledger(
    State(sandbox): State<Sandbox>,
    Query(page): Query<Page>,
) -> Result<Resource<Ledger>, Problem> {
    let cursor = page.cursor.unwrap_or_default();
    let entries = ledger::page(&sandbox, &cursor)
        .await
        .map_err(|error| Problem::internal(&error))?;
    let next = entries.get(ledger::PAGE - 1).map(|last| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("cursor", &last.reference)
            .finish();
        format!("/ledger?{query}")
    });
    Ok(Resource::new(Ledger { entries })
        .link("self", "/ledger")
        .link_if("next", next))
}

/// What goes wrong at present.
#[utoipa::path(get, path = "/faults", responses((status = 200, body = Faults)))]
async fn get_faults(State(sandbox): State<Sandbox>) -> Json<Faults> {
    Json(sandbox.faults.get())
}

/// Replaces what goes wrong; an outage begins now.
#[utoipa::path(put, path = "/faults", request_body = Faults, responses((status = 200, body = Faults), (status = 422)))]
async fn put_faults(
    State(sandbox): State<Sandbox>,
    Json(faults): Json<Faults>,
) -> Result<Json<Faults>, Problem> {
    faults.check()?;
    tracing::info!(?faults, "faults were set");
    sandbox.faults.set(faults);
    Ok(Json(sandbox.faults.get()))
}

/// How often each fault happened since the sandbox was started.
#[utoipa::path(get, path = "/faults/counts", responses((status = 200, body = Counted)))]
async fn get_counts(State(sandbox): State<Sandbox>) -> Json<Counted> {
    Json(sandbox.counts.get())
}

fn represent(charge: Charge) -> Resource<Charge> {
    let href = format!("/charges/{}", charge.id);
    Resource::new(charge).link("self", href)
}

/// The header's value: a quoted string as the draft asks, or bare as many providers take it.
fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let value = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok())
        .map(|value| value.trim().trim_matches('"'))
        .unwrap_or_default();
    if value.is_empty() || value.len() > LONGEST_KEY {
        return Err(Problem::bad_request(
            "the header Idempotency-Key is missing, empty or longer than 255 characters",
        ));
    }
    Ok(value.to_owned())
}

fn check(asked: &NewCharge) -> Result<(), Problem> {
    let mut wrong: Vec<(&str, String)> = Vec::new();
    if asked.reference.is_empty() || asked.reference.len() > LONGEST_KEY {
        wrong.push(("/reference", "1 to 255 characters".into()));
    }
    if asked.amount_minor <= 0 {
        wrong.push(("/amount_minor", "more than zero".into()));
    }
    if asked.currency.len() != 3
        || !asked
            .currency
            .bytes()
            .all(|letter| letter.is_ascii_uppercase())
    {
        wrong.push(("/currency", "an ISO 4217 code such as BRL".into()));
    }
    if !METHODS.contains(&asked.method.as_str()) {
        wrong.push(("/method", format!("one of {}", METHODS.join(", "))));
    }
    if asked.installments == 0 {
        wrong.push(("/installments", "at least 1".into()));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.into_iter().fold(
        Problem::unprocessable("the charge is refused"),
        |problem, (pointer, detail)| problem.at(pointer, detail),
    ))
}
