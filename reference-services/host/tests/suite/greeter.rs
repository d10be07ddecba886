//! A service with something of everything, for the tests of the host.

use std::time::Duration;

use axum::extract::{Path, Query};
use commerce_host::testing::{Scratch, Tokens, resources};
use commerce_host::{Host, Json, Problem, RequestContext, Running, Service};
use commerce_identity_client::{Permission, Principal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A running host with the greeter on it.
pub(crate) struct Started {
    pub(crate) url: String,
    pub(crate) tokens: Tokens,
    pub(crate) running: Running,
    pub(crate) scratch: Scratch,
}

/// Starts the greeter.
pub(crate) async fn start() -> Started {
    start_with(greeter()).await
}

/// Starts a service.
pub(crate) async fn start_with(service: Service) -> Started {
    let scratch = Scratch::sqlite().unwrap();
    let tokens = Tokens::new().unwrap();
    let mut resources = resources(&scratch, "memory:", &tokens).await.unwrap();
    resources.settings.request_timeout = Duration::from_millis(500);
    resources.settings.drain = Duration::from_secs(2);
    let running = Host::new(resources).mount(service).start().await.unwrap();
    Started {
        url: running.url().to_owned(),
        tokens,
        running,
        scratch,
    }
}

/// The greeter.
pub(crate) fn greeter() -> Service {
    let routes = OpenApiRouter::new()
        .routes(routes!(greet))
        .routes(routes!(read))
        .route("/context", axum::routing::get(context))
        .route("/panic", axum::routing::get(panics))
        .route("/failure", axum::routing::get(fails))
        .route("/slow", axum::routing::get(slow))
        .route("/secret", axum::routing::get(secret));
    Service::new("greeter")
        .title("Greets people")
        .routes(routes)
        .link("greetings", "/greetings{?cursor}")
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Name {
    name: String,
}

#[utoipa::path(post, path = "/greetings", responses((status = 200, body = Name), (status = 422, body = Problem)))]
async fn greet(Json(name): Json<Name>) -> Json<Name> {
    Json(name)
}

#[derive(Deserialize)]
struct Manner {
    #[serde(default)]
    loud: bool,
}

#[utoipa::path(get, path = "/greetings/{number}", params(("number" = u32, Path)), responses((status = 200)))]
async fn read(Path(number): Path<u32>, Query(manner): Query<Manner>) -> String {
    format!("{number} {}", manner.loud)
}

async fn context(context: RequestContext) -> Json<serde_json::Value> {
    Json(serde_json::json!({
        "request_id": context.request_id,
        "transaction_id": context.transaction_id,
        "trace_parent": context.trace_parent,
    }))
}

async fn panics() -> String {
    panic!("a secret")
}

async fn fails() -> Result<String, Problem> {
    Err(anyhow::anyhow!("a secret"))?
}

async fn slow() -> String {
    std::future::pending().await
}

async fn secret(principal: Principal) -> Result<String, Problem> {
    const READ: Permission = Permission::from_static("greeter.secret.read");
    principal.require(&READ)?;
    Ok(principal.require_organization()?.to_string())
}
