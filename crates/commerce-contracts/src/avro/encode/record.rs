//! Records: from structs, whose fields come in the order of the type, and from maps.

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeStruct, SerializeStructVariant};

use crate::avro::schema::{Node, Record};
use crate::avro::wire::Input;

use super::EncodeError;
use super::items::Items;
use super::key::Key;
use super::serializer::Serializer;

type Result<T = (), E = EncodeError> = std::result::Result<T, E>;

/// The fields of a record. Those that come before their turn wait.
pub(super) struct Fields<'a> {
    nodes: &'a [Node],
    record: &'a Record,
    out: &'a mut Vec<u8>,
    depth: u32,
    /// The field that is to be written next.
    next: usize,
    waiting: Vec<(usize, Vec<u8>)>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(
        nodes: &'a [Node],
        record: &'a Record,
        out: &'a mut Vec<u8>,
        depth: u32,
    ) -> Self {
        Self {
            nodes,
            record,
            out,
            depth,
            next: 0,
            waiting: Vec::new(),
        }
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result {
        match self.record.fields.get(self.next) {
            Some(field) if field.name == name => {
                value
                    .serialize(Serializer {
                        nodes: self.nodes,
                        node: &self.nodes[field.node],
                        out: self.out,
                        depth: self.depth,
                    })
                    .map_err(|error| error.at(name))?;
                self.next += 1;
                if !self.waiting.is_empty() {
                    self.write_waiting();
                }
                Ok(())
            }
            _ => self.early(name, value),
        }
    }

    #[cold]
    fn early<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result {
        let Some(index) = self.position(name) else {
            return Err(EncodeError::new(format!(
                "the record {} has no field `{name}`",
                self.record.naming.name
            )));
        };
        if index < self.next || self.waiting.iter().any(|(other, _)| *other == index) {
            return Err(EncodeError::new(format!("the field `{name}` comes twice")));
        }
        let mut bytes = Vec::new();
        value
            .serialize(Serializer {
                nodes: self.nodes,
                node: &self.nodes[self.record.fields[index].node],
                out: &mut bytes,
                depth: self.depth,
            })
            .map_err(|error| error.at(name))?;
        self.waiting.push((index, bytes));
        Ok(())
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.record
            .fields
            .iter()
            .position(|field| field.name == name)
    }

    fn write_waiting(&mut self) {
        while let Some(place) = self
            .waiting
            .iter()
            .position(|(index, _)| *index == self.next)
        {
            let (_, bytes) = self.waiting.swap_remove(place);
            self.out.extend_from_slice(&bytes);
            self.next += 1;
        }
    }

    /// The default of the next field, which the value left out.
    fn write_default(&mut self) -> Result {
        let field = &self.record.fields[self.next];
        let Some(default) = &field.default else {
            return Err(EncodeError::new(format!(
                "the value has no field `{}`, and it has no default",
                field.name
            )));
        };
        self.out.extend_from_slice(&default.bytes);
        self.next += 1;
        self.write_waiting();
        Ok(())
    }

    fn finish(mut self) -> Result {
        while self.next < self.record.fields.len() {
            self.write_default()?;
        }
        Ok(())
    }

    /// A field that serde says is left out: its default, at once when it is its turn.
    fn left_out(&mut self, name: &str) -> Result {
        if self.position(name) == Some(self.next) {
            self.write_default()?;
        }
        Ok(())
    }
}

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result {
        self.field(key, value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result {
        self.left_out(key)
    }

    fn end(self) -> Result {
        self.finish()
    }
}

impl SerializeStructVariant for Fields<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result {
        self.field(key, value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result {
        self.left_out(key)
    }

    fn end(self) -> Result {
        self.finish()
    }
}

/// What serde calls a map: a map of the schema, or a record whose fields it names.
pub(super) enum Entries<'a> {
    Map(Items<'a>),
    Record { fields: Fields<'a>, key: Vec<u8> },
}

impl<'a> Entries<'a> {
    pub(super) fn of_map(items: Items<'a>) -> Self {
        Self::Map(items)
    }

    pub(super) fn of_record(fields: Fields<'a>) -> Self {
        Self::Record {
            fields,
            key: Vec::new(),
        }
    }
}

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        match self {
            Self::Map(items) => value.serialize(Key { out: items.out }),
            Self::Record { key, .. } => {
                key.clear();
                value.serialize(Key { out: key })
            }
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        match self {
            // The key of a map is data: the place is its number.
            Self::Map(items) => {
                let index = items.count;
                items.item(value).map_err(|error| error.at(index))
            }
            Self::Record { fields, key } => {
                let name = Input::new(key)
                    .text()
                    .map_err(|_| EncodeError::new("the key of a map comes before its value"))?;
                fields.field(name, value)
            }
        }
    }

    fn end(self) -> Result {
        match self {
            Self::Map(items) => items.finish(),
            Self::Record { fields, .. } => fields.finish(),
        }
    }
}
