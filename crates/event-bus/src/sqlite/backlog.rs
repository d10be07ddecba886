//! Looking at subscriptions from outside.

use super::claim::number;
use super::clock::Millis;
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

/// The topics that there are.
pub(super) async fn topics(shared: &Shared) -> Result<Vec<TopicName>, Error> {
    if shared.is_closed() {
        return Err(fault::closed("topics"));
    }
    let names: Vec<String> = sqlx::query_scalar("SELECT name FROM topic ORDER BY name")
        .fetch_all(&shared.readers)
        .await
        .map_err(|source| fault::error("topics", source))?;
    let valid = |name: String| {
        TopicName::new(&name).map_err(|source| {
            let problem = "the bus file has a topic with a name that is none";
            Error::new(ErrorKind::Backend, "topics", problem).with_source(source)
        })
    };
    names.into_iter().map(valid).collect()
}

/// Counts in one statement, so that the numbers belong together. It takes as long as the backlog is.
pub(super) async fn count(shared: &Shared, place: Place) -> Result<Backlog, Error> {
    let counted: (i64, i64, i64, i64, Option<Millis>) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM message
                 WHERE topic_id = ?1 AND sequence > (SELECT cursor FROM subscription WHERE id = ?2)),
                (SELECT count(*) FROM delivery WHERE subscription_id = ?2),
                (SELECT count(*) FROM delivery WHERE subscription_id = ?2 AND head = 1 AND ready_at > ?3 AND fence > 0),
                (SELECT count(*) FROM dead_letter WHERE subscription_id = ?2),
                (SELECT published_at FROM message WHERE sequence = coalesce(
                    (SELECT min(sequence) FROM delivery WHERE subscription_id = ?2),
                    (SELECT min(sequence) FROM message
                     WHERE topic_id = ?1 AND sequence > (SELECT cursor FROM subscription WHERE id = ?2))))",
    )
    .bind(place.topic)
    .bind(place.subscription)
    .bind(shared.clock.steady())
    .fetch_one(&shared.readers)
    .await
    .map_err(|source| fault::error("backlog", source))?;
    let (untaken, taken, in_flight, dead, oldest_at) = counted;
    let backlog = Backlog::new(
        number(untaken + taken - in_flight),
        number(in_flight),
        number(dead),
    );
    Ok(backlog.with_oldest_at(oldest_at.map(clock::time)))
}
