//! What one run of the demo is, written down so that a killed one can be resumed.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::options::DemoOptions;

const FILE: &str = "demo.json";

/// One run of the demo.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Every identifier of the run follows from it.
    pub(crate) id: Uuid,
    /// Which orders.
    pub(crate) source: Source,
    /// Whether faults are injected.
    pub(crate) faults: bool,
    /// The bus, when it is not a file in the data folder.
    pub(crate) bus: Option<String>,
    /// The databases, when they are not files in the data folder.
    pub(crate) store: Option<String>,
    /// Ports of the platform and of the provider: they stay, because webhooks and tokens name them.
    pub(crate) ports: (u16, u16),
    /// Secrets of this run.
    pub(crate) secrets: Secrets,
    /// The shop that places the orders, once it is registered.
    pub(crate) shop: Option<Shop>,
}

/// Where the orders come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// The built-in sample, so many.
    Sample(usize),
    /// A folder in the layout of the Olist dataset.
    Olist(PathBuf),
}

/// Secrets that the demo makes up for itself.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Secrets {
    /// Of the client that registers the shop.
    pub(crate) administrator: String,
    /// Of payments at the provider.
    pub(crate) provider_api_key: String,
    /// Of the provider's webhooks.
    pub(crate) webhook: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// A registered shop.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Shop {
    /// Its client.
    pub(crate) client_id: String,
    /// The client's secret.
    pub(crate) client_secret: String,
}

impl std::fmt::Debug for Shop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shop")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl Run {
    /// Continues the run in `folder`, or begins one there.
    ///
    /// # Errors
    /// When there is a run that is not to be resumed, or none that could be.
    pub(crate) fn open(options: &DemoOptions, folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        match (options.resume, path.exists()) {
            (true, true) => {
                let text =
                    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                serde_json::from_slice(&text)
                    .with_context(|| format!("{} is no run of the demo", path.display()))
            }
            (true, false) => bail!(
                "nothing to resume: {} does not exist; run the demo once without --resume",
                path.display()
            ),
            (false, true) => bail!(
                "{} holds a run already; continue it with --resume, or take another folder",
                folder.display()
            ),
            (false, false) => {
                let run = Self::begin(options)?;
                run.save(folder)?;
                Ok(run)
            }
        }
    }

    fn begin(options: &DemoOptions) -> anyhow::Result<Self> {
        let forgetful = options
            .bus
            .as_deref()
            .is_some_and(|bus| bus.starts_with("memory:"));
        if forgetful && options.kill_after.is_some() {
            bail!(
                "--kill-after needs a bus that survives the process: the memory bus forgets what was published; leave --bus out, or take sqlite:, kafka:// or amqp://"
            );
        }
        let source = match &options.olist {
            Some(folder) => Source::Olist(
                folder
                    .canonicalize()
                    .with_context(|| format!("cannot find {}", folder.display()))?,
            ),
            None => Source::Sample(options.orders),
        };
        let secret = || Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string();
        Ok(Self {
            id: Uuid::new_v4(),
            source,
            faults: options.faults,
            bus: options.bus.clone(),
            store: options.store.clone(),
            ports: free_ports()?,
            secrets: Secrets {
                administrator: secret(),
                provider_api_key: secret(),
                webhook: format!("whsec_{}", secret()),
            },
            shop: None,
        })
    }

    /// Writes the run down, whole or not at all.
    pub(crate) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(FILE);
        let beside = folder.join(format!("{FILE}.new"));
        fs::write(&beside, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", beside.display()))?;
        fs::rename(&beside, &path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    /// A short name that no other run shares, for topics and schemas on shared servers.
    pub(crate) fn namespace(&self) -> String {
        format!("demo-{}", &self.id.simple().to_string()[..12])
    }
}

/// Two ports that were free a moment ago.
fn free_ports() -> anyhow::Result<(u16, u16)> {
    let (first, second) = (
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    );
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}
