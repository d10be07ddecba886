//! What the schemas are compared with.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use commerce_contracts::compatibility::Mode;
use commerce_contracts::compatibility::json::Policy;
use commerce_contracts::gate::{Change, ContractId, Outcome, Rules, SchemaSet, allow};

use crate::failure::Failure;
#[cfg(feature = "registry")]
use crate::registry::{self, RegistryFailure};
use crate::registry_url::RegistryUrl;
use crate::{git, schema_directory};

/// `git:REF`, `registry:URL`, or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Baseline {
    Git(String),
    Directory(PathBuf),
    Registry(RegistryUrl),
}

impl FromStr for Baseline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("git", "")) => {
                Err("`git:` needs a commit, branch or tag: git:origin/main".to_owned())
            }
            Some(("git", reference)) => Ok(Self::Git(reference.to_owned())),
            Some(("registry", "")) => Err(
                "`registry:` needs an address: registry:https://registry.example.com".to_owned(),
            ),
            Some(("registry", url)) => Ok(Self::Registry(RegistryUrl::new(url))),
            _ if text.is_empty() => Err("name git:REF, registry:URL or a directory".to_owned()),
            _ => Ok(Self::Directory(text.into())),
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Git(reference) => write!(formatter, "git:{reference}"),
            Self::Directory(path) => write!(formatter, "{}", path.display()),
            Self::Registry(url) => write!(formatter, "registry:{url}"),
        }
    }
}

/// What to compare with, and where it lies.
#[derive(Debug, Args)]
pub(crate) struct Comparison {
    /// What to compare with: git:REF (the same directory at a commit, branch or tag), registry:URL (a schema registry) or a directory.
    #[arg(long, value_name = "git:REF|registry:URL|DIR")]
    pub(crate) against: Baseline,
    /// Where the schemas were at git:REF, when they have been moved since.
    #[arg(long, value_name = "DIR")]
    old_schemas: Option<PathBuf>,
    /// Accepts that there is no schema in the baseline: these are the first.
    #[arg(long)]
    first: bool,
    #[cfg(feature = "registry")]
    #[command(flatten)]
    registry: registry::Asking,
}

/// What the schemas were, and what is to be known about it.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) set: SchemaSet,
    /// For people, beside the answer.
    pub(crate) notes: Vec<String>,
    /// What earlier states are called that are no files, by contract and number.
    pub(crate) named_states: BTreeMap<(ContractId, u32), String>,
    /// Whether what was is kept where this comes from, and need not lie beside the schemas.
    pub(crate) keeps_states: bool,
    /// Why there is nothing, where that can be told.
    #[cfg(feature = "registry")]
    pub(crate) none: Option<RegistryFailure>,
}

impl Past {
    /// Tells findings in the words of where the past comes from.
    pub(crate) fn settle(&self, changes: &mut [Change]) {
        if !self.keeps_states {
            return;
        }
        for change in &mut *changes {
            // What is read is nobody's but the reader's: a registry has what is written.
            change.edits.retain(|file| file.ending != "read.json");
            if change.outcome == Outcome::Compatible && change.edits.is_empty() {
                change.outcome = Outcome::Unchanged;
            }
            for one in &mut change.breaks {
                let number = one
                    .state
                    .as_ref()
                    .and_then(|state| state.rsplit('/').next()?.parse().ok());
                let name = number
                    .and_then(|number| self.named_states.get(&(change.contract.clone(), number)));
                if let Some(name) = name {
                    one.state = Some(name.clone());
                }
            }
        }
        for change in &mut *changes {
            let id = change.contract.clone();
            if let Ok(kept) = format!("{id}:EARLIER_STATE_LOST").parse() {
                // That there is nothing to allow is as good.
                let _ = allow(std::slice::from_mut(change), &[kept]);
            }
        }
    }
}

impl Comparison {
    /// `directory` is where the schemas `new` are now: git is asked about the same place, unless told otherwise. `mode` is who has to
    /// understand whom, where that is asked.
    #[cfg_attr(
        not(feature = "registry"),
        expect(
            unused_variables,
            reason = "only a registry is asked about certain contracts"
        )
    )]
    pub(crate) fn read(
        &self,
        directory: &Path,
        new: &SchemaSet,
        mode: Option<Mode>,
    ) -> Result<Past, Failure> {
        if self.old_schemas.is_some() && !matches!(self.against, Baseline::Git(_)) {
            return Err(Failure::OldSchemasWithoutGit);
        }
        let of = |set| Past {
            set,
            ..Past::default()
        };
        #[cfg_attr(
            not(feature = "registry"),
            expect(unused_mut, reason = "only a registry says why it has nothing")
        )]
        let mut past = match &self.against {
            Baseline::Git(reference) => {
                let directory = self.old_schemas.as_deref().unwrap_or(directory);
                of(git::schemas_at(directory, reference)?)
            }
            Baseline::Directory(path) => of(schema_directory::read(path)?),
            #[cfg(feature = "registry")]
            Baseline::Registry(url) => registry::past(url, &self.registry, new, mode)?,
            #[cfg(not(feature = "registry"))]
            Baseline::Registry(url) => return Err(Failure::NoRegistry(url.clone())),
        };
        #[cfg(feature = "registry")]
        if let (Some(none), false) = (past.none.take(), self.first) {
            return Err(none.into());
        }
        // Nothing is compatible with everything: a directory that was moved would pass whatever it holds.
        match (past.set.is_empty(), self.first) {
            (true, false) => Err(Failure::EmptyBaseline {
                against: self.against.to_string(),
                directory: match (&self.against, &self.old_schemas) {
                    (Baseline::Directory(path), _) | (_, Some(path)) => path.clone(),
                    _ => directory.to_owned(),
                },
            }),
            (false, true) => Err(Failure::NotTheFirst(self.against.to_string())),
            _ => Ok(past),
        }
    }
}

/// How strictly.
#[derive(Debug, Args)]
pub(crate) struct Strictness {
    /// Who must understand whom within one version.
    #[arg(long, value_enum, default_value = "full-transitive")]
    mode: ModeName,
    /// What writers of JSON are taken to write beside what their schema declares.
    #[arg(long, value_enum, default_value = "closed")]
    policy: PolicyName,
    /// Vouches for changes that can be neither proven nor disproven to be compatible.
    #[arg(long)]
    allow_unknown: bool,
}

impl Strictness {
    pub(crate) fn rules(&self) -> Rules {
        let mut rules = Rules::default();
        rules.mode = match self.mode {
            ModeName::Backward => Mode::Backward,
            ModeName::Forward => Mode::Forward,
            ModeName::Full => Mode::Full,
            ModeName::BackwardTransitive => Mode::BackwardTransitive,
            ModeName::ForwardTransitive => Mode::ForwardTransitive,
            ModeName::FullTransitive => Mode::FullTransitive,
        };
        rules.policy = match self.policy {
            PolicyName::Closed => Policy::WriterClosedReaderOpen,
            PolicyName::Strict => Policy::Strict,
        };
        rules.allow_unknown = self.allow_unknown;
        rules
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeName {
    /// What is new reads what is old.
    Backward,
    /// What is old reads what is new.
    Forward,
    /// Both.
    Full,
    /// What is new reads also what the version was before.
    BackwardTransitive,
    /// Also what the version was before reads what is new.
    ForwardTransitive,
    /// Both, with everything that the version was.
    FullTransitive,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PolicyName {
    /// Nothing: writers are closed, readers are open.
    Closed,
    /// Anything that the schema does not forbid, as Confluent's registry has it.
    Strict,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_is_git_a_registry_or_a_directory() {
        let read = |text: &str| text.parse::<Baseline>();
        assert_eq!(read("git:v1.2.0"), Ok(Baseline::Git("v1.2.0".to_owned())));
        assert_eq!(read("git:main:x"), Ok(Baseline::Git("main:x".to_owned())));
        assert_eq!(
            read("registry:http://x/"),
            Ok(Baseline::Registry(RegistryUrl::new("http://x")))
        );
        assert!(read("registry:").is_err());
        assert_eq!(read("../old"), Ok(Baseline::Directory("../old".into())));
        assert!(read("git:").is_err() && read("").is_err());
    }
}
