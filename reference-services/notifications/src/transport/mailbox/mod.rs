//! A file of messages that any mail reader opens (mbox).
//!
//! One task writes. A message is on disk (`fsync`) before anybody is told that it was delivered, and a Message-ID that
//! the file holds is not written again. A process that dies in the middle of a message leaves a torn one at the end;
//! it is cut off when the file is opened the next time, and kept in a file beside it.

mod appender;
mod format;
mod remembered;
mod scan;

use std::path::Path;

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};

use self::appender::{Append, Appender};
use super::{Delivered, DeliveryError};
use crate::letter::Letter;

/// How many e-mails may wait for the disk.
const QUEUE: usize = 256;

/// An open mailbox; a clone is the same one. It stays open, and locked against other processes, until the last is gone.
#[derive(Clone, Debug)]
pub struct Mailbox {
    queue: mpsc::Sender<Append>,
}

impl Mailbox {
    /// Opens or creates the file, and repairs it.
    ///
    /// # Errors
    /// Another process has it open, or it cannot be read or written.
    pub async fn open(file: &Path) -> anyhow::Result<Self> {
        let path = file.to_owned();
        let appender = tokio::task::spawn_blocking(move || Appender::open(&path)).await?;
        let appender =
            appender.with_context(|| format!("cannot open the mailbox {}", file.display()))?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("mailbox".to_owned())
            .spawn(move || appender.run(waiting))?;
        Ok(Self { queue })
    }

    /// Appends an e-mail, unless the file has it.
    pub async fn deliver(&self, letter: &Letter) -> Result<Delivered, DeliveryError> {
        let entry = format::entry(letter).map_err(|error| DeliveryError::Refused(error.into()))?;
        let (done, outcome) = oneshot::channel();
        let gone = || DeliveryError::Outage("the mailbox was closed".into());
        let append = Append {
            message_id: letter.message_id().to_owned(),
            entry,
            done,
        };
        self.queue.send(append).await.map_err(|_| gone())?;
        match outcome.await {
            Ok(result) => result.map_err(|error| DeliveryError::Outage(error.into())),
            Err(_) => Err(gone()),
        }
    }
}
