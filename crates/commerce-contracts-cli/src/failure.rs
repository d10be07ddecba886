//! Why a question could not be answered. Every text says what to do next.

use std::io;
use std::path::PathBuf;

use commerce_contracts::gate::{Allowance, SchemaSetError};

#[cfg(feature = "registry")]
use crate::registry::RegistryFailure;
#[cfg(not(feature = "registry"))]
use crate::registry_url::RegistryUrl;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there is no directory {}: name the one that holds the schemas (`--schemas DIR`)", .0.display())]
    NoDirectory(PathBuf),
    #[error("{0} holds no schema: a schema directory has <name>/v<N>.json or v<N>.avsc")]
    NoSchemas(String),
    #[error(
        "{against} has no schema in {}, so everything would pass as new. Were they moved since, name the old place: `--old-schemas DIR`. \
         Are these the first, say so: `--first`.",
        directory.display()
    )]
    EmptyBaseline { against: String, directory: PathBuf },
    #[error("`--first` says that the baseline has no schema, and {0} has some: leave it out")]
    NotTheFirst(String),
    #[error(
        "`--old-schemas` is where git had the schemas; a directory or a registry is named by `--against` itself"
    )]
    OldSchemasWithoutGit,
    #[error("`--allow {0}` allows nothing: leave it out, or correct it")]
    StaleAllowance(Allowance),
    #[error("{place}/{error}")]
    Schemas {
        place: String,
        error: SchemaSetError,
    },
    #[error("{0}")]
    SchemasIo(SchemaSetError),
    #[cfg(not(feature = "registry"))]
    #[error(
        "{0} cannot be asked: this `contracts` was built without the feature `registry`. Install it with that \
         (`cargo install commerce-contracts-cli --features registry`), or compare with git or a directory."
    )]
    NoRegistry(RegistryUrl),
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Registry(#[from] RegistryFailure),
    #[error(
        "`--record` is for git and directories: a registry keeps every version by itself. Leave it out; to record what the registry has, \
         download it into a directory and name that."
    )]
    RecordFromRegistry,
    #[error("git cannot be run: {0}. Install it, or compare with a directory.")]
    NoGit(io::Error),
    #[error("{} is not in a git repository: run this inside one, or compare with a directory", .0.display())]
    NotARepository(PathBuf),
    #[error(
        "git knows no commit {0:?} here: fetch it (`git fetch origin {0}`), or correct the name"
    )]
    UnknownReference(String),
    #[error(
        "git has no commit {0:?} here, and this clone is shallow: the commit may lie beyond its end. \
         Fetch it (`git fetch --depth=1 origin {0}`; in GitHub Actions: `actions/checkout` with `fetch-depth: 0`)."
    )]
    BeyondShallowClone(String),
    #[error("`git {command}` failed: {message}")]
    Git { command: String, message: String },
    #[error("the answer cannot be written: {0}")]
    Output(io::Error),
    #[error("{}: {source}", path.display())]
    Page { path: PathBuf, source: io::Error },
}

impl Failure {
    pub(crate) fn schemas(place: &str, error: SchemaSetError) -> Self {
        match error {
            // The path is whole already.
            SchemaSetError::Io { .. } => Self::SchemasIo(error),
            error => Self::Schemas {
                place: place.to_owned(),
                error,
            },
        }
    }
}
