//! Writes: where their results are, duplicates, redirects and problems.

use commerce_resilient_client::ErrorKind;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::server::{hasty, on, seen};

fn created(location: &str) -> ResponseTemplate {
    ResponseTemplate::new(201).insert_header("location", location)
}

#[tokio::test]
async fn a_created_document_is_read_where_location_points() {
    let server = MockServer::start().await;
    on(&server, "POST", "/orders", created("/orders/1")).await;
    on(
        &server,
        "GET",
        "/orders/1",
        ResponseTemplate::new(200).set_body_json(json!({"id": 1})),
    )
    .await;
    let client = hasty(&server.uri()).build().unwrap();

    let order = client
        .at("/orders")
        .post(&json!({}))
        .send::<Value>()
        .await
        .unwrap();

    assert_eq!(
        (order.status().as_u16(), order.already_applied()),
        (201, false)
    );
    assert_eq!(order.data()["id"], 1);
    assert!(order.url().ends_with("/orders/1"));
}

#[tokio::test]
async fn a_created_document_in_the_answer_is_not_read_again() {
    let server = MockServer::start().await;
    let body = json!({"id": 1, "_links": {"cancel": {"href": "1/cancel"}}});
    on(
        &server,
        "POST",
        "/orders/",
        created("/orders/1").set_body_json(body),
    )
    .await;
    on(
        &server,
        "POST",
        "/orders/1/cancel",
        ResponseTemplate::new(204),
    )
    .await;
    let client = hasty(&server.uri()).build().unwrap();

    let order = client
        .at("/orders/")
        .post(&json!({}))
        .send::<Value>()
        .await
        .unwrap();
    assert!(order.url().ends_with("/orders/1"));
    let cancelled = order
        .follow("cancel")
        .post_empty()
        .send::<()>()
        .await
        .unwrap();

    assert_eq!(cancelled.status().as_u16(), 204);
    assert_eq!(seen(&server, "GET").await, 0);
}

#[tokio::test]
async fn duplicates_are_successes() {
    let server = MockServer::start().await;
    let see_other = ResponseTemplate::new(303).insert_header("location", "/orders/1");
    on(&server, "POST", "/orders", see_other).await;
    on(&server, "PUT", "/orders/1", ResponseTemplate::new(304)).await;
    on(&server, "DELETE", "/orders/1", ResponseTemplate::new(304)).await;
    on(
        &server,
        "GET",
        "/orders/1",
        ResponseTemplate::new(200).set_body_json(json!({"id": 1})),
    )
    .await;
    let client = hasty(&server.uri()).build().unwrap();

    let posted = client
        .at("/orders")
        .post(&json!({}))
        .idempotent()
        .send::<Value>()
        .await
        .unwrap();
    assert_eq!(
        (posted.status().as_u16(), posted.already_applied()),
        (303, true)
    );
    assert_eq!(posted.data()["id"], 1);
    let put = client
        .at("/orders/1")
        .put(&json!({}))
        .send::<Value>()
        .await
        .unwrap();
    assert_eq!(
        (
            put.status().as_u16(),
            put.already_applied(),
            &put.data()["id"]
        ),
        (304, true, &json!(1))
    );
    let deleted = client.at("/orders/1").delete().send::<()>().await.unwrap();
    assert!(deleted.already_applied());
    let reads = seen(&server, "GET").await;
    let ignored = client
        .at("/orders")
        .post(&json!({}))
        .send_ignoring_body()
        .await
        .unwrap();
    assert!(ignored.already_applied());
    assert_eq!(
        seen(&server, "GET").await,
        reads,
        "nobody asked for the document"
    );
}

#[tokio::test]
async fn a_write_moves_with_its_body_but_not_to_strangers() {
    let (server, stranger) = (MockServer::start().await, MockServer::start().await);
    let moved =
        |status: u16, to: String| ResponseTemplate::new(status).insert_header("location", to);
    on(
        &server,
        "POST",
        "/orders",
        moved(308, "/orders/".to_owned()),
    )
    .await;
    on(
        &server,
        "POST",
        "/orders/",
        ResponseTemplate::new(200).set_body_json(json!("done")),
    )
    .await;
    on(&server, "POST", "/away", moved(307, stranger.uri())).await;
    on(&server, "POST", "/old", moved(302, "/orders/".to_owned())).await;
    on(&stranger, "POST", "/", ResponseTemplate::new(200)).await;
    let client = hasty(&server.uri()).build().unwrap();

    let done = client
        .at("/orders")
        .post(&json!({"a": 1}))
        .send::<String>()
        .await
        .unwrap();
    assert_eq!(done.into_data(), "done");
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.last().unwrap().body, br#"{"a":1}"#);
    for path in ["/away", "/old"] {
        let error = client
            .at(path)
            .post(&json!({}))
            .send::<Value>()
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.is_applied()),
            (ErrorKind::Redirect, false),
            "{path}"
        );
    }
    assert_eq!(stranger.received_requests().await.unwrap().len(), 0);

    // A stranger that was allowed is none.
    let client = hasty(&server.uri())
        .allow_origin(&stranger.uri())
        .unwrap()
        .build()
        .unwrap();
    client
        .at("/away")
        .post(&json!({}))
        .send::<()>()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refusal_carries_the_problem() {
    let server = MockServer::start().await;
    let problem =
        json!({"type": "urn:x:declined", "title": "Declined", "detail": "no funds", "status": 422});
    let answer =
        ResponseTemplate::new(422).set_body_raw(problem.to_string(), "application/problem+json");
    on(&server, "POST", "/charges", answer).await;
    let client = hasty(&server.uri()).build().unwrap();

    let error = client
        .at("/charges")
        .post(&json!({}))
        .idempotent()
        .send::<Value>()
        .await
        .unwrap_err();

    assert_eq!(
        (error.kind(), error.is_retryable(), error.attempts()),
        (ErrorKind::Status, false, 1)
    );
    assert_eq!(
        error.problem().unwrap().problem_type.as_deref(),
        Some("urn:x:declined")
    );
    assert!(
        error
            .to_string()
            .ends_with("/charges: 422 Unprocessable Entity: Declined: no funds"),
        "{error}"
    );
}

#[tokio::test]
async fn an_error_after_the_write_says_that_the_write_was_done() {
    let server = MockServer::start().await;
    on(&server, "POST", "/orders", created("/orders/1")).await;
    on(&server, "GET", "/orders/1", ResponseTemplate::new(500)).await;
    let client = hasty(&server.uri()).build().unwrap();

    let error = client
        .at("/orders")
        .post(&json!({}))
        .send::<Value>()
        .await
        .unwrap_err();

    assert!(error.is_applied());
    assert_eq!(seen(&server, "POST").await, 1);
}

#[tokio::test]
async fn bodies_have_their_content_types() {
    let server = MockServer::start().await;
    for method in ["POST", "PATCH"] {
        on(&server, method, "/", ResponseTemplate::new(204)).await;
    }
    let client = hasty(&server.uri()).build().unwrap();
    client
        .entry()
        .post_form([("grant_type", "a b"), ("x", "&")])
        .send::<()>()
        .await
        .unwrap();
    client
        .entry()
        .patch(&json!({"a": null}))
        .send::<()>()
        .await
        .unwrap();

    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].body, b"grant_type=a+b&x=%26");
    assert_eq!(
        requests[0].headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(
        requests[1].headers["content-type"],
        "application/merge-patch+json"
    );
}
