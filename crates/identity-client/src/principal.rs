//! Who acts, for whom, and what they may do.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Permission, Permissions};

/// Who acts: the content of a verified token.
///
/// Only a [`Verifier`](crate::Verifier) makes one, so a function that takes a `Principal` is a function that only runs for
/// somebody who was authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Principal {
    /// The subject: the user, or the client itself when no user is behind it.
    pub subject: String,
    /// The OAuth client that obtained the token.
    pub client_id: String,
    /// The organization the principal acts for; none for an operator of the platform itself.
    pub organization: Option<Uuid>,
    /// What the principal may do.
    pub permissions: Permissions,
    /// The token's own id, for audit trails.
    pub token_id: String,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
}

impl Principal {
    /// Insists on a permission.
    ///
    /// ```
    /// # use commerce_identity_client::{Forbidden, Permission, Principal};
    /// const READ_ORDER: Permission = Permission::from_static("orders.order.read");
    ///
    /// fn read(principal: &Principal) -> Result<(), Forbidden> {
    ///     principal.require(&READ_ORDER)?;
    ///     // …
    ///     Ok(())
    /// }
    /// ```
    pub fn require(&self, permission: &Permission) -> Result<(), Forbidden> {
        if self.permissions.contains(permission) {
            Ok(())
        } else {
            Err(Forbidden::Permission(permission.clone()))
        }
    }

    /// The organization the principal acts for, where acting for none makes no sense.
    pub fn require_organization(&self) -> Result<Uuid, Forbidden> {
        self.organization.ok_or(Forbidden::NoOrganization)
    }

    /// Whether the principal may see what belongs to this organization: it acts for it, or for the whole platform.
    pub fn acts_for(&self, organization: Uuid) -> bool {
        self.organization.is_none_or(|own| own == organization)
    }
}

/// The principal is known but may not do this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// The token lacks a permission.
    #[error("the permission {0} is needed")]
    Permission(Permission),
    /// The token acts for no organization, and this is done only for one.
    #[error("a token that acts for an organization is needed")]
    NoOrganization,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn principal(organization: Option<Uuid>, permissions: &[&'static str]) -> Principal {
        Principal {
            subject: "client-1".into(),
            client_id: "client-1".into(),
            organization,
            permissions: permissions
                .iter()
                .map(|name| Permission::from_static(name))
                .collect(),
            token_id: "token-1".into(),
            expires_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn require_names_what_is_missing() {
        let read = Permission::from_static("orders.order.read");
        let principal = principal(None, &["orders.order.create"]);
        assert_eq!(principal.require(&read), Err(Forbidden::Permission(read)));
        assert_eq!(
            principal.require(&Permission::from_static("orders.order.create")),
            Ok(())
        );
    }

    #[test]
    fn an_organization_sees_itself_only() {
        let (own, other) = (Uuid::now_v7(), Uuid::now_v7());
        let member = principal(Some(own), &[]);
        assert!(member.acts_for(own) && !member.acts_for(other));
        assert_eq!(member.require_organization(), Ok(own));

        let operator = principal(None, &[]);
        assert!(operator.acts_for(own) && operator.acts_for(other));
        assert_eq!(
            operator.require_organization(),
            Err(Forbidden::NoOrganization)
        );
    }
}
