//! Settings: a TOML file, the environment over it, defaults for a laptop under it.
//!
//! `COMMERCE_LISTEN` is `listen`; `COMMERCE_PAYMENTS_PROVIDER_URL` is `provider_url` in the section `[payments]`; one
//! more level is written with two underscores. Everything is read and checked before anything starts.

mod deserialize;
mod fault;
mod mistake;
mod source;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use url::Url;

pub use self::mistake::{Mistake, Mistakes, Origin};
pub use self::values::{ConnectionUrl, duration, is_local_url, optional_web_url, secret, web_url};

use self::mistake::{meant, nearest};
use self::source::{Node, PREFIX, Table, Value, origins};

/// The sections that a platform's settings may hold. Their names, and nothing of what they mean: one file and one
/// environment serve every process of a platform, and only a name that belongs to nobody is a mistake.
pub const SECTIONS: [&str; 6] = [
    "platform",
    "identity",
    "orders",
    "payments",
    "notifications",
    "provider-sandbox",
];

/// Variables that are no settings of services: where `cargo xtask` keeps its downloads and servers.
const OF_TOOLS: [&str; 2] = ["CACHE_DIR", "SERVICES_DIR"];

/// What every service needs to know about where it runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Settings {
    /// Address and port to listen on; port 0 takes a free one.
    #[serde(deserialize_with = "listen")]
    pub listen: SocketAddr,
    /// The address under which callers reach the services; by default the one listened on.
    #[serde(deserialize_with = "optional_web_url")]
    pub public_url: Option<Url>,
    /// Directory of everything that is kept on this machine.
    pub data: PathBuf,
    /// The event bus: `memory:`, `sqlite:FILE`, `kafka://…`, `amqp://…`, `sqs://…`; by default a file in the data directory.
    pub bus: Option<ConnectionUrl>,
    /// Keeps topics and databases apart from those of other platforms on the same servers: it goes before the names of
    /// topics, PostgreSQL schemas and SQLite files.
    pub namespace: Option<String>,
    /// The databases: `sqlite:DIRECTORY` or `postgres://…`; by default the data directory.
    pub store: Option<ConnectionUrl>,
    /// Who issues the tokens; by default these services themselves, that is the public URL.
    #[serde(deserialize_with = "optional_web_url")]
    pub issuer: Option<Url>,
    /// The audience that a token must be for.
    pub audience: String,
    /// How log lines look.
    pub log: LogFormat,
    /// What is logged, as directives of tracing; `RUST_LOG` goes before.
    pub log_filter: String,
    /// OpenTelemetry collector for traces (OTLP over gRPC); without it none are sent.
    #[serde(deserialize_with = "optional_web_url")]
    pub otlp: Option<Url>,
    /// How long a drain may take.
    #[serde(deserialize_with = "duration")]
    pub drain: Duration,
    /// How long a request may take to come in, and to be answered.
    #[serde(deserialize_with = "duration")]
    pub request_timeout: Duration,
    /// After how long without progress, while events wait, consumption counts as stalled.
    #[serde(deserialize_with = "duration")]
    pub stall: Duration,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
}

const FIELDS: [&str; 14] = [
    "listen",
    "public_url",
    "data",
    "bus",
    "namespace",
    "store",
    "issuer",
    "audience",
    "log",
    "log_filter",
    "otlp",
    "drain",
    "request_timeout",
    "stall",
];

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            data: PathBuf::from("data"),
            bus: None,
            namespace: None,
            store: None,
            issuer: None,
            audience: "commerce".to_owned(),
            log: LogFormat::default(),
            log_filter: "info".to_owned(),
            otlp: None,
            drain: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            stall: Duration::from_mins(2),
        }
    }
}

impl Settings {
    /// The bus to connect to.
    pub fn bus_url(&self) -> ConnectionUrl {
        self.bus.clone().unwrap_or_else(|| {
            ConnectionUrl::new(format!("sqlite:{}", self.data.join("bus.db").display()))
        })
    }

    /// Whether only programs on this machine can reach the services. It goes by what is listened on and by the public
    /// URL, which is that of a proxy where the two differ.
    pub fn is_local(&self) -> bool {
        self.listen.ip().is_loopback() && self.public_url.as_ref().is_none_or(is_local_url)
    }

    /// Where the databases are.
    pub fn store_url(&self) -> ConnectionUrl {
        self.store
            .clone()
            .unwrap_or_else(|| ConnectionUrl::new(format!("sqlite:{}", self.data.display())))
    }
}

fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "`{text}` is not an address with a port; right would be 127.0.0.1:8080 or 0.0.0.0:8080"
        ))
    })
}

/// The settings as read, before they are understood.
///
/// ```
/// use commerce_host::settings::Configuration;
/// # #[derive(Default, serde::Deserialize)] #[serde(default)] struct Payments { attempts: u32 }
/// let mut configuration = Configuration::read(None, [("COMMERCE_PAYMENTS_ATTEMPTS".into(), "3".into())]);
/// let payments = configuration.section::<Payments>("payments");
/// let settings = configuration.finish()?;      // all mistakes, of all sections
/// assert_eq!(payments?.attempts, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Configuration {
    root: Table,
    environment: BTreeMap<String, String>,
    sections: Vec<String>,
    /// Where each setting of the sections was given, by its dotted name.
    origins: BTreeMap<String, Origin>,
    mistakes: Vec<Mistake>,
    /// Environment variables that the sections read.
    variables: BTreeSet<String>,
    foreign_sections: bool,
}

/// A section had mistakes, which [`Configuration::finish`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this section of the settings has mistakes")]
pub struct Refused;

impl Configuration {
    /// Reads the file, if any, and the variables, usually [`std::env::vars`].
    pub fn read(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut mistakes = Vec::new();
        let root = file
            .map_or(Ok(Table::new()), source::file)
            .unwrap_or_else(|mistake| {
                mistakes.push(mistake);
                Table::new()
            });
        let mut environment = source::environment(variables);
        // Names the file itself.
        environment.remove("CONFIG");
        Self {
            root,
            environment,
            sections: Vec::new(),
            origins: BTreeMap::new(),
            mistakes,
            variables: BTreeSet::new(),
            foreign_sections: false,
        }
    }

    /// Lets file and environment hold [`SECTIONS`] of services that do not run in this process.
    pub fn allow_foreign_sections(&mut self) {
        self.foreign_sections = true;
    }

    /// Reads the section `[name]`; unknown keys are refused with or without `deny_unknown_fields`.
    pub fn section<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Refused> {
        self.sections.push(name.to_owned());
        let mut table = match self.root.remove(name) {
            None => Table::new(),
            Some(Node {
                value: Value::Table(table),
                ..
            }) => table,
            Some(Node { origin, .. }) => {
                self.mistakes.push(Mistake {
                    setting: name.to_owned(),
                    wrong: "a single value cannot stand here".to_owned(),
                    right: Some(format!("a section, [{name}]")),
                    origin,
                });
                return Err(Refused);
            }
        };
        let prefix = format!("{}_", name.to_ascii_uppercase().replace('-', "_"));
        let own: Vec<String> = self
            .environment
            .keys()
            .filter(|key| key.starts_with(&prefix))
            .cloned()
            .collect();
        for variable in own {
            let Some(text) = self.environment.remove(&variable) else {
                continue;
            };
            let path: Vec<String> = variable[prefix.len()..]
                .to_ascii_lowercase()
                .split("__")
                .map(str::to_owned)
                .collect();
            source::overlay(&mut table, &path, &variable, text);
        }
        origins(name, &table, &mut self.origins);
        let (value, findings) = deserialize::read(name, &table);
        self.mistakes.extend(findings.mistakes);
        self.variables.extend(findings.variables);
        value.ok_or(Refused)
    }

    /// The host's own settings, or every mistake that was found.
    pub fn finish(self) -> Result<Settings, Mistakes> {
        self.finish_with(|_| Vec::new())
    }

    /// The same, with the mistakes that services see only when all settings are known: in values that their types allow,
    /// and between settings. `check` is asked whenever the host's own settings can be read, so that one start tells all.
    pub fn finish_with(
        mut self,
        check_services: impl FnOnce(&Settings) -> Vec<Mistake>,
    ) -> Result<Settings, Mistakes> {
        for field in FIELDS {
            let variable = field.to_ascii_uppercase();
            if let Some(text) = self.environment.remove(&variable) {
                source::overlay(&mut self.root, &[field.to_owned()], &variable, text);
            }
        }
        self.refuse_unknown_variables();
        self.refuse_unknown_sections();
        let (settings, findings) = deserialize::read::<Settings>("", &self.root);
        let mut mistakes = findings.mistakes;
        mistakes.append(&mut self.mistakes);
        if let Some(settings) = &settings {
            mistakes.extend(check(settings));
            mistakes.extend(check_services(settings).into_iter().map(|mut mistake| {
                if let (Origin::Nowhere, Some(origin)) =
                    (&mistake.origin, self.origins.get(&mistake.setting))
                {
                    mistake.origin = origin.clone();
                }
                mistake
            }));
        }
        match settings {
            Some(settings) if mistakes.is_empty() => Ok(settings),
            _ => Err(Mistakes(mistakes)),
        }
    }

    /// Variables that nothing has read. A setting that is misspelt is not set, and nobody would know.
    fn refuse_unknown_variables(&mut self) {
        let mut known: BTreeSet<String> = std::mem::take(&mut self.variables);
        known.extend(FIELDS.map(variable));
        known.insert(variable("CONFIG"));
        let foreign: Vec<String> = SECTIONS
            .into_iter()
            .filter(|section| {
                self.foreign_sections && !self.sections.iter().any(|own| own == section)
            })
            .map(|section| format!("{}_", variable(section)))
            .collect();
        for name in std::mem::take(&mut self.environment).into_keys() {
            let name = variable(&name);
            if foreign.iter().any(|prefix| name.starts_with(prefix))
                || OF_TOOLS.iter().any(|tool| name == variable(tool))
            {
                continue;
            }
            // What a variable of a section that is not read here would be called.
            let foreign = foreign.iter().map(|prefix| {
                let words = prefix.matches('_').count();
                let rest = name.splitn(words + 1, '_').nth(words).unwrap_or_default();
                format!("{prefix}{rest}")
            });
            let candidates: Vec<String> = known.iter().cloned().chain(foreign).collect();
            let right = match meant(&name, candidates.iter().map(String::as_str)) {
                Some(meant) => format!("`{meant}`: did you mean it?"),
                None => format!(
                    "the name of a setting; the nearest are {}",
                    nearest(&name, known.iter().map(String::as_str), 3).join(", ")
                ),
            };
            self.mistakes.push(Mistake {
                setting: name.clone(),
                wrong: "no setting reads this variable".to_owned(),
                right: Some(right),
                origin: Origin::Environment(name),
            });
        }
    }

    /// Tables that no section has taken; single values are left to the reading of the root.
    fn refuse_unknown_sections(&mut self) {
        let tables: Vec<String> = self
            .root
            .iter()
            .filter(|(name, node)| {
                matches!(node.value, Value::Table(_)) && !FIELDS.contains(&name.as_str())
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in tables {
            let Some(node) = self.root.remove(&name) else {
                continue;
            };
            if self.foreign_sections && SECTIONS.contains(&name.as_str()) {
                continue;
            }
            let mut known: Vec<&str> = self.sections.iter().map(String::as_str).collect();
            if self.foreign_sections {
                known.extend(
                    SECTIONS
                        .iter()
                        .filter(|section| !self.sections.iter().any(|own| own == *section)),
                );
            }
            let right = match meant(&name, known.iter().copied()) {
                Some(meant) => format!("[{meant}]: did you mean it?"),
                None => format!("one of [{}]", known.join("], [")),
            };
            self.mistakes.push(Mistake {
                setting: format!("[{name}]"),
                wrong: "there is no such section".to_owned(),
                right: Some(right),
                origin: node.origin,
            });
        }
    }
}

/// The environment variable of a setting or section at the root.
fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// What can be seen only when all settings are known.
fn check(settings: &Settings) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if settings.audience.trim().is_empty() {
        mistakes.push(Mistake::new(
            "audience",
            "it is empty",
            "the name that tokens are issued for, such as commerce",
        ));
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&settings.log_filter) {
        mistakes.push(Mistake::new(
            "log_filter",
            error.to_string(),
            "directives such as info,commerce_orders=debug",
        ));
    }
    let bus = settings.bus_url();
    if !["memory", "sqlite", "kafka", "amqp", "amqps", "sqs"].contains(&bus.scheme()) {
        let right = "memory:, sqlite:FILE, kafka://HOST:PORT, amqp://USER:PASSWORD@HOST:PORT/VHOST or sqs://REGION";
        mistakes.push(Mistake::new(
            "bus",
            format!("`{}:` is not a bus", bus.scheme()),
            right,
        ));
    }
    if let Some(namespace) = settings
        .namespace
        .as_deref()
        .filter(|name| !is_namespace(name))
    {
        let right = "a short name of lower-case letters, digits and '-', beginning with a letter, such as staging";
        mistakes.push(Mistake::new(
            "namespace",
            format!("`{namespace}` cannot go before a name"),
            right,
        ));
    }
    let store = settings.store_url();
    if !["sqlite", "postgres", "postgresql"].contains(&store.scheme()) {
        let right = "sqlite:DIRECTORY or postgres://USER:PASSWORD@HOST:PORT/DATABASE";
        mistakes.push(Mistake::new(
            "store",
            format!("`{}:` is not a store", store.scheme()),
            right,
        ));
    }
    mistakes
}

/// Short enough to leave room for the names it goes before: PostgreSQL cuts identifiers at 63 bytes.
fn is_namespace(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests;
