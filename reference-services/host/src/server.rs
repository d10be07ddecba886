//! The HTTP side of a host: all services' routes, and what every request passes through.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use http::{HeaderValue, header};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{SwaggerUi, Url};

use crate::health::{self, Health};
use crate::http::fallback;
use crate::http::hal::{Link, Resource};
use crate::http::{context, problem::Problem};
use crate::resources::Resources;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::requests;

/// The largest request body, in bytes.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// What one service adds to the server.
pub(crate) struct Routes {
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) router: OpenApiRouter,
    pub(crate) links: Vec<(String, Link)>,
}

/// Puts all services behind one router.
pub(crate) fn router(services: Vec<Routes>, health: Arc<Health>, resources: &Resources) -> Router {
    let metrics = resources.metrics.clone();
    let mut links = Vec::new();
    let mut documents = Vec::new();
    let mut router = Router::new();
    for service in services {
        let (own, openapi) = service.router.split_for_parts();
        router = router.merge(own);
        links.extend(service.links);
        // Swagger UI wants names that live as long as the process; so do the services.
        let name: &'static str = service.name.clone().leak();
        let path: &'static str = format!("/openapi/{name}.json").leak();
        documents.push((Url::new(name, path), describe(openapi, name, service.title)));
    }
    router
        .route("/", get(entry_point).with_state(Arc::new(links)))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready).with_state(health))
        .route("/metrics", get(scrape).with_state(metrics.clone()))
        .merge(SwaggerUi::new("/docs").urls(documents))
        .layer(resources.verifier.layer())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(fallback::panicked))
        .layer(middleware::from_fn_with_state(
            resources.settings.request_timeout,
            fallback::limit_time,
        ))
        .layer(middleware::from_fn(fallback::describe))
        .layer(middleware::from_fn_with_state(metrics, requests::observe))
        .layer(middleware::from_fn(context::identify))
}

fn describe(mut openapi: OpenApi, name: &str, title: Option<String>) -> OpenApi {
    openapi.info.title = title.unwrap_or_else(|| name.to_owned());
    env!("CARGO_PKG_VERSION").clone_into(&mut openapi.info.version);
    // What utoipa fills in describes the crate that made the document, not the service.
    openapi.info.description = None;
    openapi.info.license = None;
    openapi.info.contact = None;
    openapi
}

/// `GET /`: links to everything that can be done here.
async fn entry_point(State(links): State<Arc<Vec<(String, Link)>>>) -> Response {
    let mut entry = Resource::new(serde_json::Map::new())
        .link("self", "/")
        .link(
            "health",
            Link::to("/health/ready").title("Whether the services are ready"),
        )
        .link(
            "metrics",
            Link::to("/metrics").title("Measurements for Prometheus"),
        )
        .link(
            "docs",
            Link::to("/docs/").title("The APIs, to read and to try"),
        );
    for (relation, link) in links.iter() {
        entry = entry.link(relation, link.clone());
    }
    entry.into_response()
}

/// `GET /metrics`, in Prometheus' text format.
async fn scrape(State(metrics): State<Metrics>) -> Result<Response, Problem> {
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok((
        [(header::CONTENT_TYPE, TEXT)],
        metrics
            .render()
            .map_err(|error| Problem::internal(&error))?,
    )
        .into_response())
}
