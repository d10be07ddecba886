//! What the broker refuses until somebody mends it: told as such, and never at the cost of another topic.

use commerce_event_bus::{ErrorKind, EventBus, PublishErrorKind};
use lapin::ExchangeKind;
use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;

use crate::management::Management;
use crate::servers::*;
use crate::{VARIABLE, raw};

const PASSWORD: &str = "pa55word-of-a-test";

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_the_user_may_not_write_to_is_no_passing_trouble() {
    let Some(url) = server(VARIABLE) else { return };
    let Some(management) = Management::find() else {
        return;
    };
    let (allowed, forbidden) = (new_topic(), new_topic());
    let user = allowed.as_str().replace('.', "-");
    let pattern = format!("^{}($|\\.)", allowed.as_str().replace('.', "\\."));
    management.allow(&user, PASSWORD, &pattern).await;
    // Who may do everything makes both topics and reads the allowed one.
    let all = EventBus::connect(&url).await.unwrap();
    let mut subscriber = all.subscribe(subscription(&allowed)).await.unwrap();
    let _other = all.subscribe(subscription(&forbidden)).await.unwrap();

    let mut restricted = url::Url::parse(&url).unwrap();
    restricted.set_username(&user).unwrap();
    restricted.set_password(Some(PASSWORD)).unwrap();
    let bus = EventBus::connect(restricted.as_str()).await.unwrap();
    let error = bus.publish(message(&forbidden, Some("a"), 1)).await;
    let error = error.unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Config, "{error}");
    assert!(!error.is_retryable(), "{error}");
    assert!(error.to_string().contains("permission"), "{error}");

    let batch = vec![
        message(&forbidden, Some("a"), 2),
        message(&allowed, Some("a"), 3),
        message(&forbidden, Some("a"), 4),
        message(&allowed, Some("a"), 5),
    ];
    let results = bus.publish_batch(batch).await;
    let kinds: Vec<_> = results
        .iter()
        .map(|result| {
            let told = result.as_ref().map(drop);
            told.map_err(|error| (error.kind(), error.error().kind()))
        })
        .collect();
    let refused = Err((PublishErrorKind::Failed, ErrorKind::Config));
    assert_eq!(kinds, [refused, Ok(()), refused, Ok(())]);
    assert_eq!(take(&mut subscriber, 2).await, [3, 5]);
    management.forget(&user).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_whose_exchange_is_of_another_kind_is_no_passing_trouble() {
    let Some(url) = server(VARIABLE) else { return };
    let (topic, other) = (new_topic(), new_topic());
    let direct = raw::channel(&url).await;
    direct
        .exchange_declare(
            topic.as_str().into(),
            ExchangeKind::Headers,
            ExchangeDeclareOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let bus = EventBus::connect(&url).await.unwrap();
    let mut subscriber = bus.subscribe(subscription(&other)).await.unwrap();
    let batch = vec![message(&other, Some("a"), 1), message(&topic, Some("a"), 2)];
    let results = bus.publish_batch(batch).await;
    assert!(results[0].is_ok(), "{results:?}");
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Failed);
    assert_eq!(error.error().kind(), ErrorKind::Config, "{error}");
    assert!(!error.is_retryable(), "{error}");
    assert_eq!(take(&mut subscriber, 1).await, [1]);
}
