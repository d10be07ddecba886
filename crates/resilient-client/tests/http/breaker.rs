//! The circuit as a caller sees it.

use std::{error::Error, time::Duration};

use commerce_resilient_client::{BreakerPolicy, ErrorKind, RetryPolicy};
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::server::{first, hasty, on};

fn policy() -> BreakerPolicy {
    BreakerPolicy::default()
        .minimum_calls(4)
        .probes(1)
        .open_for(Duration::from_millis(300))
}

#[tokio::test]
async fn opens_says_until_when_and_recovers() {
    let server = MockServer::start().await;
    first(&server, 4, "GET", "/", ResponseTemplate::new(500)).await;
    on(
        &server,
        "GET",
        "/",
        ResponseTemplate::new(200).set_body_json(json!(1)),
    )
    .await;
    let client = hasty(&server.uri())
        .breaker(policy())
        .retry(RetryPolicy::none())
        .build()
        .unwrap();

    for _ in 0..4 {
        assert_eq!(
            client.entry().get::<Value>().await.unwrap_err().kind(),
            ErrorKind::Status
        );
    }
    let error = client.entry().get::<Value>().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::CircuitOpen, 0)
    );
    assert!(
        error.is_retryable() && error.to_string().contains("the circuit is open until 20"),
        "{error}"
    );
    let stats = client.stats();
    assert_eq!(
        (
            stats.attempts,
            stats.breaker_opens,
            stats.breaker_rejections
        ),
        (4, 1, 1)
    );

    tokio::time::sleep(error.retry_after().unwrap()).await;
    assert_eq!(client.entry().get::<u8>().await.unwrap().into_data(), 1);
    assert_eq!(client.entry().get::<u8>().await.unwrap().into_data(), 1);
}

#[tokio::test]
async fn one_origins_circuit_is_not_anothers() {
    let (down, up) = (MockServer::start().await, MockServer::start().await);
    on(&down, "GET", "/", ResponseTemplate::new(500)).await;
    on(
        &up,
        "GET",
        "/",
        ResponseTemplate::new(200).set_body_json(json!(1)),
    )
    .await;
    let client = hasty(&down.uri()).breaker(policy()).build().unwrap();
    while client.entry().get::<Value>().await.unwrap_err().kind() != ErrorKind::CircuitOpen {}
    client.at(up.uri()).get::<u8>().await.unwrap();
}

#[tokio::test]
async fn refusals_are_not_retried_and_not_paid_for() {
    let server = MockServer::start().await;
    on(&server, "GET", "/", ResponseTemplate::new(500)).await;
    let breaker = policy().open_for(Duration::from_mins(1));
    let client = hasty(&server.uri()).breaker(breaker).build().unwrap();

    // The fourth attempt opens the circuit, so the call's attempts are used up; the next call meets the open circuit.
    assert_eq!(
        client.entry().get::<Value>().await.unwrap_err().attempts(),
        4
    );
    for _ in 0..100 {
        assert_eq!(
            client.entry().get::<Value>().await.unwrap_err().kind(),
            ErrorKind::CircuitOpen
        );
    }

    let stats = client.stats();
    assert_eq!(
        (stats.attempts, stats.retries, stats.breaker_rejections),
        (4, 3, 100)
    );
    assert_eq!(stats.budget_exhausted, 0);
}

#[tokio::test]
async fn a_retry_that_meets_the_open_circuit_tells_what_opened_it() {
    let server = MockServer::start().await;
    on(&server, "GET", "/", ResponseTemplate::new(500)).await;
    let breaker = policy().minimum_calls(2).open_for(Duration::from_mins(1));
    let client = hasty(&server.uri()).breaker(breaker).build().unwrap();

    let error = client.entry().get::<Value>().await.unwrap_err();

    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::CircuitOpen, 2)
    );
    assert!(
        error.source().unwrap().to_string().contains("500"),
        "{error:?}"
    );
}

#[tokio::test]
async fn refusals_of_the_request_are_not_failures_of_the_server() {
    let server = MockServer::start().await;
    for (path, status) in [("/404", 404), ("/429", 429), ("/501", 501)] {
        on(&server, "GET", path, ResponseTemplate::new(status)).await;
    }
    let client = hasty(&server.uri())
        .breaker(policy())
        .retry(RetryPolicy::none())
        .build()
        .unwrap();
    for path in ["/404", "/429", "/501"].repeat(5) {
        assert_eq!(
            client.at(path).get::<Value>().await.unwrap_err().kind(),
            ErrorKind::Status
        );
    }
    assert_eq!(client.stats().breaker_opens, 0);
}
