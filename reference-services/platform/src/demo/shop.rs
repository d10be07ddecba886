//! Registers the shop that places the orders: an organization, its people, and a client of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use commerce_identity_client::TokenSource;
use commerce_resilient_client::{Authorize, AuthorizeError, Client, Resource};
use http::HeaderValue;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::run::{Run, Shop};

/// The identifier of the administrator's client.
pub(crate) const ADMINISTRATOR: &str = "demo-administrator";

#[derive(Clone, Debug, Deserialize)]
struct Registered {
    client_id: String,
    client_secret: String,
}

/// Registers the shop through the API of identity; what was registered before is kept.
pub(crate) async fn register(platform: &str, run: &Run) -> anyhow::Result<Shop> {
    let administrator = connect(platform, ADMINISTRATOR, &run.secrets.administrator)?;
    let organization_id = Uuid::new_v5(&run.id, b"organization");
    let organization: Resource<serde_json::Value> = administrator
        .follow("organizations")
        .post(&json!({ "organization_id": organization_id, "name": "Loja Exemplo" }))
        .idempotency_key(&organization_id.to_string())
        .send()
        .await
        .context("cannot register the organization")?;
    for (name, email, role) in [
        ("Ana Almeida", "ana@loja.example", "admin"),
        ("Davi Duarte", "davi@loja.example", "viewer"),
    ] {
        let user = organization
            .follow("users")
            .post(&json!({ "name": name, "email": email, "roles": [role] }))
            .idempotency_key(email);
        match user.send::<serde_json::Value>().await {
            Ok(_) => {}
            // Registered before the demo was killed.
            Err(error) if error.status() == Some(http::StatusCode::CONFLICT) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot register {name}")),
        }
    }
    let client: Resource<Registered> = organization
        .follow("clients")
        .post(&json!({ "name": "importer", "roles": ["shop"] }))
        .send()
        .await
        .context("cannot register the shop's client")?;
    let Registered {
        client_id,
        client_secret,
    } = client.into_data();
    Ok(Shop {
        client_id,
        client_secret,
    })
}

/// A client of the platform that presents tokens of its own.
pub(crate) fn connect(
    platform: &str,
    client_id: &str,
    client_secret: &str,
) -> anyhow::Result<Client> {
    let tokens = TokenSource::client_credentials(
        format!("{platform}/oauth/token"),
        client_id,
        client_secret.into(),
    )
    .build()?;
    Ok(Client::builder(platform)?
        .auth(tokens)
        .timeout(Duration::from_mins(1))
        .build()?)
}

/// A client of the provider's sandbox that presents its API key.
pub(crate) fn connect_provider(provider: &str, api_key: &str) -> anyhow::Result<Client> {
    let key = Arc::new(HeaderValue::try_from(format!("Bearer {api_key}"))?);
    Ok(Client::builder(provider)?.auth(ApiKey(key)).build()?)
}

struct ApiKey(Arc<HeaderValue>);

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey")
    }
}

#[async_trait::async_trait]
impl Authorize for ApiKey {
    async fn authorize(&self) -> Result<HeaderValue, AuthorizeError> {
        Ok((*self.0).clone())
    }
}
