//! Which offset of a partition may be committed.
//!
//! Kafka keeps one number per partition: everything below it is done. Handlers finish in any order, so the number may
//! only follow the oldest record that is not settled. Offsets need not be dense: transaction markers and compaction
//! leave gaps, and the frontier jumps them because it never counts, it only compares.

use std::collections::BTreeSet;

/// The records of one partition that were received and are not settled, and where the partition goes on.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    open: BTreeSet<i64>,
    /// One past the last record received; `None` before the first.
    end: Option<i64>,
    /// What was last given out to be committed.
    committed: Option<i64>,
}

impl Frontier {
    /// A record was received. False when it is in hand already: a repetition, to be dropped.
    ///
    /// An offset before the end that is not in hand was settled, or belongs to a log that was truncated and written
    /// again: it is taken, since a repetition is allowed and a loss is not.
    pub(super) fn receive(&mut self, offset: i64) -> bool {
        self.end = Some(self.end.unwrap_or(offset).max(offset + 1));
        self.open.insert(offset)
    }

    /// A record is settled. False when it was not in hand.
    pub(super) fn settle(&mut self, offset: i64) -> bool {
        self.open.remove(&offset)
    }

    /// The offset to commit: the next one that a restart must read. `None` before the first record.
    pub(super) fn position(&self) -> Option<i64> {
        self.open.first().copied().or(self.end)
    }

    /// The position, when it has not been given out to be committed yet.
    pub(super) fn take_commit(&mut self) -> Option<i64> {
        let position = self.position()?;
        (self.committed.replace(position) != Some(position)).then_some(position)
    }

    /// The last commit did not reach the broker: it is due again.
    pub(super) fn commit_failed(&mut self) {
        self.committed = None;
    }

    /// One past the last record received; `None` before the first.
    pub(super) fn end(&self) -> Option<i64> {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_position_follows_the_oldest_unsettled_record() {
        let mut frontier = Frontier::default();
        assert_eq!(frontier.position(), None);
        for offset in [5, 6, 7] {
            assert!(frontier.receive(offset));
        }
        assert_eq!(frontier.position(), Some(5));
        assert!(frontier.settle(6) && frontier.settle(7));
        assert_eq!(frontier.position(), Some(5));
        assert!(frontier.settle(5));
        assert_eq!(frontier.position(), Some(8));
        assert!(!frontier.settle(5), "settled already");
    }

    #[test]
    fn gaps_are_jumped() {
        let mut frontier = Frontier::default();
        // A transaction marker at 2, compaction between 3 and 10.
        for offset in [0, 1, 3, 10] {
            frontier.receive(offset);
        }
        frontier.settle(0);
        frontier.settle(1);
        assert_eq!(frontier.position(), Some(3));
        frontier.settle(3);
        assert_eq!(frontier.position(), Some(10));
        frontier.settle(10);
        assert_eq!(frontier.position(), Some(11));
    }

    #[test]
    fn a_position_is_committed_once_unless_it_failed() {
        let mut frontier = Frontier::default();
        assert_eq!(frontier.take_commit(), None);
        frontier.receive(4);
        assert_eq!(frontier.take_commit(), Some(4));
        assert_eq!(frontier.take_commit(), None);
        frontier.settle(4);
        assert_eq!(frontier.take_commit(), Some(5));
        frontier.commit_failed();
        assert_eq!(frontier.take_commit(), Some(5));
        assert_eq!(frontier.take_commit(), None);
    }

    #[test]
    fn a_repetition_in_hand_is_dropped_and_a_settled_one_is_taken() {
        let mut frontier = Frontier::default();
        assert!(frontier.receive(1) && frontier.receive(2));
        assert!(!frontier.receive(1));
        frontier.settle(1);
        assert!(frontier.receive(1));
        assert_eq!(frontier.position(), Some(1));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Receive { gap: i64 },
        Settle { which: usize },
    }

    proptest! {
        #[test]
        fn the_position_is_what_a_scan_of_all_records_says(
            first in 0i64..1000,
            steps in proptest::collection::vec(prop_oneof![
                (0i64..4).prop_map(|gap| Step::Receive { gap }),
                any::<usize>().prop_map(|which| Step::Settle { which }),
            ], 0..300),
        ) {
            let mut frontier = Frontier::default();
            // Every record ever received and whether it is settled.
            let mut records: Vec<(i64, bool)> = Vec::new();
            let mut next = first;
            let mut last_position = None;
            for step in steps {
                match step {
                    Step::Receive { gap } => {
                        next += gap;
                        prop_assert!(frontier.receive(next));
                        records.push((next, false));
                        next += 1;
                    }
                    Step::Settle { which } if !records.is_empty() => {
                        let index = which % records.len();
                        let (offset, settled) = records[index];
                        prop_assert_eq!(frontier.settle(offset), !settled);
                        records[index].1 = true;
                    }
                    Step::Settle { .. } => {}
                }
                let oldest_unsettled = records.iter().find(|(_, settled)| !settled).map(|(offset, _)| *offset);
                let expected = oldest_unsettled.or(records.last().map(|(offset, _)| offset + 1));
                prop_assert_eq!(frontier.position(), expected);
                for (offset, settled) in &records {
                    prop_assert!(*settled || frontier.position() <= Some(*offset), "passed an unsettled record");
                }
                prop_assert!(frontier.position() >= last_position, "moved backwards");
                last_position = frontier.position();
            }
        }
    }
}
