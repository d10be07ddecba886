//! Hypertext Application Language: a resource says what can be done with it now.

use std::collections::BTreeMap;
use std::fmt;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::problem::Problem;

/// Media type of a HAL document.
pub const HAL_JSON: &str = "application/hal+json";

/// A link of a resource; an `href` with braces is a URI template (RFC 6570).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Link {
    href: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    templated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
}

impl Link {
    /// A link to a URL, or to a URI template.
    pub fn to(href: impl Into<String>) -> Self {
        let href = href.into();
        Self {
            templated: href.contains('{'),
            href,
            title: None,
        }
    }

    /// Says to a human what the link is for.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }
}

impl<T: Into<String>> From<T> for Link {
    fn from(href: T) -> Self {
        Self::to(href)
    }
}

type Embedded = Box<dyn Fn() -> Result<serde_json::Value, serde_json::Error> + Send + Sync>;

/// A state with links and embedded resources; answered as `application/hal+json`.
#[derive(Serialize, ToSchema)]
pub struct Resource<T> {
    #[serde(flatten)]
    #[schema(inline)]
    state: T,
    /// What can be done next, by link relation.
    #[serde(rename = "_links")]
    links: BTreeMap<String, Link>,
    /// Resources shown within this one, by link relation.
    #[serde(
        rename = "_embedded",
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "embedded"
    )]
    #[schema(value_type = Option<Object>)]
    embedded: BTreeMap<String, Embedded>,
}

impl<T> Resource<T> {
    /// A resource without links.
    pub fn new(state: T) -> Self {
        Self {
            state,
            links: BTreeMap::new(),
            embedded: BTreeMap::new(),
        }
    }

    /// Adds a link.
    pub fn link(mut self, relation: impl Into<String>, link: impl Into<Link>) -> Self {
        self.links.insert(relation.into(), link.into());
        self
    }

    /// Adds a link when there is one: `.link_if("next", page.next.map(|cursor| …))`.
    pub fn link_if(self, relation: &str, link: Option<impl Into<Link>>) -> Self {
        match link {
            Some(link) => self.link(relation, link),
            None => self,
        }
    }

    /// Embeds a list of resources (or one of anything that serialises).
    pub fn embed<E>(mut self, relation: impl Into<String>, resources: E) -> Self
    where
        E: Serialize + Send + Sync + 'static,
    {
        self.embedded.insert(
            relation.into(),
            Box::new(move || serde_json::to_value(&resources)),
        );
        self
    }

    /// The state.
    pub fn state(&self) -> &T {
        &self.state
    }
}

impl<T: fmt::Debug> fmt::Debug for Resource<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Resource")
            .field("state", &self.state)
            .field("links", &self.links)
            .field("embedded", &self.embedded.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl<T: Serialize> IntoResponse for Resource<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self) {
            Ok(body) => (
                [(header::CONTENT_TYPE, HeaderValue::from_static(HAL_JSON))],
                body,
            )
                .into_response(),
            Err(error) => Problem::internal(&error).into_response(),
        }
    }
}

fn embedded<S: Serializer>(
    embedded: &BTreeMap<String, Embedded>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut values = BTreeMap::new();
    for (relation, value) in embedded {
        values.insert(relation, value().map_err(serde::ser::Error::custom)?);
    }
    values.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Order {
        id: u32,
    }

    #[test]
    fn offers_links_and_embeds() {
        let resource = Resource::new(Order { id: 1 })
            .link("self", "/orders/1")
            .link("find", Link::to("/orders{?cursor}").title("all"))
            .link_if("cancel", None::<Link>)
            .embed(
                "items",
                vec![Resource::new(Order { id: 2 }).link("self", "/orders/2")],
            );
        let expected = serde_json::json!({
            "id": 1,
            "_links": {
                "self": { "href": "/orders/1" },
                "find": { "href": "/orders{?cursor}", "templated": true, "title": "all" },
            },
            "_embedded": { "items": [{ "id": 2, "_links": { "self": { "href": "/orders/2" } } }] },
        });
        assert_eq!(serde_json::to_value(&resource).unwrap(), expected);
        assert_eq!(
            resource.into_response().headers()[header::CONTENT_TYPE],
            HAL_JSON
        );
    }
}
