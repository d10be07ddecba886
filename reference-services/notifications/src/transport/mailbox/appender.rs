//! The one who writes to the mailbox.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use tokio::sync::{mpsc, oneshot};

use super::remembered::Remembered;
use super::scan::scan;
use crate::transport::Delivered;

/// How many e-mails share one `fsync`.
const BATCH: usize = 64;

/// Who waits, and for what.
type Outcome = (oneshot::Sender<io::Result<Delivered>>, Delivered);

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
    remembered: Remembered,
}

impl Appender {
    /// Opens, locks and repairs the file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, Remembered::default())
    }

    fn open_with(path: &Path, mut remembered: Remembered) -> io::Result<Self> {
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
        let length = scan(BufReader::new(&file), |id| remembered.insert(&id))?;
        if length < file.metadata()?.len() {
            cut(&mut file, length, path)?;
        }
        Ok(Self {
            file,
            length,
            remembered,
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
        let mut outcomes = Vec::with_capacity(batch.len());
        let written = self.write_new(batch, &mut outcomes);
        for (done, delivered) in outcomes {
            let outcome = match &written {
                Ok(()) => Ok(delivered),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            // Who gave up waiting asks again later.
            let _ = done.send(outcome);
        }
    }

    /// Writes what the file does not hold yet.
    fn write_new(&mut self, batch: Vec<Append>, outcomes: &mut Vec<Outcome>) -> io::Result<()> {
        let present = self.present(&batch);
        let mut bytes = Vec::new();
        let mut new = HashSet::new();
        for Append {
            message_id,
            entry,
            done,
        } in batch
        {
            let before = present
                .as_ref()
                .is_ok_and(|present| present.contains(&message_id));
            let delivered = if before || new.contains(&message_id) {
                Delivered::Before
            } else {
                bytes.extend(entry);
                new.insert(message_id);
                Delivered::Now
            };
            outcomes.push((done, delivered));
        }
        present?;
        self.write(&bytes)?;
        for message_id in new {
            self.remembered.insert(&message_id);
        }
        Ok(())
    }

    /// Those of a batch that the file holds. It is read only where memory cannot tell.
    fn present(&self, batch: &[Append]) -> io::Result<HashSet<String>> {
        let mut suspects = batch.iter().map(|append| append.message_id.as_str());
        let suspects: HashSet<&str> = suspects
            .by_ref()
            .filter(|id| self.remembered.may_contain(id))
            .collect();
        let mut present = HashSet::new();
        if !suspects.is_empty() {
            let mut file = &self.file;
            file.seek(SeekFrom::Start(0))?;
            let whole = BufReader::new(file).take(self.length);
            scan(whole, |id| {
                if suspects.contains(id.as_str()) {
                    present.insert(id);
                }
            })?;
        }
        Ok(present)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn append(appender: &mut Appender, ids: impl Iterator<Item = u32>) -> Vec<Delivered> {
        let (mut batch, mut outcomes) = (Vec::new(), Vec::new());
        for id in ids {
            let (done, outcome) = oneshot::channel();
            let message_id = format!("<{id}@x>");
            let entry = format!(
                "From MAILER-DAEMON Sat Nov 21 11:00:00 2026\nContent-Length: 3\nMessage-ID: {message_id}\n\nhi\n\n"
            );
            batch.push(Append {
                message_id,
                entry: entry.into_bytes(),
                done,
            });
            outcomes.push(outcome);
        }
        appender.append(batch);
        let outcomes = outcomes.into_iter();
        outcomes
            .map(|mut outcome| outcome.try_recv().unwrap().unwrap())
            .collect()
    }

    /// A memory that is full takes everything for known; the file knows better.
    #[test]
    fn what_memory_cannot_tell_the_file_decides() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mailbox.mbox");
        let full = || Remembered::with_bits(64);
        let mut appender = Appender::open_with(&path, full()).unwrap();
        for batch in 0..20 {
            let new = append(&mut appender, batch * 10..(batch + 1) * 10);
            assert_eq!(new, [Delivered::Now; 10]);
        }
        assert!(appender.remembered.may_contain("never written"));
        assert_eq!(append(&mut appender, 90..110), [Delivered::Before; 20]);
        drop(appender);
        let mut appender = Appender::open_with(&path, full()).unwrap();
        let outcomes = append(&mut appender, [7, 200, 200, 8].into_iter());
        assert_eq!(
            outcomes,
            [
                Delivered::Before,
                Delivered::Now,
                Delivered::Before,
                Delivered::Before
            ]
        );
        let mut count = 0;
        scan(BufReader::new(File::open(&path).unwrap()), |_| count += 1).unwrap();
        assert_eq!(count, 201);
    }
}
