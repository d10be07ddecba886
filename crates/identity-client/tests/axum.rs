//! The principal as an extractor: who passes, and what the others get to read.
#![cfg(feature = "axum")]

mod support;

use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use commerce_identity_client::{Forbidden, Permission, Principal, Verifier};
use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use support::{Key, builder, claims};
use tower::ServiceExt as _;

const CANCEL: Permission = Permission::from_static("orders.order.cancel");

async fn name(principal: Principal) -> String {
    principal.client_id
}

async fn name_if_any(principal: Option<Principal>) -> String {
    principal.map_or("nobody".into(), |principal| principal.client_id)
}

async fn cancel(principal: Principal) -> Result<(), Forbidden> {
    principal.require(&CANCEL)
}

async fn own(principal: Principal) -> Result<String, Forbidden> {
    principal
        .require_organization()
        .map(|organization| organization.to_string())
}

async fn twice(first: Principal, second: Principal) -> String {
    format!("{}", first == second)
}

async fn ask(verifier: &Verifier, path: &str, authorization: &[&str]) -> Response {
    let app = Router::new()
        .route("/name", get(name))
        .route("/name-if-any", get(name_if_any))
        .route("/cancel", get(cancel))
        .route("/own", get(own))
        .route("/twice", get(twice))
        .layer(verifier.layer());
    let mut request = Request::get(path);
    for value in authorization {
        request = request.header(header::AUTHORIZATION, *value);
    }
    app.oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .into(),
    )
    .unwrap()
}

#[tokio::test]
async fn who_has_a_good_token_passes() {
    let key = Key::new("k1");
    let (verifier, token) = (builder(&key).build().unwrap(), key.token(&claims()));
    for value in [format!("Bearer {token}"), format!("bearer  {token}")] {
        for (path, body) in [
            ("/name", "importer"),
            ("/name-if-any", "importer"),
            ("/twice", "true"),
        ] {
            let response = ask(&verifier, path, &[&value]).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(text(response).await, body);
        }
    }
    assert_eq!(
        text(ask(&verifier, "/name-if-any", &[]).await).await,
        "nobody"
    );
}

#[tokio::test]
async fn the_others_get_a_problem_document_and_a_challenge_without_reasons() {
    let (key, stranger) = (Key::new("k1"), Key::new("k1"));
    let verifier = builder(&key).build().unwrap();
    let good = format!("Bearer {}", key.token(&claims()));
    let forged = format!("Bearer {}", stranger.token(&claims()));
    let mut ended = claims();
    ended["exp"] = json!(1);
    let ended = format!("Bearer {}", key.token(&ended));
    let invalid_token = Some(r#"Bearer error="invalid_token""#);
    let invalid_request = Some(r#"Bearer error="invalid_request""#);
    let lacking = Some(r#"Bearer error="insufficient_scope", scope="orders.order.cancel""#);
    let cases: [(&str, &[&str], u16, Option<&str>); 11] = [
        ("/name", &[], 401, Some("Bearer")),
        ("/name", &["Basic aTpi"], 401, Some("Bearer")),
        ("/name", &["Bearer"], 400, invalid_request),
        ("/name", &[&good, &good], 400, invalid_request),
        ("/name", &["Bearer x"], 401, invalid_token),
        ("/name", &[&forged], 401, invalid_token),
        ("/name", &[&ended], 401, invalid_token),
        ("/name-if-any", &[&ended], 401, invalid_token),
        ("/cancel", &[], 401, Some("Bearer")),
        ("/cancel", &[&good], 403, lacking),
        (
            "/own",
            &[&good],
            403,
            Some(r#"Bearer error="insufficient_scope""#),
        ),
    ];
    let mut details = Vec::new();
    for (path, authorization, status, challenge) in cases {
        let response = ask(&verifier, path, authorization).await;
        assert_eq!(response.status(), status, "{path} {authorization:?}");
        let header = |name| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        assert_eq!(
            header(header::WWW_AUTHENTICATE),
            challenge,
            "{path} {authorization:?}"
        );
        assert_eq!(
            header(header::CONTENT_TYPE),
            Some("application/problem+json")
        );
        let problem: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(problem["status"], status);
        if challenge == invalid_token {
            details.push(problem["detail"].clone());
        }
    }
    details.dedup();
    assert_eq!(details.len(), 1, "the reason shows: {details:?}");
}

#[tokio::test]
async fn when_keys_cannot_be_had_the_caller_may_come_again() {
    let key = Key::new("k1");
    // A port that nothing listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let verifier = Verifier::discover(format!("http://{port}"), support::AUDIENCE).unwrap();
    let token = key.token(&support::claims_of(&format!("http://{port}")));
    let response = ask(&verifier, "/name", &[&format!("Bearer {token}")]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn a_forgotten_layer_is_the_services_own_mistake() {
    let app = Router::new().route("/name", get(name));
    let response = app
        .oneshot(Request::get("/name").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
