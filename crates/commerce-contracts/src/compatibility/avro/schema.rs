//! An Avro schema as the checker sees it: as it is parsed for reading, with the place of everything.

use serde_json::Value;

use crate::avro::logical::Logical;
use crate::avro::parse::{SchemaError, Unchecked};
use crate::avro::schema::{Kind, Node, NodeId as Id};

/// A parsed schema; its root is [`Schema::root`].
#[derive(Debug)]
pub(super) struct Schema {
    nodes: Vec<Node>,
    pointers: Vec<String>,
    pub(super) root: Id,
}

impl std::ops::Index<Id> for Schema {
    type Output = Node;

    fn index(&self, id: Id) -> &Node {
        &self.nodes[id]
    }
}

impl Schema {
    pub(super) fn parse(value: &Value) -> Result<Self, SchemaError> {
        let Unchecked {
            nodes,
            root,
            pointers,
        } = Unchecked::parse(value)?;
        Ok(Self {
            nodes,
            pointers,
            root,
        })
    }

    pub(super) fn ids(&self) -> std::ops::Range<Id> {
        0..self.nodes.len()
    }

    /// Where a node is, as a JSON pointer.
    pub(super) fn pointer(&self, id: Id) -> &str {
        &self.pointers[id]
    }

    /// Where the field of a record is.
    pub(super) fn field_pointer(&self, record: Id, field: usize) -> String {
        format!("{}/fields/{field}", self.pointers[record])
    }
}

/// What the bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// Themselves.
    Plain,
    /// What the specification says.
    Logical(Logical),
    /// What the specification says, and is not read here.
    BigDecimal,
    /// One that the specification does not know: a reader may take it for its underlying type.
    Foreign(&'a str),
}

impl<'a> Meaning<'a> {
    pub(super) fn of(node: &'a Node) -> Self {
        match (node.logical, node.foreign.as_deref(), &node.kind) {
            (Some(logical), ..) => Self::Logical(logical),
            (None, Some("big-decimal"), Kind::Bytes) => Self::BigDecimal,
            // Where it does not fit it is ignored.
            (None, Some("big-decimal") | None, _) => Self::Plain,
            (None, Some(name), _) => Self::Foreign(name),
        }
    }

    /// Whether a reader may take no notice of it.
    pub(super) fn may_be_ignored(self) -> bool {
        matches!(self, Self::Plain | Self::Foreign(_))
    }

    /// For messages.
    pub(super) fn describe(self) -> String {
        match self {
            Self::Plain => "no logical type".to_owned(),
            Self::Logical(logical) => logical.describe(),
            Self::BigDecimal => "big-decimal".to_owned(),
            Self::Foreign(name) => name.to_owned(),
        }
    }
}
