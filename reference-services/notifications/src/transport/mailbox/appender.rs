//! The one who writes to the mailbox.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use tokio::sync::{mpsc, oneshot};

use super::scan::scan;
use crate::transport::Delivered;

/// How many e-mails share one `fsync`.
const BATCH: usize = 64;

/// An e-mail to append.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) message_id: String,
    pub(super) entry: Vec<u8>,
    pub(super) done: oneshot::Sender<io::Result<Delivered>>,
}

/// The open file and what it holds.
#[derive(Debug)]
pub(super) struct Appender {
    file: File,
    /// The length of all whole messages, all of them on disk.
    length: u64,
    message_ids: HashSet<String>,
}

impl Appender {
    /// Opens, locks and repairs the file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another process has it open")
            }
            TryLockError::Error(error) => error,
        })?;
        // A new file's name must survive a power cut as well as its contents.
        File::open(directory)?.sync_all()?;
        let contents = scan(BufReader::new(&file))?;
        if contents.whole < file.metadata()?.len() {
            cut(&mut file, contents.whole, path)?;
        }
        Ok(Self {
            file,
            length: contents.whole,
            message_ids: contents.message_ids,
        })
    }

    /// Writes until nobody can send any more.
    pub(super) fn run(mut self, mut waiting: mpsc::Receiver<Append>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut batch = vec![first];
            while let Some(next) = (batch.len() < BATCH)
                .then(|| waiting.try_recv().ok())
                .flatten()
            {
                batch.push(next);
            }
            self.append(batch);
        }
    }

    /// Writes a batch, makes it durable and tells everybody.
    fn append(&mut self, batch: Vec<Append>) {
        let mut bytes = Vec::new();
        let mut new = HashSet::new();
        let mut outcomes = Vec::with_capacity(batch.len());
        for Append {
            message_id,
            entry,
            done,
        } in batch
        {
            let delivered = if self.message_ids.contains(&message_id) || new.contains(&message_id) {
                Delivered::Before
            } else {
                bytes.extend(entry);
                new.insert(message_id);
                Delivered::Now
            };
            outcomes.push((done, delivered));
        }
        let written = self.write(&bytes);
        if written.is_ok() {
            self.message_ids.extend(new);
        }
        for (done, delivered) in outcomes {
            let outcome = match &written {
                Ok(()) => Ok(delivered),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            // Who gave up waiting asks again later.
            let _ = done.send(outcome);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        // Always at the end of what is whole: the remains of a failed write are written over.
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(bytes)?;
        let length = self.length + bytes.len() as u64;
        self.file.set_len(length)?;
        self.file.sync_data()?;
        self.length = length;
        Ok(())
    }
}

/// Cuts the torn end off, after it was copied to a file beside: somebody may want to look at it.
fn cut(file: &mut File, whole: u64, path: &Path) -> io::Result<()> {
    let mut torn = Vec::new();
    file.seek(SeekFrom::Start(whole))?;
    file.read_to_end(&mut torn)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".torn");
    let mut copy = OpenOptions::new().append(true).create(true).open(&beside)?;
    copy.write_all(&torn)?;
    copy.sync_all()?;
    file.set_len(whole)?;
    file.sync_all()?;
    tracing::warn!(
        mailbox = %path.display(),
        bytes = torn.len(),
        "the mailbox ended in the middle of a message; that part was moved to a file beside it"
    );
    Ok(())
}
