//! What the auditor has heard, on disk: a demo that is killed and resumed knows what it heard before.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::timeline::Step;

const FILE: &str = "audit.jsonl";

/// One event, as a line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The order that it is about.
    pub(crate) order_id: Uuid,
    /// The event.
    pub(crate) step: Step,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Journal(Mutex<File>);

impl Journal {
    /// Opens the journal in a folder, and reads what is in it.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else.
    pub(crate) async fn open(folder: &Path) -> anyhow::Result<(Self, Vec<Entry>)> {
        let path = folder.join(FILE);
        let read = async {
            let mut options = OpenOptions::new();
            let options = options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path).await?;
            let mut text = String::new();
            file.read_to_string(&mut text).await?;
            // Whoever was killed in the middle of a line had not acknowledged its event, which comes again.
            let whole = text.rfind('\n').map_or(0, |last| last + 1);
            text.truncate(whole);
            file.set_len(whole as u64).await?;
            file.seek(std::io::SeekFrom::End(0)).await?;
            let entries = text.lines().map(serde_json::from_str);
            let entries = entries.collect::<Result<Vec<Entry>, _>>();
            entries
                .map(|entries| (Self(Mutex::new(file)), entries))
                .map_err(|error| std::io::Error::new(ErrorKind::InvalidData, error))
        };
        read.await
            .with_context(|| format!("cannot read {}", path.display()))
    }

    /// Adds an event; it survives the death of this process from then on.
    pub(crate) async fn add(&self, entry: &Entry) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut file = self.0.lock().await;
        file.write_all(&line).await?;
        file.flush().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    fn entry(id: &str) -> Entry {
        Entry {
            order_id: Uuid::from_u128(7),
            step: Step {
                id: id.to_owned(),
                caused_by: None,
                source: "/orders".to_owned(),
                event_type: "orders.order.created.v1".to_owned(),
                time: Utc::now(),
                transaction_id: None,
            },
        }
    }

    #[tokio::test]
    async fn what_was_heard_is_known_again_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, before) = Journal::open(folder.path()).await.unwrap();
        assert!(before.is_empty());
        journal.add(&entry("a")).await.unwrap();
        journal.add(&entry("b")).await.unwrap();
        drop(journal);
        let path = folder.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        for torn in 1..text.len() {
            std::fs::write(&path, &text[..torn]).unwrap();
            let (journal, known) = Journal::open(folder.path()).await.unwrap();
            assert_eq!(known.len(), text[..torn].matches('\n').count());
            journal.add(&entry("c")).await.unwrap();
            drop(journal);
            let (_, known) = Journal::open(folder.path()).await.unwrap();
            assert_eq!(known.last().unwrap().step.id, "c");
        }
        std::fs::write(&path, "no JSON\n").unwrap();
        assert!(Journal::open(folder.path()).await.is_err());
    }
}
