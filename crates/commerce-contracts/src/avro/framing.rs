//! What stands before the data and says which schema wrote it: single-object encoding, and the Confluent wire format.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use super::encode::EncodeError;
use super::schema::Schema;

/// What single-object encoding begins with: a mark, and its version.
const SINGLE_OBJECT: [u8; 2] = [0xc3, 0x01];

/// What the Confluent wire format begins with before a registry's number, and before a GUID.
const ID: u8 = 0x00;
const GUID: u8 = 0x01;

/// The header in which the Confluent wire format carries the GUID of the schema of a record's value.
pub const VALUE_SCHEMA_ID: &str = "__value_schema_id";

/// The same for a record's key.
pub const KEY_SCHEMA_ID: &str = "__key_schema_id";

/// Which schema data was written by, as a schema registry knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SchemaId {
    /// The number of the schema in one registry; it stands before the data.
    Number(u32),
    /// The same in all registries; it stands in a header, [`VALUE_SCHEMA_ID`], and leaves the data alone.
    Guid(Uuid),
}

/// Why bytes do not begin as their framing says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FramingError {
    /// They are too short for the framing.
    TooShort,
    /// They begin otherwise: another framing, or none.
    OtherFraming,
    /// More bytes than the framing has.
    TooLong,
}

impl fmt::Display for FramingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooShort => "the bytes end within what says which schema wrote them",
            Self::OtherFraming => "the bytes begin otherwise: they have another framing, or none",
            Self::TooLong => "there are bytes after the schema's identifier",
        })
    }
}

impl std::error::Error for FramingError {}

impl Schema {
    /// The value in single-object encoding: `C3 01`, the fingerprint of this schema, the data.
    pub fn encode_single_object<T: Serialize + ?Sized>(
        &self,
        value: &T,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut out = SINGLE_OBJECT.to_vec();
        out.extend_from_slice(&self.fingerprint().to_le_bytes());
        self.encode_into(value, &mut out)?;
        Ok(out)
    }

    /// The value in the Confluent wire format: `00`, the number of this schema in the registry, the data.
    pub fn encode_confluent<T: Serialize + ?Sized>(
        &self,
        number: u32,
        value: &T,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut out = vec![ID];
        out.extend_from_slice(&number.to_be_bytes());
        self.encode_into(value, &mut out)?;
        Ok(out)
    }
}

/// Splits single-object encoding: the fingerprint of the writer's schema ([`Schema::fingerprint`]), and the data.
pub fn split_single_object(bytes: &[u8]) -> Result<(u64, &[u8]), FramingError> {
    let rest = begins(bytes, &SINGLE_OBJECT)?;
    let (fingerprint, data) = rest.split_first_chunk().ok_or(FramingError::TooShort)?;
    Ok((u64::from_le_bytes(*fingerprint), data))
}

/// Splits the Confluent wire format: the schema, and the data. Also of producers that put a GUID before the data.
pub fn split_confluent(bytes: &[u8]) -> Result<(SchemaId, &[u8]), FramingError> {
    let (magic, rest) = bytes.split_first().ok_or(FramingError::TooShort)?;
    match *magic {
        ID => {
            let (number, data) = rest.split_first_chunk().ok_or(FramingError::TooShort)?;
            Ok((SchemaId::Number(u32::from_be_bytes(*number)), data))
        }
        GUID => {
            let (guid, data) = rest.split_first_chunk().ok_or(FramingError::TooShort)?;
            Ok((SchemaId::Guid(Uuid::from_bytes(*guid)), data))
        }
        _ => Err(FramingError::OtherFraming),
    }
}

impl SchemaId {
    /// What stands in the header: `01` and the GUID, or `00` and the number.
    pub fn to_header(self) -> Vec<u8> {
        match self {
            Self::Number(number) => [&[ID][..], &number.to_be_bytes()].concat(),
            Self::Guid(guid) => [&[GUID][..], guid.as_bytes()].concat(),
        }
    }

    /// Reads what stands in the header, which is nothing else.
    pub fn from_header(bytes: &[u8]) -> Result<Self, FramingError> {
        match split_confluent(bytes)? {
            (id, []) => Ok(id),
            _ => Err(FramingError::TooLong),
        }
    }
}

fn begins<'a>(bytes: &'a [u8], with: &[u8]) -> Result<&'a [u8], FramingError> {
    match bytes.strip_prefix(with) {
        Some(rest) => Ok(rest),
        None if with.starts_with(bytes) => Err(FramingError::TooShort),
        None => Err(FramingError::OtherFraming),
    }
}
