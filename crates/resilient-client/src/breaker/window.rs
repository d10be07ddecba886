//! The last N outcomes: a ring that forgets the oldest outcome as it learns the newest, so the window really slides.

/// Outcomes of the latest attempts, with their failures counted as they come and go.
#[derive(Debug)]
pub(crate) struct Window {
    failed: Box<[bool]>,
    next: usize,
    filled: usize,
    failures: usize,
}

impl Window {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            failed: vec![false; size.max(1)].into_boxed_slice(),
            next: 0,
            filled: 0,
            failures: 0,
        }
    }

    pub(crate) fn push(&mut self, failed: bool) {
        let oldest = std::mem::replace(&mut self.failed[self.next], failed);
        if self.filled == self.failed.len() {
            self.failures -= usize::from(oldest);
        } else {
            self.filled += 1;
        }
        self.failures += usize::from(failed);
        self.next = if self.next + 1 == self.failed.len() {
            0
        } else {
            self.next + 1
        };
    }

    pub(crate) fn failures(&self) -> usize {
        self.failures
    }

    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    pub(crate) fn clear(&mut self) {
        (self.next, self.filled, self.failures) = (0, 0, 0);
    }
}
