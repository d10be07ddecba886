//! The links of a document: HAL `_links`, `links` arrays and the `Link` header, under one roof.

use bytes::Bytes;
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::Value;

use crate::link_header;

/// A link as the server wrote it. Its address is resolved against the document's when it is followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// What the target is to this document.
    pub rel: String,
    /// The address, or the URI template when `templated`.
    pub href: String,
    /// The address is a URI template (RFC 6570).
    pub templated: bool,
    /// Tells links of the same relation apart.
    pub name: Option<String>,
    /// A label for people.
    pub title: Option<String>,
    /// The method a `links` array names for this link.
    pub method: Option<String>,
    /// Where to read about the link's deprecation, when it is deprecated.
    pub deprecation: Option<String>,
}

/// The links of one document, in the order they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links(Vec<Link>);

impl Links {
    /// The first link of this relation.
    pub fn get(&self, rel: &str) -> Option<&Link> {
        self.0.iter().find(|link| link.rel == rel)
    }

    /// Every link of this relation.
    pub fn all<'a>(&'a self, rel: &'a str) -> impl Iterator<Item = &'a Link> {
        self.0.iter().filter(move |link| link.rel == rel)
    }

    /// Every link.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.0.iter()
    }

    /// Whether the document has no link at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The links of a response. A body that is no JSON object has none.
    pub(crate) fn of(headers: &HeaderMap, body: &Bytes) -> Self {
        let mut links = Vec::new();
        if let Ok(document) = serde_json::from_slice::<LinkedDocument>(body) {
            hal(document.hal, &mut links);
            array(document.array, &mut links);
        }
        for value in headers.get_all(header::LINK) {
            if let Ok(value) = value.to_str() {
                link_header::parse(value, &mut links);
            }
        }
        Self(links)
    }

    /// The relations on offer, for an error that says what could have been followed.
    pub(crate) fn relations(&self) -> String {
        let mut relations: Vec<&str> = self.0.iter().map(|link| link.rel.as_str()).collect();
        relations.sort_unstable();
        relations.dedup();
        if relations.is_empty() {
            "none".to_owned()
        } else {
            relations.join(", ")
        }
    }
}

/// Only the members that hold links; everything else is skipped without being built.
#[derive(Deserialize)]
struct LinkedDocument {
    #[serde(rename = "_links", default)]
    hal: Value,
    #[serde(rename = "links", default)]
    array: Value,
}

/// HAL: `{"_links": {"rel": {"href": …} | [{"href": …}, …]}}`.
fn hal(links: Value, into: &mut Vec<Link>) {
    let Value::Object(relations) = links else {
        return;
    };
    for (rel, targets) in relations {
        match targets {
            Value::Array(targets) => {
                into.extend(targets.iter().filter_map(|target| link(&rel, target)));
            }
            target => into.extend(link(&rel, &target)),
        }
    }
}

/// `{"links": [{"rel": "next", "href": …, "method": …}, …]}`; a `rel` may hold several relations.
fn array(links: Value, into: &mut Vec<Link>) {
    let Value::Array(targets) = links else { return };
    for target in &targets {
        let Some(rels) = target["rel"].as_str() else {
            continue;
        };
        into.extend(
            rels.split_ascii_whitespace()
                .filter_map(|rel| link(rel, target)),
        );
    }
}

fn link(rel: &str, target: &Value) -> Option<Link> {
    let text = |name: &str| target[name].as_str().map(str::to_owned);
    Some(Link {
        rel: rel.to_owned(),
        href: text("href")?,
        templated: target["templated"].as_bool().unwrap_or(false),
        name: text("name"),
        title: text("title"),
        method: text("method"),
        deprecation: text("deprecation"),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn links(body: &'static str) -> Links {
        Links::of(&HeaderMap::new(), &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn hal_single_and_multiple() {
        let links = links(
            r#"{"_links":{"self":{"href":"/o/1"},"item":[{"href":"/i/1","name":"a"},{"href":"/i/2"}],
                "find":{"href":"/o{?id}","templated":true}},"total":3}"#,
        );
        assert_eq!(links.get("self").unwrap().href, "/o/1");
        assert_eq!(links.all("item").count(), 2);
        assert!(links.get("find").unwrap().templated);
        assert_eq!(links.relations(), "find, item, self");
    }

    #[test]
    fn array_with_several_relations() {
        let links =
            links(r#"{"links":[{"rel":"next last","href":"?page=2","method":"GET"},{"rel":"x"}]}"#);
        assert_eq!(links.get("next").unwrap().href, "?page=2");
        assert_eq!(links.get("last").unwrap().method.as_deref(), Some("GET"));
        assert!(
            links.get("x").is_none(),
            "a link without an address is no link"
        );
    }

    #[test]
    fn headers_join_the_body() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::LINK,
            HeaderValue::from_static(r#"</n>; rel="next""#),
        );
        let links = Links::of(
            &headers,
            &Bytes::from_static(br#"{"_links":{"self":{"href":"/"}}}"#),
        );
        assert!(links.get("next").is_some() && links.get("self").is_some());
    }

    #[test]
    fn odd_documents_have_no_links() {
        for body in [
            "",
            "[]",
            "7",
            r#"{"_links":null}"#,
            r#"{"_links":[1],"links":{"a":1}}"#,
            r#"{"links":[1,null]}"#,
        ] {
            assert!(links(body).is_empty(), "{body}");
        }
        assert_eq!(links("{}").relations(), "none");
    }
}
