//! Whether the path still leads to the file that was opened.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};

/// Tells the file that was opened from another that took its path.
#[derive(Debug)]
pub(super) struct Identity {
    path: PathBuf,
    file: File,
}

/// Device and inode.
#[cfg(unix)]
type File = (u64, u64);

/// Elsewhere a file that is open cannot be removed.
#[cfg(not(unix))]
type File = ();

impl Identity {
    /// Of the file that is at the path now. Looked at from outside: whoever opens a file of SQLite's once more and closes it
    /// again gives up the locks that the whole process has on it.
    pub(super) async fn of(path: &Path) -> io::Result<Self> {
        // The process may change its directory.
        let path = std::path::absolute(path)?;
        let file = file(&tokio::fs::metadata(&path).await?);
        Ok(Self { path, file })
    }

    /// An error when the file is not at its path any more: SQLite would go on with a file that nobody finds again.
    pub(super) async fn check(&self, operation: &'static str) -> Result<(), Error> {
        let path = self.path.display();
        let unavailable = |problem| Error::new(ErrorKind::Unavailable, operation, problem);
        match tokio::fs::metadata(&self.path).await {
            Ok(found) if file(&found) == self.file => Ok(()),
            Ok(_) => Err(unavailable(format!(
                "another file is at {path} since the bus was opened, and what is published goes to the earlier one; \
                 put that back, or restart the process to go on with the new one"
            ))),
            Err(source) => {
                let problem = format!(
                    "the bus file is not to be found at {path}, and what is published is lost when the process ends; \
                     put it back"
                );
                Err(unavailable(problem).with_source(source))
            }
        }
    }
}

#[cfg(unix)]
fn file(metadata: &Metadata) -> File {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn file(_: &Metadata) -> File {}
