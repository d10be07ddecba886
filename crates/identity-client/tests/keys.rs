//! Keys over HTTP: discovery, rotation, an issuer that is away or misbehaves.

mod support;

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use commerce_identity_client::{Rejected, Verifier};
use serde_json::json;
use support::{AUDIENCE, Key, claims_of, key_set, publish, requests};
use tokio::time::{sleep, timeout};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

const DISCOVERY: &str = "/.well-known/openid-configuration";

fn verifier(server: &MockServer) -> Verifier {
    Verifier::discover(server.uri(), AUDIENCE).unwrap()
}

#[tokio::test]
async fn keys_are_discovered_once_for_all_who_wait() {
    let (server, key) = (MockServer::start().await, Key::new("k1"));
    publish(&server, &[&key]).await;
    let verifier = verifier(&server);
    let herd: Vec<_> = (0..50)
        .map(|_| {
            let (verifier, token) = (verifier.clone(), key.token(&claims_of(&server.uri())));
            tokio::spawn(async move { verifier.verify(&token).await })
        })
        .collect();
    for one in herd {
        one.await.unwrap().unwrap();
    }
    assert_eq!(
        (
            requests(&server, DISCOVERY).await,
            requests(&server, "/keys").await
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn unknown_keys_do_not_hammer_the_issuer() {
    let (server, key) = (MockServer::start().await, Key::new("k1"));
    publish(&server, &[&key]).await;
    let verifier = verifier(&server);
    verifier.ready().await;
    for n in 0..100 {
        let stranger = Key::new(&format!("random-{n}"));
        let refused = verifier
            .verify(&stranger.token(&claims_of(&server.uri())))
            .await;
        assert_eq!(refused, Err(Rejected::UnknownKey));
    }
    assert_eq!(requests(&server, "/keys").await, 1);
    verifier
        .verify(&key.token(&claims_of(&server.uri())))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rotated_key_is_noticed_by_the_refresh_and_the_old_one_forgotten() {
    let (server, old, new) = (MockServer::start().await, Key::new("old"), Key::new("new"));
    publish(&server, &[&old]).await;
    let verifier = Verifier::builder(server.uri(), AUDIENCE)
        .refresh_every(Duration::from_millis(50))
        .build()
        .unwrap();
    let (from_old, from_new) = (
        old.token(&claims_of(&server.uri())),
        new.token(&claims_of(&server.uri())),
    );
    verifier.verify(&from_old).await.unwrap();

    publish(&server, &[&old, &new]).await;
    until(async || verifier.verify(&from_new).await.is_ok()).await;
    verifier.verify(&from_old).await.unwrap();

    publish(&server, &[&new]).await;
    until(async || verifier.verify(&from_old).await == Err(Rejected::UnknownKey)).await;
    verifier.verify(&from_new).await.unwrap();
}

#[tokio::test]
async fn a_key_replaced_under_the_same_id_is_noticed() {
    let (server, old, new) = (MockServer::start().await, Key::new("k1"), Key::new("k1"));
    publish(&server, &[&old]).await;
    let verifier = Verifier::builder(server.uri(), AUDIENCE)
        .refresh_every(Duration::from_millis(50))
        .build()
        .unwrap();
    let token = new.token(&claims_of(&server.uri()));
    assert_eq!(verifier.verify(&token).await, Err(Rejected::Signature));
    publish(&server, &[&new]).await;
    until(async || verifier.verify(&token).await.is_ok()).await;
}

#[tokio::test]
async fn a_service_may_start_before_its_issuer() {
    let (key, port) = (Key::new("k1"), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = port.local_addr().unwrap();
    drop(port);
    let issuer = format!("http://{address}");
    let verifier = Verifier::discover(&issuer, AUDIENCE).unwrap();
    let token = key.token(&claims_of(&issuer));
    assert!(!verifier.is_ready());
    let refused = verifier.verify(&token).await.unwrap_err();
    assert!(refused.is_temporary(), "{refused}");

    let server = MockServer::builder()
        .listener(TcpListener::bind(address).unwrap())
        .start()
        .await;
    publish(&server, &[&key]).await;
    timeout(Duration::from_secs(20), verifier.ready())
        .await
        .unwrap();
    assert!(verifier.is_ready());
    verifier.verify(&token).await.unwrap();
}

#[tokio::test]
async fn keys_outlive_an_outage_and_bad_answers() {
    let (server, key) = (MockServer::start().await, Key::new("k1"));
    publish(&server, &[&key]).await;
    let verifier = Verifier::builder(server.uri(), AUDIENCE)
        .refresh_every(Duration::from_millis(30))
        .build()
        .unwrap();
    let token = key.token(&claims_of(&server.uri()));
    verifier.verify(&token).await.unwrap();
    let metadata = json!({"issuer": server.uri(), "jwks_uri": format!("{}/keys", server.uri())});
    let bad = [
        ResponseTemplate::new(500),
        ResponseTemplate::new(200).set_body_string("<html>maintenance</html>"),
        ResponseTemplate::new(200).set_body_json(json!({"keys": []})),
        ResponseTemplate::new(200).set_body_string(format!(
            "{}{}",
            key_set(&[&key]),
            " ".repeat(300_000)
        )),
        ResponseTemplate::new(302).insert_header("location", "/elsewhere"),
    ];
    for answer in bad {
        server.reset().await;
        Mock::given(path(DISCOVERY))
            .respond_with(ResponseTemplate::new(200).set_body_json(&metadata))
            .mount(&server)
            .await;
        let stranger = key_set(&[&Key::new("stranger")]);
        Mock::given(path("/elsewhere"))
            .respond_with(ResponseTemplate::new(200).set_body_json(stranger))
            .mount(&server)
            .await;
        Mock::given(path("/keys"))
            .respond_with(answer)
            .mount(&server)
            .await;
        until(async || requests(&server, "/keys").await >= 2).await;
        verifier.verify(&token).await.unwrap();
    }
}

#[tokio::test]
async fn another_issuers_discovery_document_is_not_believed() {
    let (server, key) = (MockServer::start().await, Key::new("k1"));
    publish(&server, &[&key]).await;
    // The same server under another name: its document names itself.
    let issuer = server.uri().replace("127.0.0.1", "localhost");
    let verifier = Verifier::discover(&issuer, AUDIENCE).unwrap();
    let refused = verifier.verify(&key.token(&claims_of(&issuer))).await;
    assert_eq!(refused, Err(Rejected::KeysUnavailable));
    assert_eq!(requests(&server, "/keys").await, 0);
}

#[tokio::test]
async fn an_issuer_with_a_path_is_discovered_below_it() {
    let (server, key) = (MockServer::start().await, Key::new("k1"));
    let issuer = format!("{}/realms/shop/", server.uri());
    let metadata = json!({"issuer": issuer, "jwks_uri": format!("{}/keys", server.uri())});
    for (place, body) in [
        ("/realms/shop/.well-known/openid-configuration", metadata),
        ("/keys", key_set(&[&key])),
    ] {
        Mock::given(path(place))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(&server)
            .await;
    }
    let verifier = Verifier::discover(&issuer, AUDIENCE).unwrap();
    verifier
        .verify(&key.token(&claims_of(&issuer)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_slow_issuer_does_not_hold_its_callers_for_ever() {
    let (server, key) = (MockServer::start().await, Key::new("k1"));
    Mock::given(path("/keys"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_mins(1)))
        .mount(&server)
        .await;
    let verifier = Verifier::builder(server.uri(), AUDIENCE)
        .jwks_url(format!("{}/keys", server.uri()))
        .wait_for_keys(Duration::from_millis(200))
        .build()
        .unwrap();
    let started = Instant::now();
    let refused = verifier.verify(&key.token(&claims_of(&server.uri()))).await;
    assert_eq!(refused, Err(Rejected::KeysUnavailable));
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

async fn until(condition: impl AsyncFn() -> bool) {
    timeout(Duration::from_secs(20), async {
        while !condition().await {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("it never came true");
}
