//! Names of the things a principal may do, and sets of them.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest permission, in bytes. Permissions travel in every token, so they stay short.
const MAX_LENGTH: usize = 100;

/// What a principal may do, named `service.resource.action`: `orders.order.create`.
///
/// Three segments of lower-case letters, digits and `-`, each beginning with a letter. Services declare theirs as
/// constants, checked when the program is compiled:
///
/// ```
/// use commerce_identity_client::Permission;
///
/// pub const CREATE_ORDER: Permission = Permission::from_static("orders.order.create");
/// assert_eq!(CREATE_ORDER, "orders.order.create".parse()?);
/// # Ok::<(), commerce_identity_client::InvalidPermission>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Permission(Cow<'static, str>);

impl Permission {
    /// The permission of that name.
    ///
    /// # Panics
    ///
    /// If the name is not `service.resource.action`. In a `const` that is a compile error.
    pub const fn from_static(name: &'static str) -> Self {
        assert!(
            is_valid(name.as_bytes()),
            "a permission is named service.resource.action, in lower case"
        );
        Self(Cow::Borrowed(name))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_valid(name: &[u8]) -> bool {
    if name.len() > MAX_LENGTH {
        return false;
    }
    let (mut at, mut dots, mut segment_start) = (0, 0, true);
    while at < name.len() {
        match name[at] {
            b'a'..=b'z' => segment_start = false,
            b'0'..=b'9' | b'-' if !segment_start => {}
            b'.' if !segment_start => {
                dots += 1;
                segment_start = true;
            }
            _ => return false,
        }
        at += 1;
    }
    dots == 2 && !segment_start
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Permission {
    type Err = InvalidPermission;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::try_from(name.to_owned())
    }
}

impl TryFrom<String> for Permission {
    type Error = InvalidPermission;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if is_valid(name.as_bytes()) {
            Ok(Self(Cow::Owned(name)))
        } else {
            Err(InvalidPermission { name })
        }
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.0.into_owned()
    }
}

impl AsRef<str> for Permission {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A name that is not `service.resource.action`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a permission: expected service.resource.action, three segments of a-z, 0-9 and '-', each beginning with a letter"
)]
pub struct InvalidPermission {
    name: String,
}

/// A set of permissions, made to be asked: a look-up compares a handful of short strings and allocates nothing.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Permission>", into = "Vec<Permission>")]
pub struct Permissions(
    // Sorted and without duplicates: smaller than a hash set and as fast at the sizes a token can carry.
    Box<[Permission]>,
);

impl Permissions {
    /// Whether the set holds this permission. There are no wildcards: a permission is held or it is not.
    pub fn contains(&self, permission: &Permission) -> bool {
        self.0.binary_search(permission).is_ok()
    }

    /// Whether every permission of `other` is held, too.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|permission| self.contains(permission))
    }

    /// The permissions held by both.
    pub fn intersection(&self, other: &Self) -> Self {
        // The order is kept, so the result is sorted already.
        Self(
            self.iter()
                .filter(|permission| other.contains(permission))
                .cloned()
                .collect(),
        )
    }

    /// The permissions in alphabetical order.
    pub fn iter(&self) -> std::slice::Iter<'_, Permission> {
        self.0.iter()
    }

    /// How many permissions there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is permitted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(Permission::as_str))
            .finish()
    }
}

impl From<Vec<Permission>> for Permissions {
    fn from(mut permissions: Vec<Permission>) -> Self {
        permissions.sort_unstable();
        permissions.dedup();
        Self(permissions.into_boxed_slice())
    }
}

impl From<Permissions> for Vec<Permission> {
    fn from(permissions: Permissions) -> Self {
        permissions.0.into_vec()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a Permissions {
    type Item = &'a Permission;
    type IntoIter = std::slice::Iter<'a, Permission>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_three_lower_case_segments() {
        for good in [
            "orders.order.create",
            "a.b.c",
            "identity.signing-key.rotate",
            "v2.order2.read",
        ] {
            assert_eq!(good.parse::<Permission>().unwrap().to_string(), good);
        }
        let long = format!("orders.order.{}", "a".repeat(100));
        for bad in [
            "",
            "orders",
            "orders.order",
            "orders.order.",
            ".order.create",
            "a..c",
            "a.b.c.d",
            "Orders.order.create",
            "orders.order.*",
            "orders.1order.read",
            "orders.-order.read",
            "orders.order.cr eate",
            "ördes.order.read",
            &long,
        ] {
            assert!(bad.parse::<Permission>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_set_answers_for_exactly_what_it_holds() {
        let set: Permissions = ["b.b.b", "a.a.a", "c.c.c", "a.a.a"]
            .map(Permission::from_static)
            .into_iter()
            .collect();
        assert_eq!(set.len(), 3);
        assert!(
            set.contains(&Permission::from_static("a.a.a"))
                && set.contains(&Permission::from_static("c.c.c"))
        );
        assert!(!set.contains(&Permission::from_static("a.a.b")));

        let narrow: Permissions = ["c.c.c", "d.d.d"]
            .map(Permission::from_static)
            .into_iter()
            .collect();
        assert!(!set.contains_all(&narrow));
        let both = set.intersection(&narrow);
        assert_eq!(
            both.iter().map(Permission::as_str).collect::<Vec<_>>(),
            ["c.c.c"]
        );
        assert!(
            set.contains_all(&both)
                && narrow.contains_all(&both)
                && both.contains_all(&Permissions::default())
        );
    }

    #[test]
    fn a_set_is_a_list_in_json() {
        let set: Permissions = serde_json::from_str(r#"["b.b.b","a.a.a"]"#).unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["a.a.a","b.b.b"]"#);
        assert!(serde_json::from_str::<Permissions>(r#"["everything"]"#).is_err());
    }
}
