//! What a caller of any service meets: ids, problems, hypermedia, documents, health.

use axum::http::StatusCode;
use commerce_host::testing::Tokens;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::greeter::{Started, start};

async fn problem(response: Response) -> Value {
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let status = response.status().as_u16();
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status);
    problem
}

#[tokio::test]
async fn both_ids_are_taken_over_or_made() {
    let Started { url, .. } = &start().await;
    let client = Client::new();
    let response = client
        .get(format!("{url}/context"))
        .header("x-request-id", "r-1")
        .header("x-transaction-id", "t-1")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-request-id"], "r-1");
    assert_eq!(response.headers()["x-transaction-id"], "t-1");
    let seen: Value = response.json().await.unwrap();
    assert_eq!(seen["request_id"], "r-1");
    assert_eq!(seen["transaction_id"], "t-1");
    assert_eq!(
        seen["trace_parent"],
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    );

    let made = client.get(format!("{url}/context")).send().await.unwrap();
    let request_id = made.headers()["x-request-id"].to_str().unwrap();
    assert!(Uuid::parse_str(request_id).is_ok(), "{request_id}");
}

#[tokio::test]
async fn every_mistake_of_a_caller_is_a_problem() {
    let Started { url, .. } = &start().await;
    let client = Client::new();
    let post = |body: &'static str, content_type: &'static str| {
        client
            .post(format!("{url}/greetings"))
            .header("content-type", content_type)
            .body(body)
            .send()
    };

    let malformed = problem(post("{", "application/json").await.unwrap()).await;
    assert_eq!(malformed["status"], 400);
    let wrong_type = problem(
        post(r#"{"name": 7}"#, "application/json; charset=utf-8")
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (&wrong_type["status"], &wrong_type["errors"][0]["pointer"]),
        (&json!(422), &json!("/name"))
    );
    let unknown = problem(
        post(r#"{"name": "a", "nick": "b"}"#, "application/json")
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (&unknown["status"], &unknown["errors"][0]["pointer"]),
        (&json!(422), &json!("/nick"))
    );
    assert_eq!(
        problem(post("name=a", "text/plain").await.unwrap()).await["status"],
        415
    );

    let large = format!(r#"{{"name": "{}"}}"#, "x".repeat(2 * 1024 * 1024));
    let large = client
        .post(format!("{url}/greetings"))
        .header("content-type", "application/json")
        .body(large);
    assert_eq!(problem(large.send().await.unwrap()).await["status"], 413);

    let get = |path: &'static str| client.get(format!("{url}{path}")).send();
    let path = problem(get("/greetings/many").await.unwrap()).await;
    assert_eq!(path["status"], 400);
    let query = problem(get("/greetings/1?loud=perhaps").await.unwrap()).await;
    assert!(
        query["detail"].as_str().unwrap().contains("loud"),
        "{query}"
    );
    assert_eq!(
        problem(get("/nowhere").await.unwrap()).await["detail"],
        "there is nothing at /nowhere"
    );

    let method = client
        .delete(format!("{url}/greetings"))
        .send()
        .await
        .unwrap();
    assert_eq!(method.headers()["allow"], "POST");
    assert_eq!(problem(method).await["status"], 405);
}

#[tokio::test]
async fn what_fails_inside_stays_inside() {
    let Started { url, .. } = &start().await;
    let client = Client::new();
    for path in ["/panic", "/failure"] {
        let response = client.get(format!("{url}{path}")).send().await.unwrap();
        assert!(response.headers().contains_key("x-request-id"));
        let problem = problem(response).await;
        assert_eq!(problem["status"], 500);
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
    // The service is still there.
    assert_eq!(
        client
            .get(format!("{url}/health/live"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let Started { url, .. } = &start().await;
    let response = Client::new()
        .get(format!("{url}/slow"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(problem(response).await["status"], 503);
}

#[tokio::test]
async fn a_principal_needs_a_token_and_its_permission() {
    let Started { url, tokens, .. } = &start().await;
    let client = Client::new();
    let get = |token: Option<String>| {
        let request = client.get(format!("{url}/secret"));
        match token {
            Some(token) => request.bearer_auth(token).send(),
            None => request.send(),
        }
    };
    let organization = Uuid::now_v7();

    let missing = get(None).await.unwrap();
    assert_eq!(missing.headers()["www-authenticate"], "Bearer");
    assert_eq!(problem(missing).await["status"], 401);

    let forbidden = get(Some(
        tokens.token(organization, &["greeter.other.read"]).unwrap(),
    ))
    .await
    .unwrap();
    assert!(
        forbidden.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .contains("greeter.secret.read")
    );
    assert_eq!(problem(forbidden).await["status"], 403);

    let stranger = Tokens::new()
        .unwrap()
        .token(organization, &["greeter.secret.read"])
        .unwrap();
    assert_eq!(
        get(Some(stranger)).await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let mut expired = Tokens::claims(Some(organization), &["greeter.secret.read"]);
    expired["exp"] = json!(1);
    assert_eq!(
        get(Some(tokens.sign(&expired).unwrap()))
            .await
            .unwrap()
            .status(),
        StatusCode::UNAUTHORIZED
    );

    let good = get(Some(
        tokens
            .token(organization, &["greeter.secret.read"])
            .unwrap(),
    ))
    .await
    .unwrap();
    assert_eq!(good.text().await.unwrap(), organization.to_string());
}

#[tokio::test]
async fn the_entry_point_leads_everywhere() {
    let Started { url, .. } = &start().await;
    let client = Client::new();
    let entry = client.get(url).send().await.unwrap();
    assert_eq!(entry.headers()["content-type"], "application/hal+json");
    let entry: Value = entry.json().await.unwrap();
    assert_eq!(
        entry["_links"]["greetings"],
        json!({ "href": "/greetings{?cursor}", "templated": true })
    );

    for relation in ["self", "docs", "metrics", "health"] {
        let href = entry["_links"][relation]["href"].as_str().unwrap();
        assert_eq!(
            client
                .get(format!("{url}{href}"))
                .send()
                .await
                .unwrap()
                .status(),
            200,
            "{href}"
        );
    }
    let document: Value = client
        .get(format!("{url}/openapi/greeter.json"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(document["info"]["title"], "Greets people");
    assert!(
        document["paths"]["/greetings"]["post"].is_object(),
        "{document}"
    );
    assert!(
        document["components"]["schemas"]["Problem"].is_object(),
        "{document}"
    );

    let page = client
        .get(format!("{url}/docs/swagger-initializer.js"))
        .send()
        .await
        .unwrap();
    assert!(page.text().await.unwrap().contains("/openapi/greeter.json"));
}

#[tokio::test]
async fn metrics_show_routes_and_not_paths() {
    let Started { url, .. } = &start().await;
    let client = Client::new();
    client
        .get(format!("{url}/greetings/1"))
        .send()
        .await
        .unwrap();
    client
        .get(format!("{url}/no/such/path"))
        .send()
        .await
        .unwrap();
    let metrics = client
        .get(format!("{url}/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let line = |route: &str| {
        let label = format!("http_route=\"{route}\"");
        metrics.lines().any(|line| {
            line.starts_with("http_server_request_duration_seconds_count") && line.contains(&label)
        })
    };
    assert!(line("/greetings/{number}"), "{metrics}");
    assert!(line("unmatched"), "{metrics}");
    assert!(!metrics.contains("/no/such/path"), "{metrics}");
}
