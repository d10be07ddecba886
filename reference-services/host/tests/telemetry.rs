//! Traces: continued from the caller, shown to the handler, sent to a collector. A process has one subscriber, so this
//! test has a process of its own.

use std::time::Duration;

use axum::routing::get;
use commerce_host::testing::{Scratch, Tokens, resources};
use commerce_host::{Host, Json, RequestContext, Service, init_telemetry};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use utoipa_axum::router::OpenApiRouter;

async fn trace(context: RequestContext) -> Json<Value> {
    Json(json!(context.trace_parent))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_in_the_handler_and_to_the_collector() {
    let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scratch = Scratch::sqlite().unwrap();
    let mut resources = resources(&scratch, "memory:", &Tokens::new().unwrap())
        .await
        .unwrap();
    resources.settings.otlp = format!("http://{}", collector.local_addr().unwrap())
        .parse()
        .ok();
    let telemetry = init_telemetry("traced", &resources.settings).unwrap();
    let routes = OpenApiRouter::new().route("/trace", get(trace));
    let running = Host::new(resources)
        .mount(Service::new("traced").routes(routes))
        .start()
        .await
        .unwrap();

    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = reqwest::Client::new()
        .get(format!("{}/trace", running.url()))
        .header("traceparent", given);
    let seen: String = request.send().await.unwrap().json().await.unwrap();
    assert!(
        seen.starts_with("00-0af7651916cd43dd8448eb211c80319c-"),
        "{seen}"
    );
    assert!(seen.ends_with("-01"), "{seen}");
    assert!(
        !seen.contains("b7ad6b7169203331"),
        "a span of its own: {seen}"
    );

    // The exporter speaks gRPC, that is HTTP/2, and begins with its preface.
    let sending = std::thread::spawn(move || drop(telemetry));
    let (mut connection, _) = tokio::time::timeout(Duration::from_secs(30), collector.accept())
        .await
        .unwrap()
        .unwrap();
    let mut preface = [0; 14];
    connection.read_exact(&mut preface).await.unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0");
    // A collector that goes away must not keep the process from ending.
    drop((connection, collector));
    tokio::task::spawn_blocking(move || sending.join().unwrap())
        .await
        .unwrap();
}
