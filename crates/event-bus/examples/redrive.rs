//! Dead letters: look at them, mend the cause, give some of them another life.
//!
//! `cargo run --example redrive [URL]`, with the feature of the URL's backend; without one, in memory.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use commerce_contracts::CloudEvent;
use commerce_event_bus::{
    EventBus, Filter, Message, Redrive, Subscription, SubscriptionName, TopicName,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "memory:".to_owned());
    redrive(&url, &mut io::stdout()).await
}

/// The example; it tells what it sees.
pub(crate) async fn redrive(url: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let bus = EventBus::connect(url).await?;
    let topic = TopicName::new("payments.requested")?;
    let cards = SubscriptionName::new("cards")?;
    let mut deliveries = bus
        .subscribe(Subscription::new(topic.clone(), cards.clone()))
        .await?;

    for (payment, country) in [(1, "br"), (2, "pt"), (3, "br")] {
        let event = CloudEvent::new("/shop", "payments.payment.requested.v1")?
            .with_key("customer-7")?
            .with_subject(format!("{country}/{payment}"))?;
        bus.publish(Message::new(topic.clone(), event)).await?;
    }
    for _ in 0..3 {
        if let Some(delivery) = deliveries.next().await? {
            delivery.reject("the card network is unknown").await?;
        }
    }

    for letter in bus.dead_letters(&topic, &cards, 10).await? {
        // Bytes that are no event are kept too, as they came: `Err`.
        if let Ok(message) = &letter.body {
            let subject = message.event.subject().unwrap_or_default();
            writeln!(
                out,
                "{subject}: {} (attempts: {})",
                letter.reason(),
                letter.attempts
            )?;
        }
    }

    // In their order per key, the oldest first, not too fast for who handles them.
    let brazilian = Redrive::all()
        .filter(Filter::new().prefix("subject", "br/"))
        .per_second(100.try_into()?);
    let count = bus.redrive(&topic, &cards, brazilian).await?;
    writeln!(out, "redriven: {count}")?;
    for _ in 0..count {
        if let Some(delivery) = deliveries.next().await? {
            let subject = delivery.message().event.subject().unwrap_or_default();
            writeln!(out, "{subject}: charged in attempt {}", delivery.attempt())?;
            delivery.ack().await?;
        }
    }

    let forgotten = bus.purge_dead_letters(&topic, &cards).await?;
    writeln!(out, "forgotten: {forgotten}")?;
    bus.close(Duration::from_secs(10)).await?;
    Ok(())
}
