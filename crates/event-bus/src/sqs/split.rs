//! Batches as SQS and SNS take them: so many entries, so many bytes.

use std::ops::Range;

/// The most entries of one batch.
pub(super) const ENTRIES: usize = 10;

/// Cuts a row of messages of these sizes into batches, in order, as few as the bounds allow. A message that is too large
/// by itself is a batch by itself: the server says what it thinks of it.
pub(super) fn split(sizes: &[usize], most_bytes: usize) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0_usize);
    for (at, size) in sizes.iter().enumerate() {
        if at > start && (at - start == ENTRIES || bytes.saturating_add(*size) > most_bytes) {
            batches.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes = bytes.saturating_add(*size);
    }
    if start < sizes.len() {
        batches.push(start..sizes.len());
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn batches_are_cut_by_count_and_by_bytes() {
        assert!(split(&[], 10).is_empty());
        assert_eq!(split(&[1; 23], 100), [0..10, 10..20, 20..23]);
        assert_eq!(split(&[60, 50, 40, 10, 10], 100), [0..1, 1..4, 4..5]);
        assert_eq!(split(&[5, 500, 5], 100), [0..1, 1..2, 2..3]);
    }

    proptest! {
        #[test]
        fn every_message_is_in_one_batch_and_every_batch_within_its_bounds(
            sizes in proptest::collection::vec(0_usize..300, 0..80),
            most in 1_usize..1000,
        ) {
            let batches = split(&sizes, most);
            let covered: Vec<usize> = batches.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..sizes.len()).collect::<Vec<_>>());
            for batch in batches {
                let bytes: usize = sizes[batch.clone()].iter().sum();
                prop_assert!((1..=ENTRIES).contains(&batch.len()));
                prop_assert!(bytes <= most || batch.len() == 1);
            }
        }
    }
}
