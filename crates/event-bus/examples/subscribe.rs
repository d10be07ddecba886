//! Subscribing: order per key, retries, a filter, and closing with what is in flight.
//!
//! `cargo run --example subscribe [URL]`, with the feature of the URL's backend; without one, in memory.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use commerce_contracts::CloudEvent;
use commerce_event_bus::{EventBus, Filter, Message, Subscription, SubscriptionName, TopicName};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "memory:".to_owned());
    subscribe(&url, &mut io::stdout()).await
}

/// The example; it tells what it sees.
pub(crate) async fn subscribe(url: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let bus = EventBus::connect(url).await?;
    let topic = TopicName::new("orders.changed")?;

    // Every subscription sees every message; members of one share them. What a backend cannot do it says here.
    let shipping = Subscription::new(topic.clone(), SubscriptionName::new("shipping")?)
        .max_in_flight(16)
        .filter(Filter::new().equals("type", "orders.order.paid.v1"));
    let mut deliveries = bus.subscribe(shipping.clone()).await?;

    for (order, change) in [(1, "placed"), (1, "paid"), (2, "placed"), (2, "paid")] {
        let event = CloudEvent::new("/shop", format!("orders.order.{change}.v1"))?
            .with_key(format!("order-{order}"))?;
        bus.publish(Message::new(topic.clone(), event)).await?;
    }

    let mut done = 0;
    while done < 2 {
        let Some(delivery) = deliveries.next().await? else {
            break; // the bus was closed
        };
        let key = delivery.message().key().unwrap_or_default().to_owned();
        if key == "order-1" && delivery.attempt() == 1 {
            writeln!(out, "{key}: the carrier does not answer")?;
            // Its key waits, no other does. Dropping the delivery would do the same, without the delay.
            delivery.retry(Duration::from_millis(100)).await?;
            continue;
        }
        writeln!(out, "{key}: shipped in attempt {}", delivery.attempt())?;
        // Settling takes the delivery: twice does not compile. A failure gives it back, to settle it again.
        delivery.ack().await?;
        done += 1;
    }

    let backlog = bus.backlog(&shipping.topic, &shipping.name).await?;
    writeln!(out, "in flight: {}", backlog.in_flight)?;
    // Intake ends, what is in flight gets its time; an error says what did not make it.
    bus.close(Duration::from_secs(10)).await?;
    writeln!(out, "closed: {}", deliveries.next().await?.is_none())?;
    Ok(())
}
