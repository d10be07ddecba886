//! The task that receives for one member.
//!
//! It asks SQS only while somebody waits for a delivery and nothing is here to hand out: every receive counts as an
//! attempt, so what nobody asked for is not received. One answer brings up to ten messages.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::call::{Parcel, receive};
use super::desk::Item;
use super::fault::{Fault, Pauses};
use super::member::Member;
use super::topology::Topology;
use super::wire::decode;

/// Receives until the member leaves.
pub(super) async fn run(topology: Arc<Topology>, member: Arc<Member>) {
    let mut pauses = Pauses::default();
    while let Some(room) = room(&member).await {
        // What goes back goes first: a server may not notice it in the middle of a request that waits.
        member.changes.settle_down().await;
        let started = Instant::now();
        let mut polling = tokio::spawn(poll(Arc::clone(&topology), Arc::clone(&member), room));
        let outcome = loop {
            tokio::select! {
                outcome = &mut polling => break outcome,
                () = member.wake.notified() => if member.desk().is_closed() {
                    // The request goes on without us: whatever it brings is released, where an aborted one would strand it.
                    return;
                },
            }
        };
        match outcome {
            Ok(Ok(())) => pauses = Pauses::default(),
            Ok(Err(fault)) => {
                restore(&topology, &member, &fault).await;
                pause(&member, pauses.next().saturating_sub(started.elapsed())).await;
            }
            // The runtime ends.
            Err(_) => return,
        }
    }
}

/// Waits until there is something to receive for; `None` when the member leaves.
async fn room(member: &Member) -> Option<usize> {
    loop {
        {
            let mut desk = member.desk();
            if desk.is_closed() {
                return None;
            }
            if member.is_wanted() {
                let (room, released) = desk.room();
                member.changes.make_visible(released);
                if room > 0 {
                    return Some(room);
                }
            }
        }
        member.wake.notified().await;
    }
}

async fn poll(topology: Arc<Topology>, member: Arc<Member>, room: usize) -> Result<(), Fault> {
    // Counted from before the request: our clock must not be behind the one that SQS counts with. So a wait is part of the
    // lease, and must leave enough of it.
    let since = Instant::now();
    let visibility = i32::try_from(member.lease.as_secs()).unwrap_or(i32::MAX);
    let wait = topology.config.wait.min(member.lease * 2 / 3);
    let parcels = receive(&topology, &member.queues.main, room, visibility, wait).await?;
    let mut unwanted = Vec::new();
    let mut items = Vec::with_capacity(parcels.len());
    for parcel in parcels {
        let item = item(&member, parcel);
        match &item.body {
            // Settled for the subscription without being delivered.
            Ok(message) if !member.subscription.filter.matches(&message.event) => {
                unwanted.push(item);
            }
            _ => items.push(item),
        }
    }
    member.release(|desk| desk.put(items, since, member.lease));
    member.beat.notify_one();
    // One that is not deleted comes again, and is filtered again.
    let unwanted = unwanted
        .into_iter()
        .map(|it| member.changes.delete(it.parcel.handle));
    join_all(unwanted).await;
    Ok(())
}

fn item(member: &Member, mut parcel: Parcel) -> Item {
    if !member.queues.main.fifo {
        // A standard queue has no order, and may name groups all the same: it shares its turns out among them.
        parcel.group = None;
    }
    let body = decode(
        &member.subscription.topic,
        &parcel.wire,
        parcel.group.as_deref(),
    );
    let bytes = match &body {
        Ok(message) => message.size(),
        Err(bytes) => bytes.payload.as_ref().map_or(0, bytes::Bytes::len),
    };
    Item {
        parcel,
        body,
        bytes,
    }
}

/// Makes again what is gone, and tells the receiver what waiting does not mend.
async fn restore(topology: &Topology, member: &Member, fault: &Fault) {
    let (topic, subscription) = (&member.subscription.topic, &member.subscription.name);
    tracing::warn!(?fault, %topic, %subscription, "SQS does not deliver");
    let error = if fault.is_missing() {
        topology.forget(topic);
        match topology.subscribe(&member.subscription).await {
            Ok(_) => {
                tracing::info!(%topic, %subscription, "the subscription was made again");
                return;
            }
            Err(error) => error,
        }
    } else {
        fault.error("receive")
    };
    if !error.is_retryable() {
        member.report(error);
    }
}

async fn pause(member: &Member, pause: Duration) {
    let until = sleep(pause);
    tokio::pin!(until);
    loop {
        tokio::select! {
            () = &mut until => return,
            () = member.wake.notified() => if member.desk().is_closed() {
                return;
            },
        }
    }
}
