//! What is repeated, what is not, and when.

use std::time::{Duration, Instant};

use commerce_resilient_client::{BreakerPolicy, Client, ErrorKind, RetryPolicy};
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::server::{Rude, first, hasty, nobody, on, seen};

#[tokio::test]
async fn reads_are_repeated_until_they_succeed_or_the_attempts_are_used_up() {
    let server = MockServer::start().await;
    first(&server, 2, "GET", "/", ResponseTemplate::new(503)).await;
    on(
        &server,
        "GET",
        "/",
        ResponseTemplate::new(200).set_body_json(json!("ok")),
    )
    .await;
    on(&server, "GET", "/down", ResponseTemplate::new(502)).await;
    let client = hasty(&server.uri()).build().unwrap();

    assert_eq!(
        client.entry().get::<String>().await.unwrap().into_data(),
        "ok"
    );
    let stats = client.stats();
    assert_eq!((stats.attempts, stats.retries), (3, 2));
    let error = client.at("/down").get::<Value>().await.unwrap_err();
    assert_eq!(
        (error.status().unwrap().as_u16(), error.attempts()),
        (502, 4)
    );
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_write_without_a_key_is_sent_once() {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(503).insert_header("retry-after", "0");
    on(&server, "POST", "/", busy).await;
    let client = hasty(&server.uri()).build().unwrap();

    let error = client
        .entry()
        .post(&json!({}))
        .send::<Value>()
        .await
        .unwrap_err();

    assert_eq!(
        (error.status().unwrap().as_u16(), error.attempts()),
        (503, 1)
    );
    assert!(
        error.is_retryable(),
        "it may work later: whether to risk it is the caller's decision"
    );
    assert_eq!(seen(&server, "POST").await, 1);
}

#[tokio::test]
async fn a_write_with_a_key_is_repeated_with_the_same_quoted_key() {
    let server = MockServer::start().await;
    first(&server, 2, "POST", "/", ResponseTemplate::new(500)).await;
    on(&server, "POST", "/", ResponseTemplate::new(204)).await;
    let client = hasty(&server.uri()).build().unwrap();

    client
        .entry()
        .post(&json!({"a": 1}))
        .idempotent()
        .send::<()>()
        .await
        .unwrap();
    client
        .entry()
        .post(&json!({}))
        .idempotency_key("pay-7")
        .send::<()>()
        .await
        .unwrap();

    let requests = server.received_requests().await.unwrap();
    let keys: Vec<&str> = requests
        .iter()
        .map(|request| request.headers["idempotency-key"].to_str().unwrap())
        .collect();
    assert_eq!(keys.len(), 4);
    assert!(
        keys[0] == keys[1] && keys[1] == keys[2] && keys[0].starts_with('"') && keys[0].len() == 38
    );
    assert_eq!(keys[3], "\"pay-7\"");
    assert!(
        requests[..3]
            .iter()
            .all(|request| request.body == br#"{"a":1}"#)
    );
}

#[tokio::test]
async fn a_bad_key_or_header_is_told_before_anything_is_sent() {
    let client = hasty(&nobody().await).build().unwrap();
    let error = client
        .entry()
        .post_empty()
        .idempotency_key("ü")
        .send::<()>()
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Request, 0));
    let error = client
        .entry()
        .post_empty()
        .header("x y", "1")
        .send::<()>()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Request);
    assert_eq!(client.stats().attempts, 0);
    for url in ["shop", "ftp://a.example", "https://user:pw@a.example"] {
        let error = Client::builder(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request);
    }
}

#[tokio::test]
async fn a_broken_connection_is_no_proof_that_nothing_was_done() {
    let server = Rude::hangs_up().await;
    let client = hasty(&server.url).build().unwrap();

    let error = client
        .entry()
        .post(&json!({}))
        .send::<Value>()
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts(), server.requests()),
        (ErrorKind::Transport, 1, 1)
    );
    let error = client
        .entry()
        .post(&json!({}))
        .idempotent()
        .send::<Value>()
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts(), server.requests()),
        (ErrorKind::Transport, 4, 5)
    );
}

#[tokio::test]
async fn an_answer_cut_short_is_no_answer() {
    let server = Rude::says("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":").await;
    let client = hasty(&server.url).build().unwrap();
    let error = client
        .entry()
        .post(&json!({}))
        .send::<Value>()
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Transport, 1));
    let error = client.entry().get::<Value>().await.unwrap_err();
    assert_eq!(error.attempts(), 4);
}

#[tokio::test]
async fn what_was_never_connected_was_never_sent() {
    let client = hasty(&nobody().await).build().unwrap();
    let error = client
        .entry()
        .post(&json!({}))
        .send::<Value>()
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 4));
}

#[tokio::test]
async fn a_timeout_repeats_reads_but_not_writes() {
    let server = Rude::stays_silent().await;
    let client = hasty(&server.url)
        .attempt_timeout(Duration::from_millis(50))
        .build()
        .unwrap();

    let error = client
        .entry()
        .post(&json!({}))
        .send::<Value>()
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1));
    let error = client.entry().get::<Value>().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 4));
    assert_eq!(server.requests(), 5);
}

#[tokio::test]
async fn the_deadline_holds_for_the_whole_call() {
    let server = Rude::stays_silent().await;
    let client = hasty(&server.url)
        .attempt_timeout(Duration::from_millis(200))
        .timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    let started = Instant::now();

    let error = client.entry().get::<Value>().await.unwrap_err();

    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::Timeout, 2),
        "the second got the rest"
    );
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn retry_after_is_waited_out() {
    let server = MockServer::start().await;
    first(
        &server,
        1,
        "GET",
        "/",
        ResponseTemplate::new(429).insert_header("retry-after", "1"),
    )
    .await;
    on(
        &server,
        "GET",
        "/",
        ResponseTemplate::new(200).set_body_json(json!(1)),
    )
    .await;
    let client = hasty(&server.uri()).build().unwrap();
    let started = Instant::now();

    client.entry().get::<u8>().await.unwrap();

    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_pause_longer_than_allowed_or_than_the_deadline_comes_back_as_an_error() {
    let server = MockServer::start().await;
    on(
        &server,
        "GET",
        "/",
        ResponseTemplate::new(503).insert_header("retry-after", "20"),
    )
    .await;
    let started = Instant::now();
    for builder in [
        hasty(&server.uri()),
        hasty(&server.uri())
            .timeout(Duration::from_mins(5))
            .retry(RetryPolicy::default().longest_retry_after(Duration::from_secs(19))),
    ] {
        let error = builder
            .build()
            .unwrap()
            .entry()
            .get::<Value>()
            .await
            .unwrap_err();
        assert_eq!(
            (error.attempts(), error.retry_after()),
            (1, Some(Duration::from_secs(20)))
        );
    }
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn statuses_that_time_does_not_cure_are_final() {
    let server = MockServer::start().await;
    for status in [400, 403, 404, 405, 409, 410, 412, 422, 501] {
        let path = format!("/{status}");
        on(&server, "GET", &path, ResponseTemplate::new(status)).await;
        let client = hasty(&server.uri()).build().unwrap();
        let error = client.at(path).get::<Value>().await.unwrap_err();
        assert_eq!(
            (error.attempts(), error.is_retryable()),
            (1, false),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_key_whose_first_request_still_runs_is_asked_again() {
    let server = MockServer::start().await;
    first(
        &server,
        1,
        "POST",
        "/",
        ResponseTemplate::new(409).insert_header("retry-after", "0"),
    )
    .await;
    on(&server, "POST", "/", ResponseTemplate::new(204)).await;
    let client = hasty(&server.uri()).build().unwrap();
    client
        .entry()
        .post_empty()
        .idempotent()
        .send::<()>()
        .await
        .unwrap();
    assert_eq!(client.stats().retries, 1);
}

#[tokio::test]
async fn the_budget_bounds_retries_over_many_calls() {
    let server = MockServer::start().await;
    on(&server, "GET", "/", ResponseTemplate::new(503)).await;
    let retry = RetryPolicy::default()
        .backoff(Duration::ZERO, Duration::ZERO)
        .budget(0.2, 0);
    let client = hasty(&server.uri())
        .retry(retry)
        .breaker(BreakerPolicy::disabled())
        .build()
        .unwrap();

    for _ in 0..50 {
        client.entry().get::<Value>().await.unwrap_err();
    }

    let stats = client.stats();
    assert_eq!(stats.retries, 10, "a fifth of fifty");
    assert_eq!(stats.attempts, 60);
    assert!(stats.budget_exhausted >= 40);
}
