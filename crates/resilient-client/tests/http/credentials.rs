//! Credentials: where they go, and what happens when they are refused.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use commerce_resilient_client::{Authorize, AuthorizeError, ErrorKind};
use http::HeaderValue;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::server::{hasty, on};

/// Hands out `token-1`, and the next one whenever the present one is refused.
#[derive(Debug)]
struct Tokens(AtomicUsize);

impl Tokens {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(1)))
    }
}

#[async_trait]
impl Authorize for Tokens {
    async fn authorize(&self) -> Result<HeaderValue, AuthorizeError> {
        let mut value =
            HeaderValue::try_from(format!("token-{}", self.0.load(Ordering::SeqCst))).unwrap();
        value.set_sensitive(true);
        Ok(value)
    }

    async fn rejected(&self, refused: &HeaderValue) {
        if self
            .authorize()
            .await
            .is_ok_and(|current| current == *refused)
        {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[derive(Debug)]
struct NoTokens;

#[async_trait]
impl Authorize for NoTokens {
    async fn authorize(&self) -> Result<HeaderValue, AuthorizeError> {
        Err(AuthorizeError::permanent("unknown client"))
    }
}

#[tokio::test]
async fn credentials_and_headers_stay_at_home() {
    let (home, away) = (MockServer::start().await, MockServer::start().await);
    let links = json!({"_links": {"away": {"href": away.uri()}, "home": {"href": "/home"}}});
    on(
        &home,
        "GET",
        "/",
        ResponseTemplate::new(200).set_body_json(links),
    )
    .await;
    on(
        &home,
        "GET",
        "/home",
        ResponseTemplate::new(302).insert_header("location", away.uri()),
    )
    .await;
    on(
        &away,
        "GET",
        "/",
        ResponseTemplate::new(200).set_body_json(json!(1)),
    )
    .await;
    let client = hasty(&home.uri())
        .auth(Tokens::new())
        .headers_from(|headers| {
            headers.insert("x-transaction-id", HeaderValue::from_static("t-1"));
        })
        .build()
        .unwrap();

    for rel in ["away", "home"] {
        let request = client
            .follow(rel)
            .request(http::Method::GET)
            .header("x-own", "1");
        request.send::<u8>().await.unwrap();
    }

    let names = ["authorization", "x-transaction-id", "x-own"];
    for request in away.received_requests().await.unwrap() {
        assert!(
            names
                .iter()
                .all(|name| !request.headers.contains_key(*name)),
            "{:?}",
            request.headers
        );
    }
    let at_home = home.received_requests().await.unwrap();
    let last = at_home.last().unwrap();
    assert_eq!(
        (
            &last.headers["authorization"],
            &last.headers["x-transaction-id"]
        ),
        (&"token-1".parse().unwrap(), &"t-1".parse().unwrap())
    );
    assert_eq!(last.headers["x-own"], "1");
    assert!(
        !at_home[0].headers.contains_key("x-own"),
        "the entry point was not what the header was meant for"
    );
}

#[tokio::test]
async fn an_address_the_caller_names_gets_the_callers_headers_but_not_the_credentials() {
    let away = MockServer::start().await;
    on(
        &away,
        "POST",
        "/token",
        ResponseTemplate::new(200).set_body_json(json!("t")),
    )
    .await;
    let client = hasty("http://home.invalid")
        .auth(Tokens::new())
        .build()
        .unwrap();
    let target = format!("{}/token", away.uri());

    let own = client
        .at(&target)
        .post_form([("grant_type", "client_credentials")]);
    own.header("authorization", "Basic abc")
        .repeatable()
        .send::<String>()
        .await
        .unwrap();
    client
        .at(&target)
        .post_empty()
        .send::<String>()
        .await
        .unwrap();

    let requests = away.received_requests().await.unwrap();
    assert_eq!(requests[0].headers["authorization"], "Basic abc");
    assert!(!requests[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let server = MockServer::start().await;
    Mock::given(matchers::header("authorization", "token-2"))
        .respond_with(ResponseTemplate::new(204))
        .mount(&server)
        .await;
    on(&server, "POST", "/", ResponseTemplate::new(401)).await;
    let client = hasty(&server.uri()).auth(Tokens::new()).build().unwrap();

    // Not even a write without a key is in danger: what was refused was not done.
    client.entry().post(&json!({})).send::<()>().await.unwrap();

    let stats = client.stats();
    assert_eq!(
        (stats.attempts, stats.reauthorizations, stats.retries),
        (2, 1, 0)
    );
}

#[tokio::test]
async fn a_second_refusal_is_final() {
    let server = MockServer::start().await;
    on(&server, "GET", "/", ResponseTemplate::new(401)).await;
    let client = hasty(&server.uri()).auth(Tokens::new()).build().unwrap();
    let error = client.entry().get::<Value>().await.unwrap_err();
    assert_eq!(
        (error.status().unwrap().as_u16(), error.attempts()),
        (401, 2)
    );

    let anonymous = hasty(&server.uri()).build().unwrap();
    assert_eq!(
        anonymous
            .entry()
            .get::<Value>()
            .await
            .unwrap_err()
            .attempts(),
        1
    );
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let server = MockServer::start().await;
    let client = hasty(&server.uri()).auth(NoTokens).build().unwrap();
    let error = client.entry().get::<Value>().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (ErrorKind::Authorize, false)
    );
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

#[test]
fn debug_shows_no_secrets() {
    let client = hasty("https://shop.example/?key=secret").build().unwrap();
    let request = client
        .entry()
        .post(&"secret")
        .header("authorization", "secret");
    let shown = format!("{client:?} {request:?}");
    assert!(
        shown.contains("shop.example") && !shown.contains("secret"),
        "{shown}"
    );
}
