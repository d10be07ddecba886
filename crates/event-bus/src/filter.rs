//! Which messages of a topic a subscription wants.

use std::borrow::Cow;

use commerce_contracts::CloudEvent;

/// Which messages of a topic a subscription wants: all its conditions must hold. Without conditions, every message.
///
/// A condition looks at one attribute of the event, an extension included, in its canonical text. Backends
/// filter as early as they can: on the attributes, before a message is decoded. A message that is not wanted is settled for
/// the subscription without being delivered.
///
/// ```
/// use commerce_event_bus::Filter;
/// let domestic = Filter::new()
///     .any_of("type", ["orders.order.placed.v1", "orders.order.cancelled.v1"])
///     .prefix("subject", "br/")
///     .exists("tenant");
/// # let _ = domestic;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    conditions: Vec<Condition>,
}

/// A test of one attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Condition {
    /// The name of the attribute: `type`, `source`, `subject`, the name of an extension.
    pub attribute: String,
    /// What must hold of it.
    pub test: Test,
}

/// What must hold of an attribute. An attribute that is not there passes no test.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Test {
    /// It is this text.
    Equals(String),
    /// It begins with this text.
    Prefix(String),
    /// It is there.
    Exists,
    /// It is one of these texts.
    AnyOf(Vec<String>),
}

impl Filter {
    /// Every message.
    pub const fn new() -> Self {
        Self {
            conditions: Vec::new(),
        }
    }

    /// The attribute is this text.
    pub fn equals(self, attribute: impl Into<String>, value: impl Into<String>) -> Self {
        self.and(attribute, Test::Equals(value.into()))
    }

    /// The attribute begins with this text.
    pub fn prefix(self, attribute: impl Into<String>, prefix: impl Into<String>) -> Self {
        self.and(attribute, Test::Prefix(prefix.into()))
    }

    /// The attribute is there.
    pub fn exists(self, attribute: impl Into<String>) -> Self {
        self.and(attribute, Test::Exists)
    }

    /// The attribute is one of these texts.
    pub fn any_of<V: Into<String>>(
        self,
        attribute: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.and(attribute, Test::AnyOf(values))
    }

    fn and(mut self, attribute: impl Into<String>, test: Test) -> Self {
        let attribute = attribute.into();
        self.conditions.push(Condition { attribute, test });
        self
    }

    /// The conditions, for backends that translate them.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Whether it wants everything.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether the event is wanted.
    pub fn matches(&self, event: &CloudEvent) -> bool {
        self.matches_attributes(|name| attribute(event, name))
    }

    /// Whether an event of these attributes is wanted: for backends that have the attributes before the event.
    pub fn matches_attributes<'a>(&self, attribute: impl Fn(&str) -> Option<Cow<'a, str>>) -> bool {
        self.conditions.iter().all(|condition| {
            let Some(value) = attribute(&condition.attribute) else {
                return false;
            };
            match &condition.test {
                Test::Equals(wanted) => value == wanted.as_str(),
                Test::Prefix(prefix) => value.starts_with(prefix.as_str()),
                Test::Exists => true,
                Test::AnyOf(wanted) => wanted.iter().any(|wanted| value == wanted.as_str()),
            }
        })
    }
}

fn attribute<'a>(event: &'a CloudEvent, name: &str) -> Option<Cow<'a, str>> {
    match name {
        "specversion" => Some("1.0".into()),
        "id" => Some(event.id().into()),
        "source" => Some(event.source().into()),
        "type" => Some(event.event_type().into()),
        "subject" => event.subject().map(Into::into),
        "time" => event
            .time()
            .map(|time| commerce_contracts::Attribute::from(time).to_string().into()),
        "datacontenttype" => event.data_content_type().map(Into::into),
        "dataschema" => event.data_schema().map(Into::into),
        extension => event.extension(extension).map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string().into(), Cow::Borrowed)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> CloudEvent {
        CloudEvent::new("/shop", "orders.order.placed.v1")
            .and_then(|event| event.with_subject("br/7"))
            .and_then(|event| event.with_extension("tenant", "acme"))
            .and_then(|event| event.with_extension("urgent", true))
            .unwrap()
    }

    #[test]
    fn every_test_holds_or_not() {
        let all = Filter::new();
        for (filter, wanted) in [
            (all.clone(), true),
            (all.clone().equals("type", "orders.order.placed.v1"), true),
            (all.clone().equals("type", "orders.order.placed"), false),
            (all.clone().prefix("subject", "br/"), true),
            (all.clone().prefix("subject", "pt/"), false),
            (all.clone().exists("tenant"), true),
            (all.clone().exists("missing"), false),
            (all.clone().any_of("tenant", ["other", "acme"]), true),
            (all.clone().any_of("tenant", ["other"]), false),
            (all.clone().any_of("tenant", [] as [&str; 0]), false),
            (all.clone().equals("urgent", "true"), true),
            (all.clone().equals("specversion", "1.0"), true),
            (all.clone().exists("time"), event().time().is_some()),
            (all.exists("tenant").equals("urgent", "false"), false),
        ] {
            assert_eq!(filter.matches(&event()), wanted, "{filter:?}");
        }
    }
}
