//! Where credentials come from when the URL has none: from where every AWS program finds them.

use std::env;
use std::error::Error;
use std::fs;
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

/// All that was asked was signed with these.
async fn assert_signed(server: &MockServer, key: &str, token: &str) {
    let requests = server.received_requests().await.unwrap();
    assert!(!requests.is_empty());
    for request in requests {
        let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
        let signed = header("authorization");
        assert!(signed.contains(&format!("Credential={key}/")), "{signed}");
        assert_eq!(header("x-amz-security-token"), token);
    }
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
    assert_signed(&server, "AKIAOFTHEENVIRONMENT", "token-of-the-environment").await;
}

#[tokio::test]
async fn a_process_is_asked_for_credentials() {
    if let Ok(place) = env::var(PLACE) {
        Sqs::connect(&url(&place), Clock::new()).await.unwrap();
        return;
    }
    let server = played().await;
    let directory = tempfile::tempdir().unwrap();
    let answer = directory.path().join("answer.json");
    let credentials = json!({
        "Version": 1,
        "AccessKeyId": "AKIAOFAPROCESS",
        "SecretAccessKey": "s3cret-of-a-process",
        "SessionToken": "token-of-a-process",
    });
    fs::write(&answer, credentials.to_string()).unwrap();
    let profile = directory.path().join("config");
    let asks = format!("[default]\ncredential_process = cat {}\n", answer.display());
    fs::write(&profile, asks).unwrap();
    let environment = [("AWS_CONFIG_FILE", profile.to_str().unwrap())];
    let test = "a_process_is_asked_for_credentials";
    passes(child(test, &server.uri(), &environment)).await;
    assert_signed(&server, "AKIAOFAPROCESS", "token-of-a-process").await;
}

/// For people who sign on.
const PROFILE: &str = "[default]
sso_session = house
sso_account_id = 123456789012
sso_role_name = reader
[sso-session house]
sso_region = us-east-1
sso_start_url = https://house.awsapps.com/start
";

/// Nobody has signed on: what is missing is the token, and not the way to it.
#[tokio::test]
async fn single_sign_on_is_understood() {
    if let Ok(place) = env::var(PLACE) {
        let error = Sqs::connect(&url(&place), Clock::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let causes = causes(&error);
        assert!(causes.contains("token"), "{causes}");
        assert!(!causes.contains("feature"), "{causes}");
        return;
    }
    let server = played().await;
    let directory = tempfile::tempdir().unwrap();
    let profile = directory.path().join("config");
    fs::write(&profile, PROFILE).unwrap();
    let environment = [("AWS_CONFIG_FILE", profile.to_str().unwrap())];
    let test = "single_sign_on_is_understood";
    passes(child(test, &server.uri(), &environment)).await;
    let requests = server.received_requests().await.unwrap();
    assert!(requests.is_empty(), "something was sent unsigned");
}

/// What an error says, and what led to it.
fn causes(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
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
