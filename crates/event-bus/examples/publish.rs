//! Publishing: one message, a batch in which one entry is refused, a message for later.
//!
//! `cargo run --example publish [URL]`, with the feature of the URL's backend; without one, in memory.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use commerce_contracts::CloudEvent;
use commerce_event_bus::{EventBus, Message, Subscription, SubscriptionName, TopicName};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "memory:".to_owned());
    publish(&url, &mut io::stdout()).await
}

/// The example; it tells what it sees.
pub(crate) async fn publish(url: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let bus = EventBus::connect(url).await?;
    let topic = TopicName::new("orders.placed")?;
    // RabbitMQ and SNS keep a message for the subscriptions there are: make one first.
    let billing = Subscription::new(topic.clone(), SubscriptionName::new("billing")?);
    let mut deliveries = bus.subscribe(billing).await?;

    let order = |number: u32, data: Vec<u8>| {
        let event = CloudEvent::new("/shop", "orders.order.placed.v1")?
            .with_key(format!("order-{number}"))?
            .with_data("application/octet-stream", data)?;
        Ok::<_, Box<dyn Error>>(Message::new(topic.clone(), event))
    };

    // One message. `Ok`: the backend has it durably.
    bus.publish(order(1, b"one".to_vec())?).await?;
    writeln!(out, "order-1 accepted")?;

    // A batch reports every entry: one that is too large hides no other.
    let too_large = vec![0; bus.capabilities().max_message_bytes];
    let batch = vec![
        order(2, b"two".to_vec())?.with_header("signature", vec![0xff, 0x00])?,
        order(3, too_large)?,
        order(4, b"four".to_vec())?,
    ];
    for result in bus.publish_batch(batch).await {
        match result {
            Ok(_) => writeln!(out, "accepted")?,
            // It says whether the backend has it (`Failed`: no; `Unknown`: perhaps) and gives the message back.
            Err(refused) => writeln!(
                out,
                "{:?}, {} again: {}",
                refused.kind(),
                if refused.is_retryable() {
                    "worth trying"
                } else {
                    "never"
                },
                refused.message().key().unwrap_or_default()
            )?,
        }
    }

    // Not before it is due.
    let later = order(5, b"five".to_vec())?.with_delay(Duration::from_millis(200));
    bus.publish(later).await?;

    let mut seen = Vec::new();
    while seen.len() < 4 {
        if let Some(delivery) = deliveries.next().await? {
            seen.extend(delivery.message().key().map(ToOwned::to_owned));
            delivery.ack().await?;
        }
    }
    writeln!(out, "the last one was for later: {}", seen[3])?;
    bus.close(Duration::from_secs(10)).await?;
    Ok(())
}
