//! A text that needs no memory of its own.

use std::fmt::{self, Write as _};

/// Text in a few bytes of the stack, for values whose text is only a step on the way.
pub(crate) struct Short {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl Short {
    const LONGEST: usize = 64;

    /// The text of a value, when it is short.
    pub(crate) fn of(value: &(impl fmt::Display + ?Sized)) -> Option<Self> {
        let mut short = Self {
            bytes: [0; Self::LONGEST],
            length: 0,
        };
        write!(short, "{value}").is_ok().then_some(short)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
