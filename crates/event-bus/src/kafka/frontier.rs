//! Which offset of a partition may be committed, and what is settled beyond it.
//!
//! Kafka keeps one number per partition: everything below it is done. Handlers finish in any order, so the number may
//! only follow the oldest record that is not settled; what is settled beyond it is told in the commit's metadata
//! ([`Completed`]). Offsets need not be dense: transaction markers and compaction leave gaps, and the frontier jumps them
//! because it never counts, it only compares.

use std::collections::BTreeSet;

use super::completed::Completed;

/// The records of one partition that were received and are not settled, and where the partition goes on.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    open: BTreeSet<i64>,
    /// One past the last record received; `None` before the first.
    end: Option<i64>,
    /// Settled before this member had the partition.
    completed: Completed,
    /// What was last given out to be committed.
    committed: Option<Commit>,
}

/// What is to be committed: an offset, and the text beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) offset: i64,
    pub(super) metadata: String,
}

impl Frontier {
    /// Goes on where an earlier member of the group stopped.
    pub(super) fn after(completed: Completed) -> Self {
        Self {
            completed,
            ..Self::default()
        }
    }

    /// A record was received. False when it is to be dropped: it is in hand already, or was settled before this member
    /// had the partition.
    ///
    /// An offset before the end that is not in hand was settled here, or belongs to a log that was truncated and written
    /// again: it is taken, since a repetition is allowed and a loss is not.
    pub(super) fn receive(&mut self, offset: i64) -> bool {
        if self.end.is_some_and(|end| offset < end) {
            // What was told of the log before may not be true of what is written there now.
            self.completed = Completed::default();
        }
        self.end = Some(self.end.unwrap_or(offset).max(offset + 1));
        !self.completed.contains(offset) && self.open.insert(offset)
    }

    /// A record is settled. False when it was not in hand.
    pub(super) fn settle(&mut self, offset: i64) -> bool {
        self.open.remove(&offset)
    }

    /// The offset to commit: the next one that a restart must read. `None` before the first record.
    pub(super) fn position(&self) -> Option<i64> {
        self.open
            .first()
            .copied()
            .or_else(|| Some(self.completed.next_open(self.end?)))
    }

    /// What is settled beyond the position.
    fn beyond(&self, position: i64) -> Completed {
        let mut beyond = Completed::default();
        let end = self.end.unwrap_or(position);
        let mut done_from = position;
        for open in &self.open {
            beyond.push(done_from, *open);
            done_from = open + 1;
        }
        beyond.push(done_from, end);
        for (first, run_end) in self.completed.from(end.max(position)) {
            beyond.push(first, run_end);
        }
        beyond
    }

    /// Position and text, of at most `limit` bytes, when they have not been given out to be committed yet.
    pub(super) fn take_commit(&mut self, limit: usize) -> Option<Commit> {
        let offset = self.position()?;
        let metadata = self.beyond(offset).encode(offset, limit);
        let commit = Commit { offset, metadata };
        if self.committed.as_ref() == Some(&commit) {
            return None;
        }
        self.committed = Some(commit.clone());
        Some(commit)
    }

    /// The last commit did not reach the broker: it is due again.
    pub(super) fn commit_failed(&mut self) {
        self.committed = None;
    }

    /// How long the text was that was last given out.
    pub(super) fn metadata_size(&self) -> usize {
        self.committed
            .as_ref()
            .map_or(0, |commit| commit.metadata.len())
    }

    /// One past the last record received; `None` before the first.
    pub(super) fn end(&self) -> Option<i64> {
        self.end
    }

    /// How many records from the end up to another offset are settled already.
    pub(super) fn completed_before(&self, next: i64) -> u64 {
        self.end.map_or(0, |end| self.completed.count(end, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 4096;

    fn offset(commit: Option<Commit>) -> Option<i64> {
        commit.map(|commit| commit.offset)
    }

    /// A member ends and another takes the partition over, with what the broker has.
    fn handed_over(frontier: &mut Frontier, limit: usize) -> (Frontier, i64) {
        frontier.commit_failed();
        let commit = frontier.take_commit(limit).unwrap();
        let completed = Completed::decode(commit.offset, &commit.metadata).unwrap_or_default();
        (Frontier::after(completed), commit.offset)
    }

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
        assert_eq!(frontier.take_commit(LIMIT), None);
        frontier.receive(4);
        assert_eq!(offset(frontier.take_commit(LIMIT)), Some(4));
        assert_eq!(frontier.take_commit(LIMIT), None);
        frontier.settle(4);
        assert_eq!(offset(frontier.take_commit(LIMIT)), Some(5));
        frontier.commit_failed();
        assert_eq!(offset(frontier.take_commit(LIMIT)), Some(5));
        assert_eq!(frontier.take_commit(LIMIT), None);
    }

    #[test]
    fn what_is_settled_beyond_the_position_is_committed_too() {
        let mut frontier = Frontier::default();
        for offset in 0..10 {
            frontier.receive(offset);
        }
        assert_eq!(frontier.take_commit(LIMIT).unwrap().metadata, "");
        for offset in [1, 2, 3, 7, 9] {
            frontier.settle(offset);
        }
        let (mut next, from) = handed_over(&mut frontier, LIMIT);
        let again: Vec<i64> = (from..10).filter(|offset| next.receive(*offset)).collect();
        assert_eq!(again, [0, 4, 5, 6, 8]);
        // Also by a third member, when the second has read a part only.
        let (mut next, _) = handed_over(&mut frontier, LIMIT);
        assert!(next.receive(0) && !next.receive(1));
        next.settle(0);
        let (mut third, from) = handed_over(&mut next, LIMIT);
        assert_eq!(from, 4);
        let again: Vec<i64> = (from..10).filter(|offset| third.receive(*offset)).collect();
        assert_eq!(again, [4, 5, 6, 8]);
    }

    #[test]
    fn a_log_that_was_cut_is_read_anew() {
        let mut frontier = Frontier::default();
        for offset in 0..5 {
            frontier.receive(offset);
        }
        for offset in [2, 4] {
            frontier.settle(offset);
        }
        let (mut next, _) = handed_over(&mut frontier, LIMIT);
        assert!(next.receive(0) && next.receive(1) && !next.receive(2));
        next.settle(0);
        assert!(next.receive(0), "back at the beginning");
        assert!(next.receive(2) && next.receive(4), "other records by now");
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
        Receive,
        Settle {
            which: usize,
        },
        Commit,
        /// The member ends; another one begins with what was committed last.
        Crash,
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Against a log that is too simple to be wrong: which offsets there are, which are settled.
        #[test]
        fn nothing_is_lost_and_only_what_is_unsettled_comes_again(
            gaps in proptest::collection::vec(0i64..4, 1..80),
            limit in prop_oneof![Just(0usize), Just(16), Just(40), Just(LIMIT)],
            steps in proptest::collection::vec(prop_oneof![
                4 => Just(Step::Receive),
                4 => any::<usize>().prop_map(|which| Step::Settle { which }),
                1 => Just(Step::Commit),
                1 => Just(Step::Crash),
            ], 0..300),
        ) {
            let mut next = 0;
            let log: Vec<i64> = gaps.into_iter().map(|gap| { next += gap + 1; next - 1 }).collect();
            let mut settled = BTreeSet::new();
            let mut in_hand = BTreeSet::new();
            let mut frontier = Frontier::default();
            // What the broker has, and what was settled when it was written.
            let mut stored = Commit { offset: 0, metadata: String::new() };
            let mut settled_then = BTreeSet::new();
            let mut cursor = 0;
            for step in steps {
                match step {
                    Step::Receive => {
                        let Some(offset) = log.iter().copied().find(|offset| *offset >= cursor) else { continue };
                        cursor = offset + 1;
                        if frontier.receive(offset) {
                            in_hand.insert(offset);
                        } else {
                            prop_assert!(settled.contains(&offset), "{offset} was dropped unsettled");
                        }
                    }
                    Step::Settle { which } => {
                        if in_hand.is_empty() { continue }
                        let offset = *in_hand.iter().nth(which % in_hand.len()).unwrap();
                        in_hand.remove(&offset);
                        prop_assert!(frontier.settle(offset));
                        settled.insert(offset);
                    }
                    Step::Commit => if let Some(commit) = frontier.take_commit(limit) {
                        prop_assert!(commit.metadata.len() <= limit);
                        prop_assert!(commit.offset >= stored.offset, "moved backwards");
                        let unsettled = log.iter().find(|offset| !settled.contains(*offset));
                        prop_assert!(unsettled.is_none_or(|offset| commit.offset <= *offset), "passed an unsettled record");
                        stored = commit;
                        settled_then = settled.clone();
                    },
                    Step::Crash => {
                        in_hand.clear();
                        settled.clone_from(&settled_then);
                        cursor = stored.offset;
                        frontier = Frontier::after(Completed::decode(stored.offset, &stored.metadata).unwrap_or_default());
                        // With room for all of it, exactly what was unsettled at the commit comes again.
                        if limit == LIMIT {
                            let mut again = Frontier::after(Completed::decode(stored.offset, &stored.metadata).unwrap_or_default());
                            for offset in log.iter().copied().filter(|offset| *offset >= stored.offset) {
                                prop_assert_eq!(again.receive(offset), !settled_then.contains(&offset), "{}", offset);
                            }
                        }
                    }
                }
                if let Some(position) = frontier.position() {
                    prop_assert!(in_hand.iter().all(|offset| position <= *offset), "passed a record in hand");
                }
            }
        }
    }
}
