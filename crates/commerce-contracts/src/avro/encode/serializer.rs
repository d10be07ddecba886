//! Serde's view: one value, one node of the schema.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde::ser;
use uuid::Uuid;

use crate::avro::logical::Logical;
use crate::avro::schema::{Kind, Node, NodeId, Record, Schema};
use crate::avro::{text, wire};
use crate::short::Short;

use super::items::Items;
use super::record::{Entries, Fields};
use super::{DEEPEST, EncodeError};

type Result<T = (), E = EncodeError> = std::result::Result<T, E>;

pub(super) struct Serializer<'a> {
    pub(super) nodes: &'a [Node],
    pub(super) node: &'a Node,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) depth: u32,
}

impl<'a> Serializer<'a> {
    pub(super) fn new(schema: &'a Schema, out: &'a mut Vec<u8>) -> Self {
        Self {
            nodes: schema.nodes(),
            node: &schema.nodes()[schema.root()],
            out,
            depth: 0,
        }
    }

    fn refuse<T>(&self, value: &str) -> Result<T> {
        Err(EncodeError::new(format!(
            "the schema says {}, and the value is {value}",
            self.node.describe()
        )))
    }

    /// The node that takes the value: this one, or the first fitting branch of this union, whose place is written.
    #[inline]
    fn choose(mut self, value: &str, fits: impl Fn(&Node) -> bool) -> Result<Self> {
        if let Kind::Union(branches) = &self.node.kind {
            let found = branches
                .iter()
                .position(|branch| fits(&self.nodes[*branch]));
            let Some(index) = found else {
                return Err(EncodeError::new(format!(
                    "the value is {value}, and the union has no branch for it"
                )));
            };
            self.enter_branch(branches, index);
        } else if !fits(self.node) {
            return self.refuse(value);
        }
        Ok(self)
    }

    /// Whether this node, or a branch of this union, is such a one.
    fn offers(&self, kind: impl Fn(&Kind) -> bool) -> bool {
        match &self.node.kind {
            Kind::Union(branches) => branches
                .iter()
                .any(|branch| kind(&self.nodes[*branch].kind)),
            own => kind(own),
        }
    }

    fn enter_branch(&mut self, branches: &[NodeId], index: usize) {
        wire::put_index(self.out, index);
        self.node = &self.nodes[branches[index]];
    }

    /// The branch of this union that an enum's variant names.
    fn variant(mut self, variant: &str) -> Result<Self> {
        let Kind::Union(branches) = &self.node.kind else {
            return Err(EncodeError::new(format!(
                "the variant `{variant}` has data, and the schema says {}: a union with a record `{variant}` takes it",
                self.node.describe()
            )));
        };
        let found = branches
            .iter()
            .position(|branch| self.nodes[*branch].branch_name() == variant);
        let Some(index) = found else {
            return Err(EncodeError::new(format!(
                "the union has no branch that is called `{variant}`"
            )));
        };
        self.enter_branch(branches, index);
        Ok(self)
    }

    fn integer(self, value: i64) -> Result {
        let target = self.choose("a whole number", |node| match (&node.kind, node.logical) {
            (Kind::Int, _) => i32::try_from(value).is_ok(),
            (Kind::Long, _) | (Kind::Bytes | Kind::Fixed(_), Some(Logical::Decimal { .. })) => true,
            _ => false,
        })?;
        match target.node.kind {
            Kind::Int | Kind::Long => {
                wire::put_long(target.out, value);
                Ok(())
            }
            _ => target.whole_decimal(i128::from(value)),
        }
    }

    /// A whole number of any size, as a decimal.
    fn big_integer(self, value: i128) -> Result {
        if let Ok(value) = i64::try_from(value) {
            return self.integer(value);
        }
        self.choose("a whole number of more than 64 bits", |node| {
            matches!(node.logical, Some(Logical::Decimal { .. }))
        })?
        .whole_decimal(value)
    }

    fn whole_decimal(self, value: i128) -> Result {
        let Some(Logical::Decimal { precision, scale }) = self.node.logical else {
            return self.refuse("a whole number");
        };
        let unscaled = 10_i128
            .checked_pow(scale)
            .and_then(|factor| value.checked_mul(factor))
            .filter(|unscaled| text::within(*unscaled, precision));
        match unscaled {
            Some(unscaled) => put_decimal(self.out, &self.node.kind, unscaled),
            None => self.refuse("a number with more digits"),
        }
    }

    fn text(self, value: &str) -> Result {
        if let Kind::Union(branches) = &self.node.kind {
            let start = self.out.len();
            for (index, branch) in branches.iter().enumerate() {
                let branch = &self.nodes[*branch];
                wire::put_index(self.out, index);
                if put_text(self.out, branch, value).is_ok() {
                    return Ok(());
                }
                self.out.truncate(start);
            }
            return Err(EncodeError::new(
                "the value is a text, and no branch of the union takes this text",
            ));
        }
        put_text(self.out, self.node, value)
    }

    fn deeper(&self) -> Result<u32> {
        if self.depth >= DEEPEST {
            return Err(EncodeError::new(format!(
                "the value is nested more than {DEEPEST} levels deep"
            )));
        }
        Ok(self.depth + 1)
    }

    fn fields(self, record: &'a Record) -> Result<Fields<'a>> {
        let depth = self.deeper()?;
        Ok(Fields::new(self.nodes, record, self.out, depth))
    }

    fn items(self, length: Option<usize>) -> Result<Items<'a>> {
        let depth = self.deeper()?;
        let target = self.choose("a list", |node| {
            matches!(node.kind, Kind::Array(_) | Kind::Bytes | Kind::Fixed(_))
        })?;
        Ok(Items::new(target, length, depth))
    }
}

fn put_decimal(out: &mut Vec<u8>, kind: &Kind, unscaled: i128) -> Result {
    let (bytes, start) = text::shortest(unscaled);
    let bytes = &bytes[start..];
    match kind {
        Kind::Fixed(fixed) => {
            let Some(filling) = fixed.size.checked_sub(bytes.len()) else {
                return Err(EncodeError::new(
                    "the decimal does not fit into the fixed type",
                ));
            };
            out.extend(std::iter::repeat_n(
                if unscaled < 0 { 0xff } else { 0 },
                filling,
            ));
            out.extend_from_slice(bytes);
        }
        _ => wire::put_bytes(out, bytes),
    }
    Ok(())
}

fn put_text(out: &mut Vec<u8>, node: &Node, value: &str) -> Result {
    let number = match (&node.kind, node.logical) {
        (Kind::String, _) => {
            wire::put_bytes(out, value.as_bytes());
            return Ok(());
        }
        (Kind::Enum(enumeration), _) => {
            return match enumeration
                .symbols
                .iter()
                .position(|symbol| symbol == value)
            {
                Some(index) => {
                    wire::put_index(out, index);
                    Ok(())
                }
                None => Err(EncodeError::new(format!(
                    "the value is no symbol of {}",
                    node.describe()
                ))),
            };
        }
        (Kind::Fixed(_), Some(Logical::Uuid)) => {
            return match Uuid::try_parse(value) {
                Ok(uuid) => {
                    out.extend_from_slice(uuid.as_bytes());
                    Ok(())
                }
                Err(_) => Err(EncodeError::new("the text is not a UUID")),
            };
        }
        (_, Some(Logical::Decimal { precision, scale })) => {
            return match text::parse_decimal(value, precision, scale) {
                Some(unscaled) => put_decimal(out, &node.kind, unscaled),
                None => Err(EncodeError::new(format!(
                    "the text is not a decimal number that fits {}",
                    node.describe()
                ))),
            };
        }
        (_, Some(Logical::Date)) => text::parse_date(value),
        (_, Some(Logical::Time(unit))) => text::parse_time(value, unit),
        (_, Some(Logical::Timestamp(unit))) => text::parse_timestamp(value, unit),
        (_, Some(Logical::LocalTimestamp(unit))) => text::parse_local(value, unit),
        _ => {
            return Err(EncodeError::new(format!(
                "the schema says {}, and the value is a text",
                node.describe()
            )));
        }
    };
    match number {
        // A date and a time in milliseconds fit into 32 bits: their text has no more.
        Some(number) => {
            wire::put_long(out, number);
            Ok(())
        }
        None => Err(EncodeError::new(format!(
            "the text cannot be written as {}",
            node.describe()
        ))),
    }
}

impl<'a> ser::Serializer for Serializer<'a> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = ser::Impossible<(), EncodeError>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Fields<'a>;

    /// The same forms as in JSON: the schema says what they become.
    fn is_human_readable(&self) -> bool {
        true
    }

    fn serialize_bool(self, value: bool) -> Result {
        let target = self.choose("a boolean", |node| matches!(node.kind, Kind::Boolean))?;
        target.out.push(u8::from(value));
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result {
        self.integer(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result {
        self.integer(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result {
        self.integer(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result {
        self.integer(value)
    }

    fn serialize_i128(self, value: i128) -> Result {
        self.big_integer(value)
    }

    fn serialize_u8(self, value: u8) -> Result {
        self.integer(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result {
        self.integer(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result {
        self.integer(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result {
        self.big_integer(value.into())
    }

    fn serialize_u128(self, value: u128) -> Result {
        match i128::try_from(value) {
            Ok(value) => self.big_integer(value),
            Err(_) => self.refuse("a whole number of more than 127 bits"),
        }
    }

    fn serialize_f32(self, value: f32) -> Result {
        let target = self.choose("a float", |node| {
            matches!(node.kind, Kind::Float | Kind::Double)
        })?;
        if matches!(target.node.kind, Kind::Float) {
            target.out.extend_from_slice(&value.to_le_bytes());
        } else {
            target
                .out
                .extend_from_slice(&f64::from(value).to_le_bytes());
        }
        Ok(())
    }

    /// JSON has one kind of floating-point number: what a float can hold exactly is one.
    fn serialize_f64(self, value: f64) -> Result {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is looked at whether it did"
        )]
        let narrow = value as f32;
        let exact = f64::from(narrow).to_bits() == value.to_bits();
        let only_float = !self.offers(|kind| matches!(kind, Kind::Double))
            && self.offers(|kind| matches!(kind, Kind::Float));
        if exact && only_float {
            return self.serialize_f32(narrow);
        }
        let target = self.choose("a double", |node| matches!(node.kind, Kind::Double))?;
        target.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result {
        let target = self.choose("bytes", |node| match &node.kind {
            Kind::Bytes => true,
            Kind::Fixed(fixed) => fixed.size == value.len(),
            _ => false,
        })?;
        if matches!(target.node.kind, Kind::Bytes) {
            wire::put_bytes(target.out, value);
        } else {
            target.out.extend_from_slice(value);
        }
        Ok(())
    }

    fn serialize_none(self) -> Result {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        self.choose("nothing", |node| matches!(node.kind, Kind::Null))
            .map(drop)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, variant: &'static str) -> Result {
        if let Kind::Enum(enumeration) = &self.node.kind {
            // The schema of a type has its symbols in the order of the variants.
            let index = index as usize;
            if enumeration
                .symbols
                .get(index)
                .is_some_and(|symbol| symbol == variant)
            {
                wire::put_index(self.out, index);
                return Ok(());
            }
        }
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        value
            .serialize(self.variant(variant)?)
            .map_err(|error| error.at(variant))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items<'a>> {
        self.items(length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Items<'a>> {
        self.items(Some(length))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Items<'a>> {
        self.items(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        Err(EncodeError::new(format!(
            "the variant `{variant}` has fields without names, which Avro does not: name them"
        )))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Entries<'a>> {
        let depth = self.deeper()?;
        let target = self.choose("a map", |node| {
            matches!(node.kind, Kind::Map(_) | Kind::Record(_))
        })?;
        match &target.node.kind {
            Kind::Record(record) => Ok(Entries::of_record(target.fields(record)?)),
            _ => Ok(Entries::of_map(Items::new(target, length, depth))),
        }
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'a>> {
        let by_name = match &self.node.kind {
            Kind::Union(branches) => branches.iter().any(|branch| {
                let node = &self.nodes[*branch];
                matches!(node.kind, Kind::Record(_)) && node.branch_name() == name
            }),
            _ => false,
        };
        let target = self.choose("a struct", |node| {
            matches!(node.kind, Kind::Record(_)) && (!by_name || node.branch_name() == name)
        })?;
        match &target.node.kind {
            Kind::Record(record) => target.fields(record),
            _ => target.refuse("a struct"),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields<'a>> {
        let target = self.variant(variant)?;
        match &target.node.kind {
            Kind::Record(record) => target.fields(record),
            _ => target.refuse("a variant with fields"),
        }
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result {
        if matches!(self.node.kind, Kind::String) {
            return put_display(self.out, value);
        }
        match Short::of(value) {
            Some(short) => self.text(short.as_str()),
            None => self.text(&value.to_string()),
        }
    }
}

/// A text whose length is known only when it is written. Most are short: their length takes the one byte that is kept free.
pub(super) fn put_display<T: fmt::Display + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result {
    struct Tail<'a>(&'a mut Vec<u8>);
    impl fmt::Write for Tail<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    let start = out.len();
    out.push(0);
    write!(Tail(out), "{value}")
        .map_err(|_| EncodeError::new("the value's own type refuses to write it"))?;
    let mut header = Vec::new();
    wire::put_index(&mut header, out.len() - start - 1);
    match header[..] {
        [byte] => out[start] = byte,
        _ => {
            out.splice(start..=start, header);
        }
    }
    Ok(())
}
