//! Lists and maps, and bytes that a type writes as a list of numbers.

use serde::Serialize;
use serde::ser::{SerializeSeq, SerializeTuple, SerializeTupleStruct};

use crate::avro::schema::{Kind, Node};
use crate::avro::wire::{self, Input};

use super::EncodeError;
use super::serializer::Serializer;

type Result<T = (), E = EncodeError> = std::result::Result<T, E>;

/// What one number of a list of bytes is written as, before it becomes its byte.
static NUMBER: Node = Node {
    kind: Kind::Int,
    logical: None,
    foreign: None,
    keys: None,
    empty: false,
};

/// What begins with the number of its items.
pub(super) struct Items<'a> {
    nodes: &'a [Node],
    item: &'a Node,
    form: Form,
    pub(super) out: &'a mut Vec<u8>,
    depth: u32,
    /// Where the number of items is written, and how many were announced there.
    start: usize,
    first: usize,
    announced: usize,
    pub(super) count: usize,
}

enum Form {
    Blocks,
    Bytes,
    Fixed(usize),
}

impl<'a> Items<'a> {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it has the only way to the output"
    )]
    pub(super) fn new(target: Serializer<'a>, length: Option<usize>, depth: u32) -> Self {
        let (form, item) = match &target.node.kind {
            Kind::Array(item) | Kind::Map(item) => (Form::Blocks, &target.nodes[*item]),
            Kind::Fixed(fixed) => (Form::Fixed(fixed.size), &NUMBER),
            _ => (Form::Bytes, &NUMBER),
        };
        let start = target.out.len();
        let announced = length.unwrap_or(0);
        // A length that is not told, or none, is put in at the end.
        if announced > 0 && !matches!(form, Form::Fixed(_)) {
            wire::put_index(target.out, announced);
        }
        Self {
            nodes: target.nodes,
            item,
            form,
            start,
            first: target.out.len(),
            out: target.out,
            depth,
            announced,
            count: 0,
        }
    }

    #[inline]
    pub(super) fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        let start = self.out.len();
        value.serialize(Serializer {
            nodes: self.nodes,
            node: self.item,
            out: self.out,
            depth: self.depth,
        })?;
        self.count += 1;
        if !matches!(self.form, Form::Blocks) {
            let number = Input::new(&self.out[start..]).long().ok();
            let byte = number
                .and_then(|number| u8::try_from(number).ok())
                .ok_or_else(|| EncodeError::new("a byte is a number from 0 to 255"))?;
            self.out.truncate(start);
            self.out.push(byte);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result {
        match self.form {
            Form::Fixed(size) if size == self.count => return Ok(()),
            Form::Fixed(size) => {
                return Err(EncodeError::new(format!(
                    "the schema says {size} bytes, and the value has {}",
                    self.count
                )));
            }
            Form::Blocks | Form::Bytes => {}
        }
        if self.count != self.announced {
            let mut header = Vec::new();
            if self.count > 0 {
                wire::put_index(&mut header, self.count);
            }
            self.out.splice(self.start..self.first, header);
        }
        // The block of none that ends a list; or the length of no bytes.
        if matches!(self.form, Form::Blocks) || self.count == 0 {
            self.out.push(0);
        }
        Ok(())
    }
}

impl SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        let index = self.count;
        self.item(value).map_err(|error| error.at(index))
    }

    fn end(self) -> Result {
        self.finish()
    }
}

impl SerializeTuple for Items<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result {
        self.finish()
    }
}

impl SerializeTupleStruct for Items<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result {
        self.finish()
    }
}
