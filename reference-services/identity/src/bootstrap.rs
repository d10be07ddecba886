//! The first client: who lets everybody else in.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::Utc;
use commerce_consumer_framework::storage::Database;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use uuid::Uuid;

use crate::config::Config;
use crate::{roles, secret};

/// Id and secret of the administrator's client, as the service has written them to a file at its first start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdminCredentials {
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: SecretString,
}

impl AdminCredentials {
    /// The name of the file in the data directory. Only its owner can read it; once the secret is kept elsewhere, the
    /// file can be removed.
    pub const FILE: &'static str = "identity-admin.json";

    /// Reads the file in this data directory.
    pub fn read(data: &Path) -> anyhow::Result<Self> {
        #[derive(serde::Deserialize)]
        struct File {
            client_id: String,
            client_secret: String,
        }
        let path = data.join(Self::FILE);
        let text =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let File {
            client_id,
            client_secret,
        } = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what was written", path.display()))?;
        Ok(Self {
            client_id,
            client_secret: client_secret.into(),
        })
    }

    /// Writes the file whole or not at all: a crash leaves no half of it.
    fn write(&self, data: &Path, token_url: &str) -> anyhow::Result<PathBuf> {
        std::fs::create_dir_all(data)?;
        let path = data.join(Self::FILE);
        let unfinished = path.with_extension(format!("{}.tmp", Uuid::now_v7().simple()));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let content = json!({
            "client_id": self.client_id,
            "client_secret": self.client_secret.expose_secret(),
            "token_url": token_url,
        });
        let mut file = options.open(&unfinished)?;
        writeln!(file, "{content:#}")?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)?;
        Ok(path)
    }
}

/// Sees to it that the administrator's client exists, with the secret of the settings or with one of our making.
pub(crate) async fn ensure_admin(
    config: &Config,
    database: &Database,
    data: &Path,
    issuer: &str,
) -> anyhow::Result<()> {
    let client_id = &config.admin_client_id;
    let given = config.admin_client_secret.clone();
    let secret = given.clone().map_or_else(secret::generate, Ok)?;
    let digest = secret::digest_of(secret.expose_secret());

    let mut tx = database.begin().await?;
    let inserted = tx
        .query(
            "INSERT INTO clients (client_id, organization_id, name, roles, secret_digest, created_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (client_id) DO NOTHING",
        )
        .bind(client_id)
        .bind(None::<Uuid>)
        .bind("Administrator of the platform")
        .bind(json!([roles::OPERATOR]))
        .bind(digest.clone())
        .bind(Utc::now())
        .execute()
        .await?;
    match (inserted, given) {
        (0, None) => return Ok(()),
        (0, Some(_)) => {
            let kept = tx
                .query("UPDATE clients SET secret_digest = $1 WHERE client_id = $2 AND organization_id IS NULL")
                .bind(digest)
                .bind(client_id)
                .execute()
                .await?;
            if kept == 0 {
                bail!(
                    "the client `{client_id}` belongs to an organization; give another identity.admin_client_id"
                );
            }
        }
        (_, None) => {
            let credentials = AdminCredentials {
                client_id: client_id.clone(),
                client_secret: secret,
            };
            let (data, token_url) = (data.to_owned(), format!("{issuer}/oauth/token"));
            // Before the commit: a secret that is in the database and nowhere else would be lost for good. After a crash
            // in between, the next start makes another and writes it over this one.
            let path =
                tokio::task::spawn_blocking(move || credentials.write(&data, &token_url)).await??;
            tracing::info!(client_id, file = %path.display(), "the administrator's client was made; its secret is in the file");
        }
        (_, Some(_)) => tracing::info!(client_id, "the administrator's client was made"),
    }
    tx.commit().await?;
    Ok(())
}
