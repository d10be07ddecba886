//! Organizations: who owns what, and who may not see what.

mod routes;
mod store;

use commerce_host::Problem;
use commerce_identity_client::{Permission, Principal};
use uuid::Uuid;

pub(crate) use self::routes::routes;
use crate::Identity;

/// Insists on a permission and on acting for the platform itself, not for an organization.
pub(crate) fn require_operator(
    principal: &Principal,
    permission: &Permission,
) -> Result<(), Problem> {
    principal.require(permission)?;
    if principal.organization.is_some() {
        return Err(Problem::forbidden(
            "this is done for the whole platform, not by an organization",
        ));
    }
    Ok(())
}

/// Insists on a permission and on an organization that exists and that the principal acts for.
///
/// To everybody else an organization is not there at all: 403 would tell that it is.
pub(crate) async fn require_member(
    identity: &Identity,
    principal: &Principal,
    permission: &Permission,
    organization_id: Uuid,
) -> Result<store::Organization, Problem> {
    principal.require(permission)?;
    let organization = if principal.acts_for(organization_id) {
        store::find(&identity.database, organization_id).await?
    } else {
        None
    };
    organization.ok_or_else(|| {
        Problem::not_found("there is no such organization, or none that you act for")
    })
}

/// A name as people write them: not empty, not endless, on one line. Returns it without spaces around it.
pub(crate) fn check_name(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(Problem::new(http::StatusCode::UNPROCESSABLE_ENTITY)
            .at("/name", "expected 1 to 200 characters on one line"));
    }
    Ok(name.to_owned())
}
