//! From the model of a schema back to JSON.

use serde_json::{Map, Value};

use super::schema::{Kind, Naming, Node, NodeId};
use crate::personal::MARK;

pub(crate) fn schema(nodes: &[Node], root: NodeId) -> Value {
    write(nodes, root, "", &mut vec![false; nodes.len()])
}

/// `namespace` is the one around this place, `written` says which named types are already there.
fn write(nodes: &[Node], id: NodeId, namespace: &str, written: &mut [bool]) -> Value {
    let node = &nodes[id];
    let mut object = Map::new();
    let inner = match node.naming() {
        Some(naming) if std::mem::replace(&mut written[id], true) => {
            return reference(naming, namespace).into();
        }
        Some(naming) => {
            object.insert("name".to_owned(), naming.name.simple().into());
            if naming.name.namespace() != namespace {
                object.insert("namespace".to_owned(), naming.name.namespace().into());
            }
            let aliases = naming.aliases.iter().map(|alias| alias.full().into());
            put_list(&mut object, "aliases", aliases.collect());
            put_doc(&mut object, naming.doc.as_deref());
            naming.name.namespace()
        }
        None => namespace,
    };
    match &node.kind {
        Kind::Union(branches) => {
            let branches = branches
                .iter()
                .map(|branch| write(nodes, *branch, namespace, written));
            return Value::Array(branches.collect());
        }
        Kind::Array(items) => {
            object.insert("items".to_owned(), write(nodes, *items, inner, written));
        }
        Kind::Map(values) => {
            object.insert("values".to_owned(), write(nodes, *values, inner, written));
        }
        Kind::Fixed(fixed) => {
            object.insert("size".to_owned(), fixed.size.into());
        }
        Kind::Enum(enumeration) => {
            object.insert("symbols".to_owned(), enumeration.symbols.clone().into());
            if let Some(default) = enumeration.default {
                object.insert(
                    "default".to_owned(),
                    enumeration.symbols[default].clone().into(),
                );
            }
        }
        Kind::Record(record) => {
            let mut fields = Vec::with_capacity(record.fields.len());
            for field in &record.fields {
                let mut object = Map::new();
                object.insert("name".to_owned(), field.name.clone().into());
                put_list(
                    &mut object,
                    "aliases",
                    field
                        .aliases
                        .iter()
                        .map(|alias| alias.as_str().into())
                        .collect(),
                );
                put_doc(&mut object, field.doc.as_deref());
                if field.personal {
                    object.insert(MARK.to_owned(), true.into());
                }
                object.insert("type".to_owned(), write(nodes, field.node, inner, written));
                if let Some(default) = &field.default {
                    object.insert("default".to_owned(), default.json.clone());
                }
                fields.push(Value::Object(object));
            }
            object.insert("fields".to_owned(), Value::Array(fields));
        }
        primitive if node.logical.is_none() => return primitive.name().into(),
        _ => {}
    }
    object.insert("type".to_owned(), node.kind.name().into());
    if let Some(logical) = node.logical {
        logical.write(&mut object);
    }
    Value::Object(object)
}

/// The shortest text that means this type here.
fn reference<'a>(naming: &'a Naming, namespace: &str) -> &'a str {
    if naming.name.namespace() == namespace {
        naming.name.simple()
    } else {
        naming.name.full()
    }
}

fn put_list(object: &mut Map<String, Value>, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        object.insert(key.to_owned(), Value::Array(list));
    }
}

fn put_doc(object: &mut Map<String, Value>, doc: Option<&str>) {
    if let Some(doc) = doc {
        object.insert("doc".to_owned(), doc.into());
    }
}
