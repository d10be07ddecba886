//! Start, readiness, tasks that fail, and the drain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use commerce_host::{Drained, Host, Service, Shutdown};
use reqwest::Client;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use utoipa_axum::router::OpenApiRouter;

use crate::greeter::{Started, greeter, start, start_with};

async fn readiness(url: &str) -> (u16, Value) {
    let response = Client::new()
        .get(format!("{url}/health/ready"))
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The outcome of one check, as soon as it is as wanted.
async fn eventually(url: &str, name: &str, status: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (_, body) = readiness(url).await;
        let check = body["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["name"] == name)
            .cloned();
        match check {
            Some(check) if check["status"] == status => return check,
            _ if Instant::now() > deadline => panic!("{name} is never {status}: {body}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[tokio::test]
async fn ready_when_all_checks_pass() {
    let healthy = Arc::new(AtomicBool::new(true));
    let asked = healthy.clone();
    let service = greeter().check("oven", move || {
        let healthy = asked.load(Ordering::SeqCst);
        async move {
            if healthy {
                Ok(())
            } else {
                anyhow::bail!("it is cold")
            }
        }
    });
    let Started { url, .. } = &start_with(service).await;
    let (status, body) = readiness(url).await;
    assert_eq!(status, 200, "{body}");
    let names: Vec<_> = body["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].clone())
        .collect();
    assert_eq!(names, ["phase", "bus", "tokens", "greeter/oven"]);

    healthy.store(false, Ordering::SeqCst);
    let (status, _) = readiness(url).await;
    assert_eq!(status, 503);
    assert_eq!(
        eventually(url, "greeter/oven", "failed").await["detail"],
        "it is cold"
    );
}

#[tokio::test]
async fn a_task_that_keeps_failing_makes_the_process_unready() {
    let service = greeter().task("relay", |_| async { anyhow::bail!("no connection") });
    let Started {
        url,
        running,
        scratch: _scratch,
        ..
    } = start_with(service).await;
    let check = eventually(&url, "task greeter/relay", "failed").await;
    assert!(
        check["detail"].as_str().unwrap().contains("no connection"),
        "{check}"
    );
    let metrics = Client::new()
        .get(format!("{url}/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("commerce_task_restarts_total{task=\"greeter/relay\"}"),
        "{metrics}"
    );
    assert_eq!(running.shutdown().await, Drained::Clean);
}

#[tokio::test]
async fn a_drain_finishes_what_was_begun() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (entering, leaving) = (entered.clone(), leave.clone());
    let handler = move || {
        let (entering, leaving) = (entering.clone(), leaving.clone());
        async move {
            entering.notify_one();
            leaving.notified().await;
            "done"
        }
    };
    let finished = Arc::new(AtomicBool::new(false));
    let finishing = finished.clone();
    let service = Service::new("slow")
        .routes(OpenApiRouter::new().route("/slow", axum::routing::get(handler)))
        .task("work", move |shutdown| {
            let finishing = finishing.clone();
            async move {
                shutdown.requested().await;
                finishing.store(true, Ordering::SeqCst);
                Ok(())
            }
        });
    let Started {
        url,
        running,
        scratch: _scratch,
        ..
    } = start_with(service).await;
    let request = tokio::spawn(Client::new().get(format!("{url}/slow")).send());
    entered.notified().await;
    let draining = tokio::spawn(running.shutdown());

    // The port is closed to others while the request is still being answered.
    let deadline = Instant::now() + Duration::from_secs(5);
    while Client::new()
        .get(format!("{url}/health/live"))
        .send()
        .await
        .is_ok()
    {
        assert!(Instant::now() < deadline, "it still accepts connections");
    }
    leave.notify_one();
    assert_eq!(
        request.await.unwrap().unwrap().text().await.unwrap(),
        "done"
    );
    assert_eq!(draining.await.unwrap(), Drained::Clean);
    assert!(finished.load(Ordering::SeqCst));
}

/// Sends part of a request and keeps the connection.
async fn half_sent(address: std::net::SocketAddr, part: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(part.as_bytes()).await.unwrap();
    stream
}

/// Whatever comes until the other side ends the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

const HALF_REQUESTS: [&str; 5] = [
    "",
    "P",
    "GET /health/live HTTP/1.1\r\nhost: x",
    "POST /greetings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{\"name\":",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

#[tokio::test]
async fn half_a_request_does_not_spoil_the_drain() {
    let scratch = commerce_host::testing::Scratch::sqlite().unwrap();
    let tokens = commerce_host::testing::Tokens::new().unwrap();
    let mut resources = commerce_host::testing::resources(&scratch, "memory:", &tokens)
        .await
        .unwrap();
    // Neither ends anything here before the test is over.
    resources.settings.request_timeout = Duration::from_mins(10);
    resources.settings.drain = Duration::from_mins(5);
    let running = Host::new(resources).mount(greeter()).start().await.unwrap();
    let address = running.local_addr();
    let mut halves = Vec::new();
    for part in HALF_REQUESTS {
        halves.push(half_sent(address, part).await);
    }
    // One that was used and is kept for more.
    let client = Client::new();
    let live = format!("{}/health/live", running.url());
    assert_eq!(client.get(&live).send().await.unwrap().status(), 200);

    let drained = tokio::time::timeout(Duration::from_secs(20), running.shutdown()).await;
    assert_eq!(
        drained.expect("a drain that is not held up"),
        Drained::Clean
    );
    for (half, part) in halves.into_iter().zip(HALF_REQUESTS) {
        let said = rest(half).await;
        assert!(!said.contains("200 OK"), "{part}: {said}");
    }
}

#[tokio::test]
async fn half_a_request_is_waited_for_as_long_as_a_request_may_take() {
    let Started {
        running,
        scratch: _scratch,
        ..
    } = start().await;
    for part in HALF_REQUESTS {
        let half = half_sent(running.local_addr(), part).await;
        let said = tokio::time::timeout(Duration::from_secs(20), rest(half)).await;
        let said = said.unwrap_or_else(|_| panic!("{part} is still waited for"));
        assert!(!said.contains("200 OK"), "{part}: {said}");
    }
    assert_eq!(running.shutdown().await, Drained::Clean);
}

#[tokio::test]
async fn a_body_that_is_on_its_way_is_taken_in_a_drain() {
    let Started {
        running,
        scratch: _scratch,
        ..
    } = start().await;
    let body = r#"{"name":"Ana"}"#;
    let head = format!(
        "POST /greetings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = half_sent(running.local_addr(), &head).await;
    // The head has been read when another request, sent later, is answered.
    let live = format!("{}/health/live", running.url());
    assert_eq!(Client::new().get(&live).send().await.unwrap().status(), 200);
    let shutdown = running.resources().shutdown.clone();
    shutdown.request();
    stream.write_all(body.as_bytes()).await.unwrap();
    let said = rest(stream).await;
    assert!(
        said.starts_with("HTTP/1.1 200 OK") && said.ends_with(body),
        "{said}"
    );
    assert_eq!(running.shutdown().await, Drained::Clean);
}

#[tokio::test]
async fn a_drain_has_a_deadline_and_names_what_hangs() {
    let begun = Arc::new(Notify::new());
    let begins = begun.clone();
    let service = greeter().task("stubborn", move |_| {
        begins.notify_one();
        std::future::pending()
    });
    let Started {
        running,
        scratch: _scratch,
        ..
    } = start_with(service).await;
    begun.notified().await;
    let started = Instant::now();
    let drained = running.shutdown().await;
    assert_eq!(
        drained,
        Drained::TimedOut {
            unfinished: vec!["greeter/stubborn".to_owned()]
        }
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn serve_ends_when_the_shutdown_is_requested() {
    let scratch = commerce_host::testing::Scratch::sqlite().unwrap();
    let tokens = commerce_host::testing::Tokens::new().unwrap();
    let resources = commerce_host::testing::resources(&scratch, "memory:", &tokens)
        .await
        .unwrap();
    let shutdown = resources.shutdown.clone();
    let never = Shutdown::new();
    let serving = async move { Host::new(resources).mount(greeter()).serve(&never).await };
    let serving = tokio::spawn(serving);
    shutdown.request();
    assert_eq!(serving.await.unwrap().unwrap(), Drained::Clean);
}

#[tokio::test]
async fn what_was_asked_for_before_it_served_ends_it() {
    let scratch = commerce_host::testing::Scratch::sqlite().unwrap();
    let tokens = commerce_host::testing::Tokens::new().unwrap();
    let resources = commerce_host::testing::resources(&scratch, "memory:", &tokens)
        .await
        .unwrap();
    let stop = Shutdown::new();
    stop.request();
    let drained = Host::new(resources).mount(greeter()).serve(&stop).await;
    assert_eq!(drained.unwrap(), Drained::Clean);
}

#[tokio::test]
async fn a_port_in_use_is_said_so() {
    let Started { running, .. } = &start().await;
    let mut settings = running.resources().settings.clone();
    settings.listen = running.local_addr();
    let error = commerce_host::Resources::connect(settings)
        .await
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("COMMERCE_LISTEN"),
        "{error:#}"
    );
}
