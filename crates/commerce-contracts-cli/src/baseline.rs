//! What the schemas are compared with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use commerce_contracts::compatibility::Mode;
use commerce_contracts::compatibility::json::Policy;
use commerce_contracts::gate::{Rules, SchemaSet};

use crate::failure::Failure;
use crate::{git, schema_directory};

/// `git:REF`, `registry:URL`, or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Baseline {
    Git(String),
    Directory(PathBuf),
    Registry,
}

impl FromStr for Baseline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("git", "")) => {
                Err("`git:` needs a commit, branch or tag: git:origin/main".to_owned())
            }
            Some(("git", reference)) => Ok(Self::Git(reference.to_owned())),
            Some(("registry", _)) => Ok(Self::Registry),
            _ if text.is_empty() => Err("name git:REF or a directory".to_owned()),
            _ => Ok(Self::Directory(text.into())),
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Git(reference) => write!(formatter, "git:{reference}"),
            Self::Directory(path) => write!(formatter, "{}", path.display()),
            Self::Registry => formatter.write_str("registry"),
        }
    }
}

/// What to compare with, and where it lies.
#[derive(Debug, Args)]
pub(crate) struct Comparison {
    /// What to compare with: git:REF (the same directory at a commit, branch or tag) or a directory.
    #[arg(long, value_name = "git:REF|DIR")]
    pub(crate) against: Baseline,
    /// Where the schemas were at git:REF, when they have been moved since.
    #[arg(long, value_name = "DIR")]
    old_schemas: Option<PathBuf>,
    /// Accepts that there is no schema in the baseline: these are the first.
    #[arg(long)]
    first: bool,
}

impl Comparison {
    /// `directory` is where the schemas are now: git is asked about the same place, unless told otherwise.
    pub(crate) fn read(&self, directory: &Path) -> Result<SchemaSet, Failure> {
        let set = match &self.against {
            Baseline::Git(reference) => {
                let directory = self.old_schemas.as_deref().unwrap_or(directory);
                git::schemas_at(directory, reference)?
            }
            Baseline::Directory(_) if self.old_schemas.is_some() => {
                return Err(Failure::OldSchemasWithoutGit);
            }
            Baseline::Directory(path) => schema_directory::read(path)?,
            Baseline::Registry => return Err(Failure::Registry),
        };
        // Nothing is compatible with everything: a directory that was moved would pass whatever it holds.
        match (set.is_empty(), self.first) {
            (true, false) => Err(Failure::EmptyBaseline {
                against: self.against.to_string(),
                directory: match (&self.against, &self.old_schemas) {
                    (Baseline::Directory(path), _) | (_, Some(path)) => path.clone(),
                    _ => directory.to_owned(),
                },
            }),
            (false, true) => Err(Failure::NotTheFirst(self.against.to_string())),
            _ => Ok(set),
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
        assert_eq!(read("registry:http://x"), Ok(Baseline::Registry));
        assert_eq!(read("../old"), Ok(Baseline::Directory("../old".into())));
        assert!(read("git:").is_err() && read("").is_err());
    }
}
