//! Appending, and waiting for room.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout_at};

use super::config::Config;
use super::{Shared, closed};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, PublishError};
use crate::message::{Accepted, Message};

/// Appends each message when there is room for it, in order.
pub(super) async fn publish(
    shared: &Shared,
    messages: Vec<Message>,
) -> Vec<Result<Accepted, PublishError>> {
    let deadline = Instant::now() + shared.config.publish_timeout;
    let mut results = Vec::with_capacity(messages.len());
    let mut refused = None;
    for message in messages {
        let result = match refused {
            None => match can_be_carried(&message, shared.config.max_message) {
                Ok(()) => append(shared, message, deadline).await,
                // Refused alone: it would never be accepted, and those after it need not wait for that.
                Err(error) => {
                    results.push(Err(PublishError::failed(message, error)));
                    continue;
                }
            },
            // It would come before the one that was refused.
            Some(kind) => {
                let problem = "a message before it in the batch was not accepted";
                Err(PublishError::failed(
                    message,
                    Error::new(kind, "publish", problem),
                ))
            }
        };
        if let Err(error) = &result {
            refused = Some(error.error().kind());
        }
        results.push(result);
    }
    results
}

async fn append(
    shared: &Shared,
    mut message: Message,
    deadline: Instant,
) -> Result<Accepted, PublishError> {
    let size = message.size();
    loop {
        // Made before the look at the state: what is settled between the look and the wait is not missed.
        let settled = shared.settled.notified();
        {
            let mut state = shared.state();
            if state.closed {
                return Err(PublishError::failed(message, closed("publish")));
            }
            state.publish_due();
            if state.has_room(size, &shared.config) {
                if let Some(due) = message
                    .deliver_at
                    .and_then(|time| still_to_come(&shared.clock, time))
                {
                    message.deliver_at = None;
                    state.schedule(due, message);
                    return Ok(Accepted::new(None));
                }
                message.deliver_at = None;
                let sequence = state.append(message);
                return Ok(Accepted::new(Some(sequence.to_string())));
            }
        }
        if timeout_at(deadline, settled).await.is_err() {
            let Config {
                capacity,
                capacity_bytes,
                ..
            } = shared.config;
            let problem = format!(
                "what is kept is unsettled and leaves no room within {capacity} messages and {capacity_bytes} bytes; \
                 settle it, or raise capacity or capacity_bytes"
            );
            return Err(PublishError::failed(
                message,
                Error::new(ErrorKind::Timeout, "publish", problem),
            ));
        }
    }
}

fn can_be_carried(message: &Message, limit: usize) -> Result<(), Error> {
    // It would come back here; what works in memory is to work everywhere.
    message.ensure_comes_back()?;
    let size = message.size();
    if size <= limit {
        return Ok(());
    }
    let problem = format!("the message is {size} bytes, and {limit} are allowed (max_message)");
    Err(Error::new(ErrorKind::Message, "publish", problem))
}

/// When on tokio's clock, which tests pause, a time of the wall clock is; `None` when it has passed. A time beyond what
/// the clock can count is as good as never: thirty years.
fn still_to_come(clock: &Clock, time: DateTime<Utc>) -> Option<Instant> {
    let delay = (time - clock.now()).to_std().ok()?;
    let now = Instant::now();
    now.checked_add(delay)
        .or_else(|| now.checked_add(Duration::from_hours(30 * 365 * 24)))
}
