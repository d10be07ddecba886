//! RabbitMQ over TLS: the delivery contract, and who is not talked to. `RABBITMQ_SECURED` says how to reach it: `HOST:PORT`
//! of a listener for TLS, a space, and the path of the authority's certificate.
//!
//! Not part of `cargo test`: it needs a broker of its own. `cargo xtask test rabbitmq-secured` starts one for it, and runs it.

mod servers;

use std::time::Duration;

use async_trait::async_trait;
use commerce_event_bus::conformance::Factory;
use commerce_event_bus::{Error, ErrorKind, EventBus};
use tokio::time::timeout;

use servers::*;

/// The place, and the authority.
fn secured() -> (String, String) {
    let named = std::env::var("RABBITMQ_SECURED").expect("RABBITMQ_SECURED names the broker");
    let (place, authority) = named.split_once(' ').expect("a place and a path");
    (place.to_owned(), authority.to_owned())
}

struct OverTls(String);

#[async_trait]
impl Factory for OverTls {
    async fn connect(&self) -> Result<EventBus, Error> {
        EventBus::connect(&self.0).await
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn watch(&self) -> Duration {
        Duration::from_millis(500)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conformance_to_the_delivery_contract_over_tls() {
    let (place, authority) = secured();
    let url = format!("amqps://guest:guest@{place}/%2f?tls_ca={authority}");
    conformance(&OverTls(url), 6).await;
}

async fn refused(url: &str) -> Error {
    let connected = timeout(PATIENCE, EventBus::connect(url)).await;
    let error = connected.expect("it waits").unwrap_err();
    println!("{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_trusted_is_not_talked_to() {
    let (place, authority) = secured();
    // This system's authorities did not sign the broker's certificate.
    let error = refused(&format!(
        "amqps://guest:guest@{place}/%2f?request_timeout=5s"
    ))
    .await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(!error.is_retryable(), "{error}");
    assert!(error.to_string().contains("tls_ca"), "{error}");

    // It is signed for an address, and not for this name of it.
    let port = place.rsplit_once(':').expect("a port").1;
    let named = format!("amqps://guest:guest@localhost:{port}/%2f");
    let error = refused(&format!("{named}?tls_ca={authority}&request_timeout=5s")).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_we_are_is_told_over_tls_alone() {
    let (place, authority) = secured();
    let settings = format!("tls_ca={authority}&request_timeout=5s");
    let error = refused(&format!("amqps://guest:s3cret@{place}/%2f?{settings}")).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");

    // Plain AMQP at a port for TLS comes to an end.
    let error = refused(&format!(
        "amqp://guest:s3cret@{place}/%2f?request_timeout=5s"
    ))
    .await;
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}
