//! Appending, and waiting for room.

use tokio::time::{Instant, timeout_at};

use super::{Shared, closed};
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
            None => append(shared, message, deadline).await,
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
    message: Message,
    deadline: Instant,
) -> Result<Accepted, PublishError> {
    loop {
        // Made before the look at the state: what is settled between the look and the wait is not missed.
        let settled = shared.settled.notified();
        {
            let mut state = shared.state();
            if state.closed {
                return Err(PublishError::failed(message, closed("publish")));
            }
            if state.has_room(shared.config.capacity) {
                let sequence = state.append(message);
                return Ok(Accepted::new(Some(sequence.to_string())));
            }
        }
        if timeout_at(deadline, settled).await.is_err() {
            let capacity = shared.config.capacity;
            let problem =
                format!("all {capacity} messages kept are unsettled, and no room came up in time");
            return Err(PublishError::failed(
                message,
                Error::new(ErrorKind::Timeout, "publish", problem),
            ));
        }
    }
}
