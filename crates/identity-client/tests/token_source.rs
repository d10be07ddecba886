//! Tokens over HTTP, and their use by the client that needs them.

use std::time::Duration;

use commerce_identity_client::TokenSource;
use commerce_resilient_client::{Authorize, Client, ErrorKind};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{body_string, header, method, path},
};

fn source(server: &MockServer) -> TokenSource {
    TokenSource::client_credentials(
        format!("{}/oauth/token", server.uri()),
        "importer",
        "s3cret/+".into(),
    )
    .scope("orders.order.create orders.order.read")
    .audience("https://api.example.com")
    .build()
    .unwrap()
}

async fn answer(server: &MockServer, answer: ResponseTemplate) {
    Mock::given(path("/oauth/token"))
        .respond_with(answer)
        .mount(server)
        .await;
}

fn token(value: &str, expires_in: Option<u64>) -> ResponseTemplate {
    let mut body = json!({"access_token": value, "token_type": "bearer"});
    if let Some(seconds) = expires_in {
        body["expires_in"] = json!(seconds);
    }
    ResponseTemplate::new(200).set_body_json(body)
}

#[tokio::test]
async fn the_request_is_as_the_standard_has_it_and_made_once() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/oauth/token"))
        // importer:s3cret%2F%2B
        .and(header("authorization", "Basic aW1wb3J0ZXI6czNjcmV0JTJGJTJC"))
        .and(header("content-type", "application/x-www-form-urlencoded"))
        .and(body_string(
            "grant_type=client_credentials&scope=orders.order.create+orders.order.read&audience=https%3A%2F%2Fapi.example.com",
        ))
        .respond_with(token("abc", Some(300)))
        .expect(1)
        .mount(&server)
        .await;
    let source = source(&server);
    for _ in 0..3 {
        let value = source.clone().authorize().await.unwrap();
        assert_eq!(value, "Bearer abc");
        assert!(value.is_sensitive());
    }
}

#[tokio::test]
async fn secrets_stay_out_of_debug_and_errors() {
    let server = MockServer::start().await;
    answer(&server, token("t0ken", None)).await;
    let source = source(&server);
    source.authorize().await.unwrap();
    let builder =
        TokenSource::client_credentials("https://id.example.com", "importer", "s3cret".into());
    let text = format!("{source:?} {builder:?}");
    assert!(text.contains("importer"), "{text}");
    assert!(
        !text.contains("s3cret") && !text.contains("t0ken") && !text.contains("aW1wb3J0ZXI"),
        "{text}"
    );
}

#[tokio::test]
async fn a_refusal_is_final_and_trouble_is_temporary() {
    let refusal = ResponseTemplate::new(401).set_body_json(json!({"error": "invalid_client"}));
    let cases = [
        (refusal, false),
        (
            ResponseTemplate::new(400).set_body_json(json!({"error": "invalid_scope"})),
            false,
        ),
        (ResponseTemplate::new(503), true),
        (ResponseTemplate::new(200).set_body_string("<html>"), false),
        (
            ResponseTemplate::new(200)
                .set_body_json(json!({"access_token": "a", "token_type": "DPoP"})),
            false,
        ),
        (
            ResponseTemplate::new(200)
                .set_body_json(json!({"access_token": "a\nb", "token_type": "Bearer"})),
            false,
        ),
        (token("abc", Some(0)), false),
    ];
    for (bad, retryable) in cases {
        let server = MockServer::start().await;
        answer(&server, bad).await;
        let source = source(&server);
        let error = source.authorize().await.unwrap_err();
        assert_eq!(error.is_retryable(), retryable, "{error}");
        let asked = server.received_requests().await.unwrap().len();
        source.authorize().await.unwrap_err();
        assert_eq!(
            server.received_requests().await.unwrap().len(),
            asked,
            "asked again at once"
        );
    }
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    for (url, client) in [
        ("not a url", "c"),
        ("ftp://id.example.com", "c"),
        ("https://id.example.com", ""),
    ] {
        TokenSource::client_credentials(url, client, "s".into())
            .build()
            .unwrap_err();
    }
}

/// A resource that takes one token only, and an issuer that hands out others before it.
#[tokio::test]
async fn a_request_that_is_refused_is_repeated_with_a_new_token() {
    let server = MockServer::start().await;
    Mock::given(path("/oauth/token"))
        .respond_with(token("old", Some(300)))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path("/oauth/token"))
        .respond_with(token("new", Some(300)))
        .mount(&server)
        .await;
    Mock::given(path("/orders"))
        .respond_with(|request: &Request| {
            let good = request
                .headers
                .get("authorization")
                .is_some_and(|value| value == "Bearer new");
            if good {
                ResponseTemplate::new(200).set_body_json(json!({}))
            } else {
                ResponseTemplate::new(401)
            }
        })
        .mount(&server)
        .await;
    let client = Client::builder(&server.uri())
        .unwrap()
        .auth(source(&server))
        .build()
        .unwrap();
    // The token is brand-new: getting another at once would be pointless in general, so the refusal is told.
    let error = client.at("/orders").get::<Value>().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.status().map(|status| status.as_u16())),
        (ErrorKind::Status, Some(401))
    );

    tokio::time::timeout(Duration::from_secs(30), async {
        while client.at("/orders").get::<Value>().await.is_err() {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    })
    .await
    .expect("the token was never replaced");
}
