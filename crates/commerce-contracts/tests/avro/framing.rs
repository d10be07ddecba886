//! What stands before the data.

use commerce_contracts::avro::{
    FramingError, Schema, SchemaId, split_confluent, split_single_object,
};
use proptest::prelude::*;
use uuid::Uuid;

#[test]
fn single_objects_carry_the_fingerprint() {
    let schema = Schema::parse("\"string\"").unwrap();
    let bytes = schema.encode_single_object("a").unwrap();
    // The fingerprint of "string" in the specification's test cases, little-endian.
    let fingerprint = (-8_142_146_995_180_207_161_i64).to_le_bytes();
    assert_eq!(
        bytes,
        [&[0xc3, 0x01][..], &fingerprint, &[2, b'a']].concat()
    );
    assert_eq!(
        split_single_object(&bytes),
        Ok((schema.fingerprint(), &[2, b'a'][..]))
    );
    assert_eq!(
        split_single_object(&bytes[..9]),
        Err(FramingError::TooShort)
    );
    assert_eq!(
        split_single_object(&bytes[..1]),
        Err(FramingError::TooShort)
    );
    assert_eq!(
        split_single_object(&[0xc3, 0x02, 0]),
        Err(FramingError::OtherFraming)
    );
}

#[test]
fn confluent_data_carries_the_number() {
    let schema = Schema::parse("\"string\"").unwrap();
    let bytes = schema.encode_confluent(258, "a").unwrap();
    assert_eq!(bytes, [0, 0, 0, 1, 2, 2, b'a']);
    assert_eq!(
        split_confluent(&bytes),
        Ok((SchemaId::Number(258), &[2, b'a'][..]))
    );
    assert_eq!(split_confluent(&bytes[..4]), Err(FramingError::TooShort));
    assert_eq!(split_confluent(&[]), Err(FramingError::TooShort));
    assert_eq!(split_confluent(b"{}"), Err(FramingError::OtherFraming));
}

#[test]
fn a_guid_stands_in_a_header() {
    let id = SchemaId::Guid(Uuid::from_u128(7));
    let header = id.to_header();
    assert_eq!((header.len(), header[0], header[16]), (17, 1, 7));
    assert_eq!(SchemaId::from_header(&header), Ok(id));
    assert_eq!(
        SchemaId::from_header(&header[..16]),
        Err(FramingError::TooShort)
    );
    let longer = [&header[..], &[0]].concat();
    assert_eq!(SchemaId::from_header(&longer), Err(FramingError::TooLong));
    assert_eq!(
        SchemaId::from_header(&SchemaId::Number(9).to_header()),
        Ok(SchemaId::Number(9))
    );
}

proptest! {
    #[test]
    fn any_bytes_are_split_or_refused(bytes: Vec<u8>) {
        let _ = (split_single_object(&bytes), split_confluent(&bytes), SchemaId::from_header(&bytes));
    }
}
