#![doc = include_str!("../README.md")]

mod bootstrap;
mod clients;
mod config;
mod discovery;
mod organizations;
mod page;
mod permissions;
mod roles;
mod schema;
mod secret;
mod signing;
mod tokens;
mod users;

use std::sync::Arc;

use anyhow::Context as _;
use commerce_consumer_framework::storage::Database;
use commerce_host::settings::Mistakes;
use commerce_host::{Resources, Service};

pub use self::bootstrap::AdminCredentials;
pub use self::config::Config;
use self::roles::Roles;
use self::signing::KeyRing;

/// What the handlers share.
#[derive(Clone)]
struct Identity(Arc<Inner>);

struct Inner {
    database: Database,
    keys: Arc<KeyRing>,
    roles: Roles,
    config: Config,
    issuer: String,
    audience: String,
}

impl std::ops::Deref for Identity {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// Puts the service together: its tables, its first signing key and its first client are there afterwards.
pub async fn service(config: Config, resources: &Resources) -> anyhow::Result<Service> {
    Mistakes::refuse(config.check())?;
    let database = resources.database("identity").await?;
    database.migrate("identity", schema::MIGRATIONS).await?;
    let keys = KeyRing::open(database.clone(), &config).await?;
    let issuer = &resources.issuer;
    bootstrap::ensure_admin(&config, &database, &resources.settings.data, issuer)
        .await
        .context("cannot set up the administrator's client")?;
    let identity = Identity(Arc::new(Inner {
        database,
        keys: Arc::clone(&keys),
        roles: Roles::with(&config.roles),
        config,
        issuer: issuer.clone(),
        audience: resources.settings.audience.clone(),
    }));
    Ok(Service::new("identity")
        .title("Organizations, users, clients and their tokens")
        .routes(tokens::routes(&identity))
        .routes(discovery::routes(&identity))
        .routes(organizations::routes(&identity))
        .routes(clients::routes(&identity))
        .routes(users::routes(&identity))
        .routes(signing::routes(&identity))
        .link("token", "/oauth/token")
        .link("openid-configuration", "/.well-known/openid-configuration")
        .link("organizations", "/organizations{?cursor,limit}")
        .link("signing-keys", "/signing-keys")
        .task("signing-keys", move |shutdown| {
            Arc::clone(&keys).run(shutdown)
        }))
}
