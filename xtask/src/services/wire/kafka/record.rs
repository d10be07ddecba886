//! Record batches, format 2, with one record in them.

use anyhow::{Result, ensure};

use super::codec::{Reader, Writer};

/// A batch with one record: no key, no header, no timestamp.
pub(super) fn batch(value: &[u8]) -> Result<Vec<u8>> {
    let mut record = Writer::default();
    record
        .i8(0)
        .varint(0)
        .varint(0)
        .varint(-1)
        .varint(i64::try_from(value.len())?)
        .raw(value)
        .varint(0);

    let mut checked = Writer::default();
    checked
        .i16(0)
        .i32(0)
        .i64(0)
        .i64(0)
        .i64(-1)
        .i16(-1)
        .i32(-1)
        .i32(1);
    checked
        .varint(i64::try_from(record.as_bytes().len())?)
        .raw(record.as_bytes());

    let mut batch = Writer::default();
    batch
        .i64(0)
        .i32(i32::try_from(checked.as_bytes().len() + 9)?)
        .i32(-1)
        .i8(2);
    batch
        .raw(&crc32c(checked.as_bytes()).to_be_bytes())
        .raw(checked.as_bytes());
    Ok(batch.as_bytes().to_vec())
}

/// The value of the first record of the first batch.
pub(super) fn first_value(records: &[u8]) -> Result<Vec<u8>> {
    let mut reader = Reader::new(records);
    // Offset, length, leader epoch; then the format.
    reader.take(16)?;
    ensure!(
        reader.take(1)? == [2],
        "the record batch has another format than 2"
    );
    let expected = reader.take(4)?;
    let mut batch = Reader::new(records);
    batch.i64()?;
    let length = usize::try_from(batch.i32()?)?;
    let checked =
        Reader::new(records.get(21..).unwrap_or_default()).take(length.saturating_sub(9))?;
    ensure!(
        crc32c(checked).to_be_bytes() == expected,
        "the record batch's checksum is wrong"
    );
    let mut reader = Reader::new(checked);
    // Attributes, last offset delta, two timestamps, producer id and epoch, sequence, number of records.
    reader.take(2 + 4 + 8 + 8 + 8 + 2 + 4 + 4)?;
    reader.varint()?;
    reader.take(1)?;
    reader.varint()?;
    reader.varint()?;
    let key = usize::try_from(reader.varint()?).unwrap_or(0);
    reader.take(key)?;
    let value = usize::try_from(reader.varint()?).unwrap_or(0);
    Ok(reader.take(value)?.to_vec())
}

/// CRC-32C (Castagnoli), bit by bit: the batches here are a hundred bytes long.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of the CRC catalogue.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_value_survives_its_batch_and_damage_is_seen() {
        let mut bytes = batch(b"hello").unwrap();
        assert_eq!(first_value(&bytes).unwrap(), b"hello");
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        assert!(
            first_value(&bytes)
                .unwrap_err()
                .to_string()
                .contains("checksum")
        );
    }
}
