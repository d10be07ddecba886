//! TLS and SASL against a broker that wants them. `KAFKA_SECURED` says how to reach it: `HOST:PORT` of a SASL_SSL listener
//! with PLAIN (user `alice`) and SCRAM (user `bob`), both with the password `p@ss/word`, a space, `HOST:PORT` of one with
//! OAUTHBEARER (unsecured tokens, which Kafka takes unless told otherwise), a space, and the path of the authority's
//! certificate.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use commerce_event_bus::{Token, TokenSource};

use super::*;

struct Secured {
    password: String,
    tokens: String,
    authority: String,
}

fn secured() -> Secured {
    let named = std::env::var("KAFKA_SECURED").expect("KAFKA_SECURED names the broker");
    let mut parts = named.split(' ').map(str::to_owned);
    let mut next = || parts.next().expect("two listeners and a path");
    Secured {
        password: next(),
        tokens: next(),
        authority: next(),
    }
}

async fn round_trip(bus: &EventBus) {
    let topic = new_topic();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    publish(bus, &topic, Some("a"), 0..3).await;
    assert_eq!(take(&mut subscriber, 2).await, [0, 1]);
    receive(&mut subscriber).await.reject("no").await.unwrap();
    let backlog = bus.backlog(&topic, &subscription(&topic).name).await;
    assert_eq!(backlog.unwrap().dead, 1);
    bus.close(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_over_tls() {
    let Secured {
        password: host,
        authority,
        ..
    } = secured();
    for (user, mechanism) in [
        ("alice", "plain"),
        ("bob", "scram-sha-256"),
        ("bob", "scram-sha-512"),
    ] {
        let settings = format!("sasl={mechanism}&tls_ca={authority}&partitions=1");
        let url = format!("kafka://{user}:p%40ss%2Fword@{host}?{settings}");
        round_trip(&EventBus::connect(&url).await.unwrap()).await;

        let url = format!("kafka://{user}:s3cret@{host}?{settings}&request_timeout=5s");
        let error = EventBus::connect(&url).await.unwrap_err();
        println!("{error}");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(!error.is_retryable() && !format!("{error:?}").contains("s3cret"));
    }
    // A broker whose certificate this system's authorities did not sign is not talked to.
    let url = format!("kafka://alice:p%40ss%2Fword@{host}?sasl=plain&request_timeout=5s");
    let error = EventBus::connect(&url).await.unwrap_err();
    println!("{error}");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

/// Tokens without a signature, each valid for a few seconds.
struct Unsigned;

#[async_trait]
impl TokenSource for Unsigned {
    async fn token(&self) -> Result<Token, Error> {
        let now = SystemTime::now();
        let ends = now + Duration::from_secs(15);
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            since.as_secs()
        };
        let claims = format!(
            r#"{{"sub":"carol","iat":{},"exp":{}}}"#,
            seconds(now),
            seconds(ends)
        );
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let token = format!("{header}.{}.", URL_SAFE_NO_PAD.encode(claims));
        Ok(Token::new(token, "carol", ends))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_over_tls() {
    let secured = secured();
    let settings = format!("tls_ca={}&partitions=1", secured.authority);
    // Topics cannot be made with tokens: who administers makes them.
    let administrator = format!(
        "kafka://alice:p%40ss%2Fword@{}?sasl=plain&{settings}",
        secured.password
    );
    let administrator = EventBus::connect(&administrator).await.unwrap();
    let topic = new_topic();
    let name = subscription(&topic).name;
    let mut subscriber = administrator.subscribe(subscription(&topic)).await.unwrap();
    publish(&administrator, &topic, Some("a"), 0..2).await;
    for _ in 0..2 {
        let delivery = receive(&mut subscriber).await;
        delivery.reject("for a person").await.unwrap();
    }
    subscriber.close().await;

    let url = format!("kafka://{}?sasl=oauthbearer&{settings}", secured.tokens);
    let connector = EventBus::connector(&url).tokens(Arc::new(Unsigned));
    let bus = connector.connect().await.unwrap();
    let mut subscriber = bus.subscribe(subscription(&topic)).await.unwrap();
    publish(&bus, &topic, Some("a"), [2]).await;
    assert_eq!(take(&mut subscriber, 1).await, [2]);
    // Records cannot be deleted with tokens either, and still count once.
    let one = commerce_event_bus::Redrive::all().limit(1);
    assert_eq!(bus.redrive(&topic, &name, one).await.unwrap(), 1);
    assert_eq!(take(&mut subscriber, 1).await, [0]);
    assert_eq!(bus.backlog(&topic, &name).await.unwrap().dead, 1);
    assert_eq!(bus.purge_dead_letters(&topic, &name).await.unwrap(), 1);
    assert_eq!(bus.backlog(&topic, &name).await.unwrap().dead, 0);
    // Longer than a token lives.
    tokio::time::sleep(Duration::from_secs(40)).await;
    bus.check().await.unwrap();
    publish(&bus, &topic, Some("a"), [3]).await;
    assert_eq!(take(&mut subscriber, 1).await, [3]);
    let error = bus.subscribe(subscription(&new_topic())).await.unwrap_err();
    assert!(
        error.to_string().contains("make it with Kafka's own tools"),
        "{error}"
    );
    bus.close(PATIENCE).await.unwrap();
}
