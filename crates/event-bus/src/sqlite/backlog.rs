//! Looking at subscriptions from outside.

use super::desk::Place;
use super::{Shared, clock, fault};
use crate::backlog::Backlog;
use crate::error::{Error, ErrorKind};
use crate::name::{SubscriptionName, TopicName};

/// Finds an existing subscription.
pub(super) async fn find(
    shared: &Shared,
    operation: &'static str,
    topic: &TopicName,
    name: &SubscriptionName,
) -> Result<Place, Error> {
    if shared.is_closed() {
        return Err(fault::closed(operation));
    }
    let found: Option<(i64, i64, bool)> = sqlx::query_as(
        "SELECT s.topic_id, s.id, s.ordered FROM subscription AS s JOIN topic AS t ON t.id = s.topic_id
         WHERE t.name = ?1 AND s.name = ?2",
    )
    .bind(topic.as_str())
    .bind(name.as_str())
    .fetch_optional(&shared.readers)
    .await
    .map_err(|source| fault::error(operation, source))?;
    let (topic, subscription, ordered) = found.ok_or_else(|| {
        let problem = format!("topic {topic} has no subscription {name}");
        Error::new(ErrorKind::Config, operation, problem)
    })?;
    Ok(Place {
        topic,
        subscription,
        ordered,
    })
}

/// Counts in one statement, so that the numbers belong together. It takes as long as the backlog is.
pub(super) async fn count(shared: &Shared, place: Place) -> Result<Backlog, Error> {
    let (untaken, taken, in_flight, dead): (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM message
                 WHERE topic_id = ?1 AND sequence > (SELECT cursor FROM subscription WHERE id = ?2)),
                (SELECT count(*) FROM delivery WHERE subscription_id = ?2),
                (SELECT count(*) FROM delivery WHERE subscription_id = ?2 AND head = 1 AND due > ?3 AND fence > 0),
                (SELECT count(*) FROM dead_letter WHERE subscription_id = ?2)",
    )
    .bind(place.topic)
    .bind(place.subscription)
    .bind(clock::now())
    .fetch_one(&shared.readers)
    .await
    .map_err(|source| fault::error("backlog", source))?;
    let count = |stored: i64| u64::try_from(stored).unwrap_or_default();
    Ok(Backlog::new(
        count(untaken + taken - in_flight),
        count(in_flight),
        count(dead),
    ))
}
