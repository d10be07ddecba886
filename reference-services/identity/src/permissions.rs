//! What can be done with this service.

use commerce_identity_client::Permission;

pub(crate) const ORGANIZATION_CREATE: Permission =
    Permission::from_static("identity.organization.create");
pub(crate) const ORGANIZATION_READ: Permission =
    Permission::from_static("identity.organization.read");
pub(crate) const CLIENT_CREATE: Permission = Permission::from_static("identity.client.create");
pub(crate) const CLIENT_READ: Permission = Permission::from_static("identity.client.read");
pub(crate) const CLIENT_DELETE: Permission = Permission::from_static("identity.client.delete");
pub(crate) const USER_CREATE: Permission = Permission::from_static("identity.user.create");
pub(crate) const USER_READ: Permission = Permission::from_static("identity.user.read");
pub(crate) const SIGNING_KEY_READ: Permission =
    Permission::from_static("identity.signing-key.read");
pub(crate) const SIGNING_KEY_ROTATE: Permission =
    Permission::from_static("identity.signing-key.rotate");
