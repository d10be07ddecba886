//! What one run of the demo is, written down so that a killed one can be resumed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::options::DemoOptions;

const FILE: &str = "demo.json";
/// Orders of the built-in sample; with so many, every kind of fault is sure to hit.
pub(crate) const FULL_SIZE: usize = 300;

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
    /// Secrets of this run.
    pub(crate) secrets: Secrets,
    /// The shop that places the orders, once it is registered.
    pub(crate) shop: Option<Shop>,
}

/// Where the orders come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
                let run: Self = serde_json::from_slice(&text)
                    .with_context(|| format!("{} is no run of the demo", path.display()))?;
                run.check_resumption(options)?;
                Ok(run)
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
        if forgets(options.bus.as_deref()) && options.kill_after.is_some() {
            bail!(
                "--kill-after needs a bus that survives the process: the memory bus forgets what was published; leave --bus out, or take sqlite:, kafka://, amqp:// or sqs://"
            );
        }
        let secret = || Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string();
        Ok(Self {
            id: Uuid::new_v4(),
            source: source(options)?,
            faults: options.faults.unwrap_or(true),
            bus: options.bus.clone(),
            store: options.store.clone(),
            secrets: Secrets {
                administrator: secret(),
                provider_api_key: secret(),
                webhook: format!("whsec_{}", secret()),
            },
            shop: None,
        })
    }

    /// Refuses options that say otherwise than the run began, rather than to ignore them.
    fn check_resumption(&self, options: &DemoOptions) -> anyhow::Result<()> {
        if forgets(self.bus.as_deref()) {
            bail!(
                "this run was on the memory bus, which has forgotten what was published; begin anew, in another folder"
            );
        }
        let source_differs = (options.olist.is_some() || options.orders.is_some())
            && source(options)? != self.source;
        // Never the values: they may hold passwords.
        let differences = [
            ("--bus", options.bus.is_some() && options.bus != self.bus),
            (
                "--store",
                options.store.is_some() && options.store != self.store,
            ),
            (
                "--faults",
                options.faults.is_some_and(|faults| faults != self.faults),
            ),
            ("--olist", options.olist.is_some() && source_differs),
            ("--orders", options.orders.is_some() && source_differs),
        ];
        let differ: Vec<_> = differences
            .into_iter()
            .filter_map(|(option, differs)| differs.then_some(option))
            .collect();
        if !differ.is_empty() {
            bail!(
                "the run began with another {}; leave it out, for a run is resumed as it began",
                differ.join(" and ")
            );
        }
        Ok(())
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

/// Whether a bus ends with its process.
fn forgets(bus: Option<&str>) -> bool {
    bus.is_some_and(|bus| bus.starts_with("memory:"))
}

/// The orders that the options ask for.
fn source(options: &DemoOptions) -> anyhow::Result<Source> {
    match &options.olist {
        Some(folder) => {
            Ok(Source::Olist(folder.canonicalize().with_context(|| {
                format!("cannot find {}", folder.display())
            })?))
        }
        None => Ok(Source::Sample(options.orders.unwrap_or(FULL_SIZE))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: DemoOptions,
    }

    fn options(line: &[&str]) -> DemoOptions {
        let line = std::iter::once("demo").chain(line.iter().copied());
        Line::parse_from(line).options
    }

    fn resume(began: &[&str], resumed: &[&str]) -> Result<Run, String> {
        let folder = tempfile::tempdir().unwrap();
        Run::open(&options(began), folder.path()).unwrap();
        let data = folder.path().display().to_string();
        let mut line = vec!["--resume", "--data", &data];
        line.extend(resumed);
        Run::open(&options(&line), folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_run_is_resumed_as_it_began() {
        let began = ["--orders", "7", "--bus", "kafka://h:1", "--faults", "off"];
        let run = resume(&began, &[]).unwrap();
        assert_eq!((run.source, run.faults), (Source::Sample(7), false));
        assert_eq!(run.bus.as_deref(), Some("kafka://h:1"));
        // Saying the same again is no contradiction.
        resume(&began, &began).unwrap();
        resume(&[], &["--orders", "300", "--faults", "on"]).unwrap();
    }

    #[test]
    fn a_contradiction_to_what_it_began_with_is_refused() {
        let here = env!("CARGO_MANIFEST_DIR");
        for (began, resumed, told) in [
            (&[][..], &["--bus", "amqp://me:secret@h"][..], "--bus"),
            (
                &["--bus", "kafka://h:1"],
                &["--bus", "kafka://h:2"],
                "--bus",
            ),
            (&[], &["--store", "postgres://me:secret@h/d"], "--store"),
            (&[], &["--faults", "off"], "--faults"),
            (&[], &["--orders", "299"], "--orders"),
            (&[], &["--olist", here], "--olist"),
            (&["--olist", here], &["--orders", "300"], "--orders"),
        ] {
            let error = resume(began, resumed).unwrap_err();
            assert!(error.contains(told), "{began:?} {resumed:?}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_was_on_the_memory_bus_cannot_be_resumed() {
        let error = resume(&["--bus", "memory:"], &[]).unwrap_err();
        assert!(error.contains("memory"), "{error}");
    }
}
