//! Where credentials come from when the URL has none: from where every AWS program finds them, here the environment.

use std::env;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use super::Sqs;
use crate::clock::Clock;
use crate::error::ErrorKind;

/// Tells a child where its parent plays SQS.
const PLACE: &str = "COMMERCE_EVENT_BUS_TEST_SQS";

/// This test once more in a process whose environment holds of AWS what is given, and nothing else.
fn child(test: &str, place: &str, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    let module = module_path!();
    let module = module.split_once("::").map_or(module, |(_, rest)| rest);
    command.args(["--exact", &format!("{module}::{test}"), "--nocapture"]);
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
        .env(PLACE, place)
        // No profile, no machine that hands some out.
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(environment.iter().copied());
    command
}

async fn passes(mut command: Command) {
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = tokio::time::timeout(Duration::from_mins(1), run);
    let output = output.await.expect("it hangs").unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("1 passed"), "no such test: {told}");
}

async fn played() -> MockServer {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_raw(
        json!({ "QueueUrls": [] }).to_string(),
        "application/x-amz-json-1.0",
    );
    let every = Mock::given(matchers::method("POST")).respond_with(answer);
    every.mount(&server).await;
    server
}

fn url(place: &str) -> String {
    let place = place.replace(':', "%3A").replace('/', "%2F");
    format!("//us-east-1?topics=none&delayed=off&endpoint={place}")
}

#[tokio::test]
async fn the_environment_is_asked_for_credentials() {
    if let Ok(place) = env::var(PLACE) {
        Sqs::connect(&url(&place), Clock::new()).await.unwrap();
        return;
    }
    let server = played().await;
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIAOFTHEENVIRONMENT"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret-of-the-environment"),
        ("AWS_SESSION_TOKEN", "token-of-the-environment"),
    ];
    let test = "the_environment_is_asked_for_credentials";
    passes(child(test, &server.uri(), &environment)).await;
    let requests = server.received_requests().await.unwrap();
    assert!(!requests.is_empty());
    for request in requests {
        let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
        let signed = header("authorization");
        assert!(
            signed.contains("Credential=AKIAOFTHEENVIRONMENT/"),
            "{signed}"
        );
        assert_eq!(header("x-amz-security-token"), "token-of-the-environment");
    }
}

#[tokio::test]
async fn without_credentials_it_says_where_they_come_from() {
    if let Ok(place) = env::var(PLACE) {
        let error = Sqs::connect(&url(&place), Clock::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(!error.is_retryable(), "{error}");
        let told = error.to_string();
        for hint in [
            "credentials",
            "AWS_ACCESS_KEY_ID",
            "sqs://KEY:SECRET@REGION",
        ] {
            assert!(told.contains(hint), "{hint} is not in: {told}");
        }
        return;
    }
    let server = played().await;
    let test = "without_credentials_it_says_where_they_come_from";
    passes(child(test, &server.uri(), &[])).await;
    let requests = server.received_requests().await.unwrap();
    assert!(requests.is_empty(), "something was sent unsigned");
}
