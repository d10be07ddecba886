//! Which Message-IDs a file may hold, in memory that does not grow with the file.
//!
//! A Bloom filter: a "no" is certain, a "maybe" is for the file itself to decide. With 4 MiB and five million messages
//! one new message in twenty-five has to look; a mailbox that large should be put away and begun anew.

use std::hash::{BuildHasher as _, RandomState};

/// 4 MiB.
const BITS: usize = 1 << 25;
/// The best number for six or seven bits a message, which is where a filter of this size begins to be full.
const PROBES: usize = 5;

/// Message-IDs that were seen, nearly.
#[derive(Debug)]
pub(super) struct Remembered {
    words: Box<[u64]>,
    hashers: [RandomState; 2],
}

impl Default for Remembered {
    fn default() -> Self {
        Self::with_bits(BITS)
    }
}

impl Remembered {
    /// Nothing yet.
    pub(super) fn with_bits(bits: usize) -> Self {
        Self {
            words: vec![0; bits.div_ceil(64).max(1)].into(),
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    pub(super) fn insert(&mut self, id: &str) {
        for (word, bit) in self.places(id) {
            self.words[word] |= bit;
        }
    }

    /// False when it was certainly not inserted.
    pub(super) fn may_contain(&self, id: &str) -> bool {
        self.places(id)
            .iter()
            .all(|(word, bit)| self.words[*word] & bit != 0)
    }

    fn places(&self, id: &str) -> [(usize, u64); PROBES] {
        let [first, step] = self.hashers.each_ref().map(|hasher| hasher.hash_one(id));
        let bits = self.words.len() as u64 * 64;
        std::array::from_fn(|probe| {
            // Kirsch and Mitzenmacher: two hashes are as good as many.
            let place = first.wrapping_add(step.wrapping_mul(probe as u64)) % bits;
            let word = usize::try_from(place / 64).unwrap_or_default();
            (word, 1 << (place % 64))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_forgotten_and_little_is_made_up() {
        let mut remembered = Remembered::with_bits(8 * 10_000);
        let size = remembered.words.len();
        let ids = |range: std::ops::Range<u32>| range.map(|id| format!("<{id}@x.example>"));
        assert!(ids(0..10_000).all(|id| !remembered.may_contain(&id)));
        for id in ids(0..10_000) {
            remembered.insert(&id);
        }
        assert!(ids(0..10_000).all(|id| remembered.may_contain(&id)));
        // Eight bits for each: 2.2 % in theory.
        let made_up = ids(10_000..20_000).filter(|id| remembered.may_contain(id));
        let made_up = made_up.count();
        assert!(made_up < 500, "{made_up} of 10000");
        assert_eq!(remembered.words.len(), size);
    }
}
