//! What is settled beyond the committed offset, and how it travels in the metadata of a commit.
//!
//! Kafka keeps one number per partition and group, and a text of at most 4096 bytes beside it. The text tells which
//! records behind the number are done, so that the next reader passes over them:
//!
//! `ceb1:` and, in URL-safe base64 without padding, numbers as LEB128: the committed offset that the text belongs to, then
//! for each run of settled offsets how many lie before it that are not, and how many it has.
//!
//! The text is advice. One that is foreign, damaged, or belongs to another offset says nothing, and records come again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const PREFIX: &str = "ceb1:";

/// Offsets, as runs in ascending order with gaps between them: first offset, and one past the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Completed(Vec<(i64, i64)>);

impl Completed {
    /// Adds a run that begins at or after the end of the last one.
    pub(super) fn push(&mut self, first: i64, end: i64) {
        if first >= end {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.1 >= first => last.1 = last.1.max(end),
            _ => self.0.push((first, end)),
        }
    }

    /// Adds one offset.
    pub(super) fn insert(&mut self, offset: i64) {
        let at = self.0.partition_point(|(_, end)| *end < offset);
        match self.0.get(at).copied() {
            Some((first, end)) if first <= offset && offset < end => {}
            // At its end, and perhaps up to the next.
            Some((first, end)) if end == offset => {
                self.0[at] = (first, offset + 1);
                if let Some((_, next_end)) = self
                    .0
                    .get(at + 1)
                    .copied()
                    .filter(|next| next.0 == offset + 1)
                {
                    self.0[at].1 = next_end;
                    self.0.remove(at + 1);
                }
            }
            Some((first, end)) if first == offset + 1 => self.0[at] = (offset, end),
            _ => self.0.insert(at, (offset, offset + 1)),
        }
    }

    pub(super) fn contains(&self, offset: i64) -> bool {
        let at = self.0.partition_point(|(_, end)| *end <= offset);
        self.0.get(at).is_some_and(|(first, _)| *first <= offset)
    }

    /// The first offset from here on that is not among them.
    pub(super) fn next_open(&self, offset: i64) -> i64 {
        let at = self.0.partition_point(|(_, end)| *end <= offset);
        match self.0.get(at) {
            Some((first, end)) if *first <= offset => *end,
            _ => offset,
        }
    }

    /// How many of them are in a range.
    pub(super) fn count(&self, from: i64, to: i64) -> u64 {
        let within = |(first, end): &(i64, i64)| (*end).min(to) - (*first).max(from);
        let counts = self.0.iter().map(within);
        counts.filter_map(|count| u64::try_from(count).ok()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The runs that end after an offset, without what lies before it.
    pub(super) fn from(&self, offset: i64) -> impl Iterator<Item = (i64, i64)> {
        let at = self.0.partition_point(|(_, end)| *end <= offset);
        self.0[at..]
            .iter()
            .map(move |(first, end)| ((*first).max(offset), *end))
    }

    /// The text for the commit of an offset, of at most `limit` bytes: as many runs as fit, the first ones; empty when
    /// there is nothing to say.
    pub(super) fn encode(&self, committed: i64, limit: usize) -> String {
        let room = limit.saturating_sub(PREFIX.len()) / 4 * 3;
        let mut bytes = Vec::new();
        write(&mut bytes, committed);
        let mut last_end = committed;
        let mut runs = 0;
        for (first, end) in self.from(committed) {
            let before = bytes.len();
            write(&mut bytes, first - last_end);
            write(&mut bytes, end - first);
            if bytes.len() > room {
                bytes.truncate(before);
                break;
            }
            last_end = end;
            runs += 1;
        }
        if runs == 0 {
            return String::new();
        }
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads the metadata of a commit of this offset. `None`: it is no such text, or not this commit's.
    pub(crate) fn decode(committed: i64, metadata: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD
            .decode(metadata.strip_prefix(PREFIX)?)
            .ok()?;
        let mut rest = bytes.as_slice();
        if read(&mut rest)? != committed {
            return None;
        }
        let mut runs = Vec::new();
        let mut last_end = committed;
        while !rest.is_empty() {
            let (gap, length) = (read(&mut rest)?, read(&mut rest)?);
            // Without a gap it would be one run, and the first would have moved the commit.
            if gap == 0 || length == 0 {
                return None;
            }
            let first = last_end.checked_add(gap)?;
            last_end = first.checked_add(length)?;
            runs.push((first, last_end));
        }
        Some(Self(runs))
    }
}

fn write(bytes: &mut Vec<u8>, number: i64) {
    // Offsets and lengths are never negative.
    let mut left = number.unsigned_abs();
    loop {
        let [group, ..] = (left & 0x7f).to_le_bytes();
        left >>= 7;
        if left == 0 {
            bytes.push(group);
            return;
        }
        bytes.push(group | 0x80);
    }
}

fn read(bytes: &mut &[u8]) -> Option<i64> {
    let mut number: u64 = 0;
    // Nine groups of seven bits are the 63 bits of an offset.
    for group in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return i64::try_from(number).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn of(offsets: impl IntoIterator<Item = i64>) -> Completed {
        let mut completed = Completed::default();
        for offset in offsets {
            completed.insert(offset);
        }
        completed
    }

    #[test]
    fn a_long_run_costs_as_much_as_its_number() {
        let mut completed = Completed::default();
        completed.push(101, 10_000_000);
        let text = completed.encode(100, 4096);
        assert!(text.len() < 20, "{text}");
        assert_eq!(Completed::decode(100, &text), Some(completed));
    }

    #[test]
    fn what_does_not_fit_is_left_out_from_the_end() {
        let completed = of((0..10_000).map(|n| n * 2 + 1));
        let text = completed.encode(0, 4096);
        assert!(text.len() <= 4096 && text.len() > 4000, "{}", text.len());
        let read = Completed::decode(0, &text).unwrap();
        assert_eq!(read.0, completed.0[..read.0.len()]);
        assert_eq!(completed.encode(0, 0), "");
        assert_eq!(Completed::default().encode(7, 4096), "");
    }

    #[test]
    fn foreign_and_damaged_texts_say_nothing() {
        let text = of([3, 4, 9]).encode(1, 4096);
        assert!(Completed::decode(1, &text).is_some());
        for (committed, metadata) in [
            (2, text.as_str()),
            (1, &text[..text.len() - 1]),
            (1, &text[1..]),
            (1, ""),
            (1, "ceb1:"),
            (1, "ceb1:!!"),
            (1, "ceb2:AQIC"),
            (1, "bm8gb3Vycw"),
            // A gap of nothing, a run of nothing, a number without end, one beyond what an offset can be.
            (1, "ceb1:AQAB"),
            (1, "ceb1:AQEA"),
            (1, "ceb1:Af______________"),
            (1, "ceb1:Af__________fwE"),
        ] {
            assert_eq!(Completed::decode(committed, metadata), None, "{metadata}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_set(
            offsets in proptest::collection::vec(0i64..200, 0..120),
            from in 0i64..200,
            to in 0i64..200,
        ) {
            let completed = of(offsets.iter().copied());
            let model: BTreeSet<i64> = offsets.into_iter().collect();
            for offset in -1..201 {
                prop_assert_eq!(completed.contains(offset), model.contains(&offset));
                let open = (offset..=201).find(|offset| !model.contains(offset)).unwrap();
                prop_assert_eq!(completed.next_open(offset), open);
            }
            let count = model.iter().filter(|offset| (from..to).contains(*offset)).count();
            prop_assert_eq!(completed.count(from, to), count as u64);
            let after: BTreeSet<i64> = completed.from(from).flat_map(|(first, end)| first..end).collect();
            prop_assert_eq!(after, model.range(from..).copied().collect::<BTreeSet<_>>());
            prop_assert!(completed.0.windows(2).all(|runs| runs[0].1 < runs[1].0), "runs that touch are one");
        }

        #[test]
        fn what_is_written_is_read(
            committed in 0i64..1_000_000_000,
            offsets in proptest::collection::btree_set(1i64..100_000, 0..400),
            limit in 0usize..5000,
        ) {
            let completed = of(offsets.iter().map(|offset| committed + offset));
            let text = completed.encode(committed, limit);
            prop_assert!(text.len() <= limit);
            match Completed::decode(committed, &text) {
                // The first offsets, and nothing that is not there.
                Some(read) => prop_assert_eq!(&read.0[..], &completed.0[..read.0.len()]),
                None => prop_assert!(text.is_empty()),
            }
            if limit == 4999 || offsets.len() < 100 && limit > 1000 {
                prop_assert_eq!(Completed::decode(committed, &text).unwrap_or_default(), completed);
            }
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,64}", bytes: Vec<u8>, committed in 0i64..300) {
            drop(Completed::decode(committed, &text));
            let ours = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
            if let Some(read) = Completed::decode(committed, &ours) {
                prop_assert!(!read.contains(committed), "never the committed offset itself");
                prop_assert!(read.from(i64::MIN).all(|(first, end)| committed < first && first < end));
            }
        }
    }
}
