//! The schemas that the question is about.

use std::path::{Path, PathBuf};

use clap::Args;
use commerce_contracts::gate::SchemaSet;

use crate::failure::Failure;

/// Which directory.
#[derive(Debug, Args)]
pub(crate) struct SchemaDirectory {
    /// The directory that holds the schemas.
    #[arg(long = "schemas", value_name = "DIR", default_value = "schemas")]
    pub(crate) path: PathBuf,
}

impl SchemaDirectory {
    /// One without any schema is an error: nothing can be said about nothing.
    pub(crate) fn read(&self) -> Result<SchemaSet, Failure> {
        let set = read(&self.path)?;
        if set.is_empty() {
            return Err(Failure::NoSchemas(self.path.display().to_string()));
        }
        Ok(set)
    }
}

pub(crate) fn read(path: &Path) -> Result<SchemaSet, Failure> {
    if !path.is_dir() {
        return Err(Failure::NoDirectory(path.to_owned()));
    }
    SchemaSet::read(path).map_err(|error| Failure::schemas(&path.display().to_string(), error))
}
