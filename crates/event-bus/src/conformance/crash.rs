//! The case about a process that dies between handling and ack.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::failure::{ensure, ensure_eq};
use super::stage::{Stage, number};
use super::{Factory, Failure};
use crate::delivery::Delivery;
use crate::name::{SubscriptionName, TopicName};
use crate::subscription::{Order, Subscription};

/// Tells the process that is going to die what to subscribe to: topic, subscription, and whether in order.
const VARIABLE: &str = "EVENT_BUS_CONFORMANCE_HOLD";
/// What it says when it has one settled and one in hand.
const HOLDS: &str = "conformance: it holds a delivery";
/// Soon enough to be waited for, where a lease is what tells that somebody is gone.
const LEASE: Duration = Duration::from_secs(2);

/// What the process of [`Factory::process_to_kill`] calls: acks one delivery, takes the next, and holds it until it is
/// killed. In a process that the suite did not start it does nothing, so a test may call it.
///
/// # Errors
///
/// When no delivery comes, or nobody kills it.
pub async fn hold_until_killed(factory: &dyn Factory) -> Result<(), Failure> {
    let Ok(told) = std::env::var(VARIABLE) else {
        return Ok(());
    };
    let mut told = told.split(' ');
    let mut next = || {
        told.next()
            .ok_or_else(|| Failure::new(format!("{VARIABLE} is incomplete")))
    };
    let topic = TopicName::new(next()?)?;
    let subscription = Subscription::new(topic, SubscriptionName::new(next()?)?);
    let subscription = match next()? {
        "ordered" => subscription,
        _ => subscription.order(Order::Unordered),
    };
    let bus = factory.connect().await?;
    let mut subscriber = bus.subscribe(subscription.lease(LEASE)).await?;
    let ended = || Failure::new("the subscriber ended");
    let handled = subscriber.next().await?.ok_or_else(ended)?;
    handled.ack().await?;
    let held: Delivery = subscriber.next().await?.ok_or_else(ended)?;
    // A line of its own, whatever the test harness has begun to write.
    let mut output = std::io::stdout();
    writeln!(output, "\n{HOLDS}")?;
    output.flush()?;
    tokio::time::sleep(factory.patience() * 3).await;
    drop(held);
    Err(Failure::new("nobody killed it"))
}

pub(super) async fn what_a_killed_process_held_comes_again(
    stage: &Stage<'_>,
) -> Result<(), Failure> {
    let mut command = stage
        .factory
        .process_to_kill()
        .ok_or_else(|| Failure::inapplicable("process_to_kill"))?;
    let subscription = stage.subscription().lease(LEASE);
    // It is there before the messages are.
    stage.subscribe(&subscription).await?.close().await;
    stage.publish(Some("a"), 0..4).await?;
    let ordered = stage.bus.capabilities().ordered;
    let order = if ordered { "ordered" } else { "unordered" };
    let (topic, name) = (&subscription.topic, &subscription.name);
    command
        .env(VARIABLE, format!("{topic} {name} {order}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    tokio::task::spawn_blocking(move || killed_while_it_holds(command)).await??;

    let mut subscriber = stage.subscribe(&subscription).await?;
    let mut seen = Vec::new();
    // What it acked may come again: its process may not have got to say so.
    while seen.len() < 3 {
        let delivery = stage.receive(&mut subscriber).await?;
        let number = number(&delivery)?;
        delivery.ack().await?;
        let is_new = !seen.contains(&number);
        if is_new && !(ordered && number == 0) {
            seen.push(number);
        } else {
            ensure!(
                number == 0,
                "{number} came again, and it had been acked after the crash: {seen:?}"
            );
        }
    }
    if ordered {
        ensure_eq!(seen, [1, 2, 3], "what was held, and the rest of its key");
    }
    Ok(())
}

/// Runs it until it holds a delivery, and kills it.
fn killed_while_it_holds(mut command: Command) -> Result<(), Failure> {
    let mut child = command.spawn()?;
    let said = read_until_it_holds(&mut child);
    // It may have ended by itself, which `said` tells.
    let _ = child.kill();
    child.wait()?;
    said
}

fn read_until_it_holds(child: &mut Child) -> Result<(), Failure> {
    let output = child
        .stdout
        .take()
        .ok_or_else(|| Failure::new("its output is not ours"))?;
    let mut before = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line.ends_with(HOLDS) {
            return Ok(());
        }
        before.push(line);
    }
    Err(Failure::new(format!(
        "the process ended before it held a delivery; it said: {}",
        before.join(" ")
    )))
}
