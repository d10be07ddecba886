//! The Parsing Canonical Form of a schema, and its fingerprints.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::schema::{Kind, Node, NodeId};

/// Names are full, everything that does not change the bytes is gone, attributes are in the order of the specification.
pub(crate) fn form(nodes: &[Node], root: NodeId) -> String {
    let mut text = String::new();
    write(nodes, root, &mut vec![false; nodes.len()], &mut text);
    text
}

fn write(nodes: &[Node], id: NodeId, written: &mut [bool], out: &mut String) {
    let node = &nodes[id];
    if let Some(name) = node.name() {
        if std::mem::replace(&mut written[id], true) {
            quote(name.full(), out);
            return;
        }
        out.push_str("{\"name\":");
        quote(name.full(), out);
        out.push_str(",\"type\":");
        quote(node.kind.name(), out);
    }
    match &node.kind {
        Kind::Record(record) => {
            out.push_str(",\"fields\":[");
            list(&record.fields, out, |field, out| {
                out.push_str("{\"name\":");
                quote(&field.name, out);
                out.push_str(",\"type\":");
                write(nodes, field.node, written, out);
                out.push('}');
            });
            out.push_str("]}");
        }
        Kind::Enum(enumeration) => {
            out.push_str(",\"symbols\":[");
            list(&enumeration.symbols, out, |symbol, out| quote(symbol, out));
            out.push_str("]}");
        }
        Kind::Fixed(fixed) => {
            // Writing to a String does not fail.
            let _ = write!(out, ",\"size\":{}}}", fixed.size);
        }
        Kind::Array(items) => {
            out.push_str("{\"type\":\"array\",\"items\":");
            write(nodes, *items, written, out);
            out.push('}');
        }
        Kind::Map(values) => {
            out.push_str("{\"type\":\"map\",\"values\":");
            write(nodes, *values, written, out);
            out.push('}');
        }
        Kind::Union(branches) => {
            out.push('[');
            list(branches, out, |branch, out| {
                write(nodes, *branch, written, out);
            });
            out.push(']');
        }
        primitive => quote(primitive.name(), out),
    }
}

fn list<T>(items: &[T], out: &mut String, mut write: impl FnMut(&T, &mut String)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
}

/// All names are plain ASCII: the parser made sure.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    out.push_str(text);
    out.push('"');
}

const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

const TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                (value >> 1) ^ EMPTY
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

/// CRC-64-AVRO.
pub(crate) fn rabin(bytes: &[u8]) -> u64 {
    bytes.iter().fold(EMPTY, |value, byte| {
        (value >> 8) ^ TABLE[usize::from(value.to_le_bytes()[0] ^ byte)]
    })
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
