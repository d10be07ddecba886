#![doc = include_str!("README.md")]

mod allowance;
mod canonical;
mod comparison;
mod edit;
mod explanation;
mod keywords;
mod personal;
#[doc(hidden)]
pub mod registry;
mod remedy;
mod schema_set;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub use self::allowance::{Allowance, allow};
pub use self::comparison::{Break, Change, FileEdits, Outcome, Part, Rules, compare};
pub use self::edit::Edit;
use self::registry::Found;
pub use self::schema_set::{ContractId, RecordedContract, SchemaSet, SchemaSetError};
use crate::compatibility::Mode;
use crate::compatibility::json::Policy;
use crate::{Contract, avro};

/// Set to anything but `0`, the gate records compatible changes instead of failing on them.
pub const BLESS: &str = "CONTRACTS_BLESS";

/// What a person vouches for while recording, separated by commas: see [`Allowance`].
pub const ALLOW: &str = "CONTRACTS_ALLOW";

/// Compares events with the schemas that are committed beside their crate. [`assert_compatible!`](crate::assert_compatible) makes and asks it.
#[derive(Clone, Debug)]
pub struct Gate {
    /// None for a list of contracts that may be anybody's.
    package: Option<String>,
    root: PathBuf,
    directory: PathBuf,
    rules: Rules,
    except: Vec<String>,
    allowances: Vec<Allowance>,
    events: Vec<Found>,
}

/// Why the gate is closed. Its text is the report for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// There is nothing to compare, which is never what a test wants.
    #[error(
        "no event of the package `{package}` is in this test, so there is nothing to compare.\n  \
         In a file under tests/, name the crate, or it is not linked: `use {krate} as _;`\n  \
         An event is found when its type has #[derive(Event)] and is compiled with the features of this test."
    )]
    NoEvents {
        /// Whose events were looked for.
        package: String,
        /// Its name in code.
        krate: String,
    },
    /// The list of contracts is empty.
    #[error("the list of contracts is empty, so there is nothing to compare: name the events")]
    NoContracts,
    /// Two types are the same version of the same event.
    #[error(
        "{contract} is two types, {one} and {other}: give one of them another name or the next version"
    )]
    Twice {
        /// Which contract.
        contract: ContractId,
        /// One type.
        one: String,
        /// The other.
        other: String,
    },
    /// A type has no Avro schema.
    #[error("{event} has no Avro schema: {source}")]
    Avro {
        /// The type.
        event: String,
        /// Why not, and what to do.
        source: avro::SchemaError,
    },
    /// An exception that excepts nothing.
    #[error("`{0}` is excepted from the gate, and there is no such event: remove the exception")]
    StaleException(String),
    /// An allowance that allows nothing.
    #[error("`{0}` is allowed, and there is nothing to allow: remove the allowance, or correct it")]
    StaleAllowance(Allowance),
    /// What is to be allowed cannot be.
    #[error("{ALLOW}: {0}")]
    Allowance(String),
    /// The committed schemas cannot be read or written.
    #[error(transparent)]
    Schemas(#[from] SchemaSetError),
    /// Types and committed schemas differ.
    #[error("{0}")]
    Differs(String),
}

impl Gate {
    /// The gate of every event that the package declares, as far as it is linked into this program.
    pub fn of_package(package: &str, manifest_directory: &str) -> Self {
        let mut gate = Self::of([], manifest_directory);
        gate.package = Some(package.to_owned());
        gate.events = registry::events_of(package);
        gate
    }

    /// The gate of these contracts, whose schemas are below this directory: where a program cannot collect them itself.
    pub fn of(
        contracts: impl IntoIterator<Item = &'static Contract>,
        root: impl Into<PathBuf>,
    ) -> Self {
        Self {
            package: None,
            root: root.into(),
            directory: "schemas".into(),
            rules: Rules::default(),
            except: Vec::new(),
            allowances: Vec::new(),
            events: contracts
                .into_iter()
                .map(|contract| Found {
                    path: contract.event_type().to_owned(),
                    contract,
                })
                .collect(),
        }
    }

    /// Who must understand whom within one version: [`Mode::FullTransitive`] unless said otherwise. A mode that is not transitive looks
    /// at the last recorded state alone, and passes a field that was removed and comes back as something else.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.rules.mode = mode;
        self
    }

    /// What writers of JSON are taken to write.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.rules.policy = policy;
        self
    }

    /// Vouches for changes that the checker can neither prove nor disprove to be compatible.
    pub fn allow_unknown(mut self, allow: bool) -> Self {
        self.rules.allow_unknown = allow;
        self
    }

    /// Where the schemas are, below the directory of the crate's Cargo.toml: `schemas` unless said otherwise.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Leaves out event types by their paths, for those that exist only in tests: `["shop::tests::Probe"]`.
    pub fn except<'a>(mut self, types: impl IntoIterator<Item = &'a str>) -> Self {
        self.except.extend(types.into_iter().map(str::to_owned));
        self
    }

    /// Vouches for what no schema can say, such as that a field never held personal data. It is for one recording: once recorded, an
    /// allowance allows nothing more, which is an error. [`assert`](Self::assert) takes it from `CONTRACTS_ALLOW`.
    pub fn allow(mut self, allowances: impl IntoIterator<Item = Allowance>) -> Self {
        self.allowances.extend(allowances);
        self
    }

    /// Panics with the report when the gate is closed. With `CONTRACTS_BLESS=1` it records what may be recorded.
    ///
    /// # Panics
    /// When types and committed schemas differ.
    #[track_caller]
    pub fn assert(self) {
        // A build that is shared between checkouts must look into the one it runs for.
        let gate = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(directory) if self.package.is_some() => Self {
                root: directory.into(),
                ..self
            },
            _ => self,
        };
        let bless = std::env::var(BLESS).is_ok_and(|value| !matches!(value.as_str(), "" | "0"));
        let outcome = if bless {
            gate.allowing_by_environment().and_then(|gate| {
                let recorded = gate.bless()?;
                gate.tell(&recorded);
                Ok(())
            })
        } else {
            gate.check()
        };
        if let Err(error) = outcome {
            panic!("{error}");
        }
    }

    fn allowing_by_environment(self) -> Result<Self, GateError> {
        let text = std::env::var(ALLOW).unwrap_or_default();
        let named = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        let allowances: Result<Vec<Allowance>, String> = named.map(str::parse).collect();
        Ok(self.allow(allowances.map_err(GateError::Allowance)?))
    }

    /// Ok when every event is recorded as it is, and every recorded event is there.
    pub fn check(&self) -> Result<(), GateError> {
        let recorded = self.recorded()?;
        let changes = self.changes(&recorded, &self.current(&recorded)?)?;
        self.report(&changes, false)
            .map_or(Ok(()), |report| Err(GateError::Differs(report)))
    }

    /// Records what is new and what changed compatibly, and returns the files that changed. What a version was before is kept beside it,
    /// in `v<N>.earlier`, where the change means something to programs. It records nothing at all when anything is incompatible or gone.
    pub fn bless(&self) -> Result<Vec<PathBuf>, GateError> {
        let recorded = self.recorded()?;
        let current = self.current(&recorded)?;
        if let Some(report) = self.report(&self.changes(&recorded, &current)?, true) {
            return Err(GateError::Differs(report));
        }
        let directory = self.root.join(&self.directory);
        let mut changed = Vec::new();
        for (id, contract) in current.iter() {
            changed.extend(schema_set::record(&directory, id, contract)?);
        }
        Ok(changed)
    }

    fn changes(&self, recorded: &SchemaSet, current: &SchemaSet) -> Result<Vec<Change>, GateError> {
        let mut changes = compare(recorded, current, self.rules);
        for change in &mut changes {
            if let (Some(old), Some(new)) = (
                recorded.get(&change.contract),
                current.get(&change.contract),
            ) {
                change.miss(old, new);
            }
        }
        match allow(&mut changes, &self.allowances).pop() {
            Some(stale) => Err(GateError::StaleAllowance(stale)),
            None => Ok(changes),
        }
    }

    /// Past the capture of test output, or nobody would see what was written.
    fn tell(&self, recorded: &[PathBuf]) {
        for path in recorded {
            let path = path.strip_prefix(&self.root).unwrap_or(path);
            // A closed standard error is no reason to fail.
            let _ = writeln!(std::io::stderr(), "recorded {}", path.display());
        }
    }

    /// A directory that does not exist yet holds no schemas.
    fn recorded(&self) -> Result<SchemaSet, GateError> {
        let directory = self.root.join(&self.directory);
        if directory.exists() {
            Ok(SchemaSet::read(&directory)?)
        } else {
            Ok(SchemaSet::default())
        }
    }

    /// The events as they are, each with what was recorded of it until now.
    fn current(&self, recorded: &SchemaSet) -> Result<SchemaSet, GateError> {
        for except in &self.except {
            if !self.events.iter().any(|event| event.path == *except) {
                return Err(GateError::StaleException(except.clone()));
            }
        }
        let mut types = BTreeMap::<ContractId, &str>::new();
        let mut set = SchemaSet::default();
        for Found { path, contract } in &self.events {
            if self.except.contains(path) {
                continue;
            }
            let id = ContractId {
                name: contract.name().to_owned(),
                version: contract.version(),
            };
            if let Some(one) = types.insert(id.clone(), path) {
                return Err(GateError::Twice {
                    contract: id,
                    one: one.to_owned(),
                    other: path.clone(),
                });
            }
            let mut current = RecordedContract::of(contract).map_err(|source| GateError::Avro {
                event: path.clone(),
                source,
            })?;
            if let Some(old) = recorded.get(&id) {
                current.earlier.clone_from(&old.earlier);
                current.keep(old);
            }
            set.insert(id, current);
        }
        if set.is_empty() {
            return Err(match &self.package {
                Some(package) => GateError::NoEvents {
                    package: package.clone(),
                    krate: package.replace('-', "_"),
                },
                None => GateError::NoContracts,
            });
        }
        Ok(set)
    }

    /// None when the gate is open.
    fn report(&self, changes: &[Change], bless: bool) -> Option<String> {
        let directory = &self.directory;
        let package = |before: &str| {
            self.package
                .as_ref()
                .map_or_else(String::new, |name| format!("{before}{name}"))
        };
        let mut text = String::new();
        let mut unrecorded = false;
        let mut refused = 0;
        for change in changes {
            let file = file(directory, &change.contract);
            let (line, counts) = match change.outcome {
                Outcome::Unchanged => continue,
                Outcome::Added | Outcome::Compatible if bless => continue,
                Outcome::Added => (format!("is not recorded: there is no {file}"), false),
                Outcome::Compatible => (
                    format!("is not what {file} says; the change is compatible, and not recorded"),
                    false,
                ),
                Outcome::Incompatible => (
                    format!("is incompatible with {file}, what was recorded of it"),
                    true,
                ),
                Outcome::Removed => (
                    format!(
                        "is recorded in {file}, and there is no such event type.\n  \
                         Whoever stored it or still publishes it is left without a contract: restore the type (an old version lives on \
                         as the source of an upcast).\n  \
                         Only when none of these events exists any more, delete the file with the change that says so."
                    ),
                    true,
                ),
            };
            unrecorded |= !counts;
            refused += usize::from(counts);
            let _ = write!(text, "\n\n{} {line}", change.contract);
            let explained = change.explain();
            if !explained.is_empty() {
                let _ = write!(text, "\n{}", explained.trim_end());
            }
        }
        if text.is_empty() {
            return None;
        }
        if unrecorded {
            let _ = write!(
                text,
                "\n\nTo record what is new or compatible, run the test again with {BLESS}=1, and commit the files:\n  \
                 {BLESS}=1 cargo test{}",
                package(" --package ")
            );
        }
        if bless {
            let _ = write!(
                text,
                "\n\nNothing was recorded: {refused} of the contracts above must be settled first."
            );
        }
        Some(format!(
            "the event contracts{} are not what is committed.{}",
            package(" of "),
            text.trim_end()
        ))
    }
}

fn file(directory: &Path, id: &ContractId) -> String {
    let path = directory
        .join(&id.name)
        .join(format!("v{}.json", id.version));
    path.display().to_string()
}

/// Fails the test when an event of this package is not what its committed schemas say, and tells what to do.
///
/// ```no_run
/// # fn contracts_stay_compatible() { // a test of the crate
/// commerce_contracts::assert_compatible!();
/// # }
/// ```
///
/// Settings are the methods of [`Gate`](crate::gate::Gate):
///
/// ```no_run
/// use commerce_contracts::compatibility::Mode;
/// commerce_contracts::assert_compatible!(mode = Mode::Backward, directory = "contracts", except = ["shop::tests::Probe"]);
/// ```
#[macro_export]
macro_rules! assert_compatible {
    ($($setting:ident = $value:expr),* $(,)?) => {
        $crate::gate::Gate::of_package(::core::env!("CARGO_PKG_NAME"), ::core::env!("CARGO_MANIFEST_DIR"))
            $(.$setting($value))*
            .assert()
    };
}
