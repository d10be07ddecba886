//! Roles: names for sets of permissions.
//!
//! Definitions are shared by all organizations, assignments are made within each. Permissions are names: the services that
//! check them are not known here, only what their permissions are called.

use std::collections::BTreeMap;

use commerce_host::Problem;
use commerce_identity_client::{Permission, Permissions, Principal};
use http::StatusCode;

use crate::permissions::{
    CLIENT_CREATE, CLIENT_DELETE, CLIENT_READ, ORGANIZATION_CREATE, ORGANIZATION_READ,
    SIGNING_KEY_READ, SIGNING_KEY_ROTATE, USER_CREATE, USER_READ,
};

/// Of the platform itself: every permission, and not for clients of an organization.
pub(crate) const OPERATOR: &str = "operator";

/// Sees what happens in an organization.
const VIEWER: &[&str] = &[
    "orders.order.read",
    "payments.payment.read",
    "notifications.notification.read",
];
/// Runs a shop: what viewers see, and orders from beginning to end.
const SHOP: &[&str] = &[
    "orders.order.create",
    "orders.order.checkout",
    "orders.order.cancel",
];
/// Runs an organization: what shops do, and who may do it.
const ADMIN: [Permission; 6] = [
    ORGANIZATION_READ,
    CLIENT_CREATE,
    CLIENT_READ,
    CLIENT_DELETE,
    USER_CREATE,
    USER_READ,
];
const OPERATOR_ONLY: [Permission; 3] = [ORGANIZATION_CREATE, SIGNING_KEY_READ, SIGNING_KEY_ROTATE];

/// More roles than this make no sense for one client or user.
const MOST_ROLES: usize = 20;

/// The roles there are.
#[derive(Clone, Debug)]
pub(crate) struct Roles(BTreeMap<String, Permissions>);

impl Roles {
    /// The built-in roles, and those of the settings beside them or in place of them.
    pub(crate) fn with(more: &BTreeMap<String, Vec<Permission>>) -> Self {
        let names = |names: &[&'static str]| {
            names
                .iter()
                .map(|name| Permission::from_static(name))
                .collect::<Vec<_>>()
        };
        let viewer = names(VIEWER);
        let shop = [viewer.clone(), names(SHOP)].concat();
        let admin = [shop.clone(), ADMIN.to_vec()].concat();
        let mut roles: BTreeMap<String, Permissions> =
            [("viewer", viewer), ("shop", shop), ("admin", admin)]
                .into_iter()
                .map(|(name, permissions)| (name.to_owned(), permissions.into()))
                .collect();
        roles.extend(
            more.iter()
                .map(|(name, permissions)| (name.clone(), permissions.clone().into())),
        );
        let every = roles
            .values()
            .flatten()
            .cloned()
            .chain(OPERATOR_ONLY)
            .collect();
        roles.insert(OPERATOR.to_owned(), every);
        Self(roles)
    }

    /// What roles permit together. A role that has been taken out of the settings permits nothing.
    pub(crate) fn permissions(&self, roles: &[String]) -> Permissions {
        roles
            .iter()
            .filter_map(|role| self.0.get(role))
            .flatten()
            .cloned()
            .collect()
    }

    /// All permissions there are.
    pub(crate) fn every_permission(&self) -> Permissions {
        self.0.values().flatten().cloned().collect()
    }

    /// Checks that roles can be given to somebody in an organization, by this principal: nobody gives what he does not
    /// have.
    pub(crate) fn check_grant(
        &self,
        principal: &Principal,
        roles: &[String],
    ) -> Result<(), Problem> {
        if roles.is_empty() || roles.len() > MOST_ROLES {
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).at(
                "/roles",
                format!("expected one to {MOST_ROLES} of: {}", self.offered()),
            ));
        }
        for (index, role) in roles.iter().enumerate() {
            let known = self.0.get(role).filter(|_| role != OPERATOR);
            let Some(permissions) = known else {
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).at(
                    format!("/roles/{index}"),
                    format!("expected one of: {}", self.offered()),
                ));
            };
            if !principal.permissions.contains_all(permissions) {
                return Err(Problem::forbidden(format!(
                    "the role {role} permits more than you may do yourself, so you cannot give it"
                )));
            }
        }
        Ok(())
    }

    fn offered(&self) -> String {
        self.0
            .keys()
            .map(String::as_str)
            .filter(|name| *name != OPERATOR)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

pub(crate) fn is_role_name(name: &str) -> bool {
    name.len() <= 50
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(role: &str) -> Permissions {
        Roles::with(&BTreeMap::new()).permissions(&[role.to_owned()])
    }

    #[test]
    fn each_role_permits_what_the_lesser_ones_do() {
        let (viewer, shop, admin, operator) = (
            permissions("viewer"),
            permissions("shop"),
            permissions("admin"),
            permissions(OPERATOR),
        );
        assert!(
            shop.contains_all(&viewer)
                && admin.contains_all(&shop)
                && operator.contains_all(&admin)
        );
        assert!(
            !viewer.contains_all(&shop)
                && !shop.contains_all(&admin)
                && !admin.contains_all(&operator)
        );
        assert!(!admin.contains(&ORGANIZATION_CREATE) && !admin.contains(&SIGNING_KEY_ROTATE));
        assert!(permissions("unheard-of").is_empty());
    }

    #[test]
    fn settings_add_roles_and_replace_them() {
        let read = Permission::from_static("orders.order.read");
        let pack = Permission::from_static("logistics.parcel.pack");
        let more = BTreeMap::from([
            ("packer".into(), vec![read.clone(), pack.clone()]),
            ("shop".into(), vec![read]),
        ]);
        let roles = Roles::with(&more);
        assert_eq!(roles.permissions(&["packer".into()]).len(), 2);
        assert_eq!(roles.permissions(&["shop".into()]).len(), 1);
        assert!(
            roles.permissions(&[OPERATOR.into()]).contains(&pack),
            "operators may do everything"
        );
    }
}
