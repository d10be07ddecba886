//! The rows of the outbox: reading a page, deleting what was published.

use commerce_contracts::CloudEvent;
use commerce_event_bus::{Message, TopicName};

use super::aside::Without;
use crate::failure::Failure;
use crate::storage::{AssertSqlSafe, Database, Error};

/// One stored event.
pub(super) struct Entry {
    pub(super) position: i64,
    pub(super) topic: String,
    pub(super) lane: String,
    /// An entry that cannot be read stands in its lane's way, loudly, until somebody repairs it.
    pub(super) message: Result<Message, String>,
}

/// The oldest entries, without those of some topics and lanes.
///
/// It always reads from the very beginning. PostgreSQL gives out positions before it commits: a
/// position below the last one read may become visible later, and would be overtaken by its
/// successors if reading went on from there.
pub(super) async fn read(
    database: &Database,
    limit: usize,
    without: &Without<'_>,
) -> Result<Vec<Entry>, Error> {
    let mut conditions = Vec::new();
    let mut first = 2;
    for (column, names) in [("topic", &without.topics), ("lane", &without.lanes)] {
        if !names.is_empty() {
            let places = padded(names.len());
            conditions.push(format!("{column} NOT IN {}", list(first, places)));
            first += places;
        }
    }
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", conditions.join(" AND "))
    };
    let sql = format!(
        "SELECT position, topic, lane, event FROM outbox {conditions} ORDER BY position LIMIT $1"
    );
    let mut query = database
        .query(AssertSqlSafe(sql))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    for name in pad(&without.topics).chain(pad(&without.lanes)) {
        query = query.bind(*name);
    }
    let rows: Vec<(i64, String, String, String)> = query.fetch_all().await?;
    let entries = rows
        .into_iter()
        .map(|(position, topic, lane, event)| Entry {
            position,
            message: decode(&topic, &event).map_err(|error| error.reason()),
            topic,
            lane,
        });
    Ok(entries.collect())
}

fn decode(topic: &str, event: &str) -> Result<Message, Failure> {
    let topic = TopicName::new(topic)?;
    let event = CloudEvent::from_json(event.as_bytes())?;
    Ok(Message::new(topic, event))
}

/// Deletes entries that the bus has confirmed.
pub(super) async fn delete(database: &Database, positions: &[i64]) -> Result<(), Error> {
    if positions.is_empty() {
        return Ok(());
    }
    // Not "up to the last one": see `read`.
    let places = list(1, padded(positions.len()));
    let sql = format!("DELETE FROM outbox WHERE position IN {places}");
    let mut query = database.query(AssertSqlSafe(sql));
    for position in pad(positions) {
        query = query.bind(*position);
    }
    query.execute().await?;
    Ok(())
}

/// Lists are filled up to a power of two by repeating the last item, so that a handful of prepared
/// statements serves lists of every length.
fn padded(length: usize) -> usize {
    length.next_power_of_two()
}

fn pad<T>(items: &[T]) -> impl Iterator<Item = &T> {
    let filling = padded(items.len()) - items.len();
    let last = items.last().into_iter().cycle().take(filling);
    items.iter().chain(last)
}

/// `($first, …)` with `length` placeholders.
fn list(first: usize, length: usize) -> String {
    let places: Vec<_> = (first..first + length).map(|n| format!("${n}")).collect();
    format!("({})", places.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_padded_with_their_last_item() {
        assert_eq!(list(2, padded(3)), "($2, $3, $4, $5)");
        assert_eq!(pad(&[7, 8, 9]).copied().collect::<Vec<_>>(), [7, 8, 9, 9]);
        assert_eq!(pad(&[7, 8]).copied().collect::<Vec<_>>(), [7, 8]);
    }
}
