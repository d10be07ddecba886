//! Reads the file and the environment into one tree that remembers where each value came from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Origin};

/// Environment variables of this platform start with it.
pub(crate) const PREFIX: &str = "COMMERCE_";

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// From the environment: becomes a number, a boolean or a list where one is wanted.
    Text(String),
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(Table),
}

pub(crate) type Table = BTreeMap<String, Node>;

/// Parses a TOML file.
pub(crate) fn file(path: &Path) -> Result<Table, Mistake> {
    let name: Arc<str> = path.display().to_string().into();
    let text = std::fs::read_to_string(path).map_err(|error| Mistake {
        setting: "--config".to_owned(),
        wrong: format!("{name} cannot be read: {error}"),
        right: Some("the path of a TOML file".to_owned()),
        origin: Origin::Nowhere,
    })?;
    parse(&text, &name)
}

pub(crate) fn parse(text: &str, path: &Arc<str>) -> Result<Table, Mistake> {
    let document = DeTable::parse(text).map_err(|error| Mistake {
        setting: "--config".to_owned(),
        wrong: error.message().to_owned(),
        right: Some("valid TOML".to_owned()),
        origin: Origin::File {
            path: path.clone(),
            line: line(text, error.span().map_or(0, |span| span.start)),
        },
    })?;
    Ok(table(document.get_ref(), text, path))
}

fn table(table: &DeTable<'_>, text: &str, path: &Arc<str>) -> Table {
    table
        .iter()
        .map(|(key, value)| {
            let origin = Origin::File {
                path: path.clone(),
                line: line(text, key.span().start),
            };
            (
                key.get_ref().to_string(),
                Node {
                    value: convert(value.get_ref(), text, path),
                    origin,
                },
            )
        })
        .collect()
}

fn convert(value: &DeValue<'_>, text: &str, path: &Arc<str>) -> Value {
    match value {
        DeValue::String(string) => Value::String(string.to_string()),
        // Numbers too large for their type stay text; whoever wants a number says what is wrong with them.
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or_else(
                |_| Value::String(integer.as_str().to_owned()),
                Value::Integer,
            ),
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .map_or_else(|_| Value::String(float.as_str().to_owned()), Value::Float),
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
        DeValue::Array(array) => Value::Array(
            array
                .iter()
                .map(|element| Node {
                    value: convert(element.get_ref(), text, path),
                    origin: Origin::File {
                        path: path.clone(),
                        line: line(text, element.span().start),
                    },
                })
                .collect(),
        ),
        DeValue::Table(inner) => Value::Table(table(inner, text, path)),
    }
}

fn line(text: &str, offset: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// The variables of this platform, by name without the prefix.
pub(crate) fn environment(
    variables: impl IntoIterator<Item = (String, String)>,
) -> BTreeMap<String, String> {
    variables
        .into_iter()
        .filter_map(|(name, value)| {
            let name = name.strip_prefix(PREFIX)?.to_owned();
            // An empty variable is one that a script did not fill: as good as not set.
            (!value.is_empty() && !is_service_link(&name, &value)).then_some((name, value))
        })
        .collect()
}

/// Whether an orchestrator made the variable up: Kubernetes and Docker tell every container about the services beside it,
/// and one called commerce-orders becomes `COMMERCE_ORDERS_SERVICE_HOST`, `COMMERCE_ORDERS_PORT_8080_TCP_ADDR` and so on.
fn is_service_link(name: &str, value: &str) -> bool {
    let name = format!("_{name}");
    let protocols = ["TCP", "UDP", "SCTP"];
    let of_a_port = name.split("_PORT_").skip(1).any(|rest| {
        let (number, rest) = rest.split_once('_').unwrap_or_default();
        let protocol = rest.split('_').next().unwrap_or_default();
        number.parse::<u16>().is_ok() && protocols.contains(&protocol)
    });
    let is_an_address = protocols
        .iter()
        .any(|protocol| value.starts_with(&format!("{}://", protocol.to_ascii_lowercase())));
    of_a_port
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_an_address)
}

/// Notes where each value in the table came from, by its dotted name.
pub(crate) fn origins(name: &str, table: &Table, noted: &mut BTreeMap<String, Origin>) {
    for (key, node) in table {
        let name = format!("{name}.{key}");
        if let Value::Table(inner) = &node.value {
            origins(&name, inner, noted);
        }
        noted.insert(name, node.origin.clone());
    }
}

/// Puts a value at `path` over whatever the file said there.
pub(crate) fn overlay(table: &mut Table, path: &[String], variable: &str, text: String) {
    let origin = Origin::Environment(format!("{PREFIX}{variable}"));
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        table.insert(
            first.clone(),
            Node {
                value: Value::Text(text),
                origin,
            },
        );
        return;
    }
    let node = table.entry(first.clone()).or_insert_with(|| Node {
        value: Value::Table(Table::new()),
        origin: origin.clone(),
    });
    if let Value::Table(inner) = &mut node.value {
        overlay(inner, rest, variable, text);
    } else {
        *node = Node {
            value: Value::Table(Table::new()),
            origin,
        };
        overlay(table, path, variable, text);
    }
}

#[cfg(test)]
mod tests {
    use super::is_service_link;

    #[test]
    fn service_links_are_told_from_settings() {
        for (name, value) in [
            ("SERVICE_HOST", "10.0.0.7"),
            ("ORDERS_SERVICE_PORT", "8080"),
            ("ORDERS_SERVICE_PORT_HTTP", "8080"),
            ("ORDERS_PORT", "tcp://10.0.0.7:8080"),
            ("ORDERS_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
            ("ORDERS_PORT_8080_TCP_ADDR", "10.0.0.7"),
            ("PORT_53_UDP_PROTO", "udp"),
        ] {
            assert!(is_service_link(name, value), "{name}");
        }
        for (name, value) in [
            ("LISTEN", "tcp://10.0.0.7:8080"),
            ("ORDERS_PORT", "8080"),
            ("ORDERS_PORT_HTTP", "8080"),
            ("SERVICE_HOSTS", "10.0.0.7"),
            ("PORT_99999_TCP", "tcp://x"),
        ] {
            assert!(!is_service_link(name, value), "{name}");
        }
    }
}
