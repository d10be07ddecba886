//! Passes over a value that the reader does not know.

use crate::avro::schema::{Kind, Node, NodeId};
use crate::avro::wire::Input;

use super::DecodeError;

pub(super) fn value(
    input: &mut Input<'_>,
    nodes: &[Node],
    node: NodeId,
) -> Result<(), DecodeError> {
    match &nodes[node].kind {
        Kind::Null => {}
        Kind::Boolean => input.take(1).map(drop)?,
        Kind::Int | Kind::Long | Kind::Enum(_) => input.long().map(drop)?,
        Kind::Float => input.take(4).map(drop)?,
        Kind::Double => input.take(8).map(drop)?,
        Kind::Bytes | Kind::String => input.bytes().map(drop)?,
        Kind::Fixed(fixed) => input.take(fixed.size).map(drop)?,
        Kind::Union(branches) => {
            let index = input.index(branches.len(), "a branch of a union")?;
            value(input, nodes, branches[index])?;
        }
        Kind::Record(record) => {
            input.enter()?;
            for field in &record.fields {
                value(input, nodes, field.node)?;
            }
            input.leave();
        }
        Kind::Array(item) => {
            input.enter()?;
            let empty = nodes[*item].empty;
            input.skip_blocks(empty, |input| value(input, nodes, *item))?;
            input.leave();
        }
        Kind::Map(item) => {
            input.enter()?;
            input.skip_blocks(false, |input| {
                input.bytes()?;
                value(input, nodes, *item)
            })?;
            input.leave();
        }
    }
    Ok(())
}
