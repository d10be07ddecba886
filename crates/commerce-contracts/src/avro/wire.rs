//! Avro's binary form: variable-length integers, lengths and blocks.

use super::decode::DecodeError;

/// An integer in zigzag form, seven bits a byte.
#[inline]
pub(crate) fn put_long(out: &mut Vec<u8>, value: i64) {
    #[expect(
        clippy::cast_sign_loss,
        reason = "zigzag: the sign becomes the lowest bit"
    )]
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

/// The place of a union's branch or an enum's symbol, or a length: what a `Vec` holds fits into 63 bits.
#[inline]
pub(crate) fn put_index(out: &mut Vec<u8>, index: usize) {
    put_long(out, i64::try_from(index).unwrap_or(i64::MAX));
}

/// A length and the bytes.
#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_index(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A list in one block, and the block of none that ends it.
pub(crate) fn put_blocks<T, E>(
    out: &mut Vec<u8>,
    items: &[T],
    mut put: impl FnMut(&T, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    if !items.is_empty() {
        put_index(out, items.len());
        for item in items {
            put(item, out)?;
        }
    }
    out.push(0);
    Ok(())
}

/// What is still to be read of a datum, and how much more it may cost.
pub(crate) struct Input<'de> {
    rest: &'de [u8],
    depth: u32,
    /// How many more values without bytes there may be.
    empty_items: u64,
}

/// Deeper data is refused, so that none exhausts the stack.
const DEEPEST: u32 = 128;

/// More items that take no bytes are refused: nothing in the input bounds them.
const MOST_EMPTY_ITEMS: u64 = 65_536;

impl<'de> Input<'de> {
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Self {
            rest: bytes,
            depth: 0,
            empty_items: MOST_EMPTY_ITEMS,
        }
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// One level deeper; [`Input::leave`] comes back.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<(), DecodeError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(DecodeError::new(format!(
                "the data is nested more than {DEEPEST} levels deep"
            )));
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'de [u8], DecodeError> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(ended()),
        }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(ended()),
        }
    }

    #[inline]
    pub(crate) fn long(&mut self) -> Result<i64, DecodeError> {
        match self.rest {
            [byte @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(unzigzag(u64::from(*byte)))
            }
            _ => self.long_of_many_bytes(),
        }
    }

    fn long_of_many_bytes(&mut self) -> Result<i64, DecodeError> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            // Of the tenth byte only the lowest bit is within 64.
            if index == 9 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(unzigzag(value));
            }
        }
        if self.rest.len() < 10 {
            return Err(ended());
        }
        Err(DecodeError::new("an integer has more than 64 bits"))
    }

    #[inline]
    pub(crate) fn int(&mut self) -> Result<i64, DecodeError> {
        let value = self.long()?;
        if i32::try_from(value).is_err() {
            return Err(DecodeError::new("an int has more than 32 bits"));
        }
        Ok(value)
    }

    /// A length, which the rest must hold.
    #[inline]
    fn length(&mut self) -> Result<usize, DecodeError> {
        match usize::try_from(self.long()?) {
            Ok(length) if length <= self.rest.len() => Ok(length),
            Ok(_) => Err(ended()),
            Err(_) => Err(DecodeError::new("a length is negative")),
        }
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'de [u8], DecodeError> {
        let length = self.length()?;
        self.take(length)
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'de str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::new("a string is not UTF-8"))
    }

    #[inline]
    pub(crate) fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(DecodeError::new("a boolean is neither 0 nor 1")),
        }
    }

    /// The place of a branch or a symbol, of which there are `count`.
    #[inline]
    pub(crate) fn index(&mut self, count: usize, of: &str) -> Result<usize, DecodeError> {
        match usize::try_from(self.long()?) {
            Ok(index) if index < count => Ok(index),
            _ => Err(DecodeError::new(format!(
                "{of} that the writer's schema does not have"
            ))),
        }
    }

    /// How many items the next block has; 0 ends the list. Items take bytes unless they are `empty`, so the rest bounds them.
    #[inline]
    pub(crate) fn block(&mut self, empty: bool) -> Result<usize, DecodeError> {
        Ok(self.block_header(empty)?.0)
    }

    /// The number of items, and of their bytes when the block tells it.
    fn block_header(&mut self, empty: bool) -> Result<(usize, Option<usize>), DecodeError> {
        let count = self.long()?;
        let bytes = if count < 0 {
            Some(self.length()?)
        } else {
            None
        };
        let count = count.unsigned_abs();
        if empty {
            self.empty_items = self.empty_items.checked_sub(count).ok_or_else(|| {
                DecodeError::new(format!(
                    "more than {MOST_EMPTY_ITEMS} items that take no bytes"
                ))
            })?;
        } else if count > bytes.unwrap_or(self.rest.len()) as u64 {
            return Err(DecodeError::new("a block has more items than bytes"));
        }
        usize::try_from(count)
            .map(|count| (count, bytes))
            .map_err(|_| ended())
    }

    /// Passes over the blocks of a list: by their bytes where they are told, otherwise by `item`.
    pub(crate) fn skip_blocks(
        &mut self,
        empty: bool,
        mut item: impl FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        loop {
            match self.block_header(empty)? {
                (0, _) => return Ok(()),
                (_, Some(bytes)) => {
                    self.take(bytes)?;
                }
                (count, None) => {
                    for _ in 0..count {
                        item(self)?;
                    }
                }
            }
        }
    }
}

fn ended() -> DecodeError {
    DecodeError::new("the data ends before the value does")
}

#[inline]
fn unzigzag(value: u64) -> i64 {
    #[expect(
        clippy::cast_possible_wrap,
        reason = "zigzag: the lowest bit is the sign"
    )]
    let value = (value >> 1) as i64 ^ -((value & 1) as i64);
    value
}

#[cfg(test)]
mod tests {
    use super::{Input, put_long};

    #[test]
    fn integers_are_those_of_the_specification() {
        for (value, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (-2, &[0x03]),
            (2, &[0x04]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (
                i64::MAX,
                &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            ),
            (
                i64::MIN,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            ),
        ] {
            let mut written = Vec::new();
            put_long(&mut written, value);
            assert_eq!(written, bytes);
            let mut input = Input::new(bytes);
            assert_eq!(input.long().unwrap(), value);
            assert_eq!(input.left(), 0);
            assert!(Input::new(&bytes[..bytes.len() - 1]).long().is_err());
        }
    }

    #[test]
    fn lengths_that_the_input_cannot_hold_are_refused() {
        let error = |bytes: &[u8]| Input::new(bytes).bytes().unwrap_err().to_string();
        assert_eq!(error(&[0x04, 0x61]), "the data ends before the value does");
        assert_eq!(error(&[0x01]), "a length is negative");
        assert_eq!(error(&[0xff; 10]), "an integer has more than 64 bits");
        assert_eq!(error(&[0xff; 9]), "the data ends before the value does");
        let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert!(Input::new(&huge).block(false).is_err());
        assert!(Input::new(&huge).block(true).is_err());
        let least = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00,
        ];
        assert!(Input::new(&least).block(false).is_err());
    }
}
