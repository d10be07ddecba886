//! Names of records, enums and fixed types.

use std::fmt;

/// The full name of a named type: a namespace, which may be empty, and a simple name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    full: String,
    /// Where the simple name begins.
    simple: usize,
}

impl Name {
    /// A name as a schema writes it: what has a dot is a full name; anything else lies in `namespace`.
    pub(crate) fn resolve(text: &str, namespace: &str) -> Option<Self> {
        let full = if text.contains('.') || namespace.is_empty() {
            text.to_owned()
        } else {
            format!("{namespace}.{text}")
        };
        let simple = full.rfind('.').map_or(0, |dot| dot + 1);
        full.split('.')
            .all(is_identifier)
            .then_some(Self { full, simple })
    }

    /// Namespace and simple name, with a dot between them.
    pub fn full(&self) -> &str {
        &self.full
    }

    /// The name without its namespace.
    pub fn simple(&self) -> &str {
        &self.full[self.simple..]
    }

    /// The namespace, which may be empty.
    pub fn namespace(&self) -> &str {
        &self.full[..self.simple.saturating_sub(1)]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.full)
    }
}

/// What a simple name, a field or an enum's symbol may be: a letter or underscore, then letters, digits and underscores.
pub(crate) fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_dot_makes_a_full_name() {
        for (text, namespace, full, simple, space) in [
            ("Order", "", "Order", "Order", ""),
            ("Order", "shop", "shop.Order", "Order", "shop"),
            ("a.b.Order", "shop", "a.b.Order", "Order", "a.b"),
        ] {
            let name = Name::resolve(text, namespace).unwrap();
            assert_eq!(
                (name.full(), name.simple(), name.namespace()),
                (full, simple, space)
            );
        }
        for bad in ["", ".", "a.", ".a", "1a", "a-b", "a..b", "é"] {
            assert_eq!(Name::resolve(bad, ""), None, "{bad}");
        }
        assert_eq!(Name::resolve("Order", "a-b"), None);
    }
}
