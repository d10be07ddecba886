//! Lists, a page at a time.

use commerce_host::Problem;
use commerce_host::hal::Resource;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

const USUAL: u32 = 50;
const MOST: u32 = 200;

/// Which part of a list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Where the page begins: taken from the `next` link of the page before.
    cursor: Option<String>,
    /// How many at most: 1 to 200, 50 unless given.
    limit: Option<u32>,
}

impl Page {
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The limit, or what is wrong with it.
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        match self.limit {
            None => Ok(USUAL),
            Some(limit @ 1..=MOST) => Ok(limit),
            Some(_) => Err(Problem::bad_request(format!(
                "limit must be a number from 1 to {MOST}"
            ))),
        }
    }
}

/// Shows rows at `path` under `relation`. One row more than the limit was asked for: it tells that there is a next page.
pub(crate) fn show<Row, State: Serialize + Send + Sync + 'static>(
    (path, relation): (&str, &str),
    limit: u32,
    mut rows: Vec<Row>,
    cursor: impl Fn(&Row) -> String,
    resource: impl Fn(Row) -> Resource<State>,
) -> Resource<serde_json::Map<String, serde_json::Value>> {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|last| format!("{path}?cursor={}&limit={limit}", cursor(last)));
    Resource::new(serde_json::Map::new())
        .link("self", path)
        .link_if("next", next)
        .embed(relation, rows.into_iter().map(resource).collect::<Vec<_>>())
}

/// The cursor of a list that is ordered by UUID; without one, the UUID before all others.
pub(crate) fn uuid(page: &Page) -> Result<uuid::Uuid, Problem> {
    match page.cursor() {
        None => Ok(uuid::Uuid::nil()),
        Some(cursor) => cursor
            .parse()
            .map_err(|_| Problem::bad_request("this cursor was not taken from a next link")),
    }
}
