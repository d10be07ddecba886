//! Where a schema is marked as holding personal data.

use super::schema::{Kind, NodeId, Schema};

pub(super) use crate::personal::MARK;

impl Schema {
    /// Calls `found` with the place of every field that is marked, as a JSON pointer in which `*` is every item of a list or map.
    pub(crate) fn visit_personal(&self, found: &mut dyn FnMut(&str)) {
        self.visit(self.root(), &mut String::new(), &mut Vec::new(), found);
    }

    fn visit(
        &self,
        node: NodeId,
        place: &mut String,
        open: &mut Vec<NodeId>,
        found: &mut dyn FnMut(&str),
    ) {
        // A type that contains itself is told of once.
        if open.contains(&node) {
            return;
        }
        open.push(node);
        let length = place.len();
        match &self.nodes()[node].kind {
            Kind::Record(record) => {
                for field in &record.fields {
                    place.push('/');
                    place.push_str(&field.name);
                    if field.personal {
                        found(place);
                    }
                    self.visit(field.node, place, open, found);
                    place.truncate(length);
                }
            }
            Kind::Array(inner) | Kind::Map(inner) => {
                place.push_str("/*");
                self.visit(*inner, place, open, found);
                place.truncate(length);
            }
            Kind::Union(branches) => {
                for branch in branches {
                    self.visit(*branch, place, open, found);
                }
            }
            _ => {}
        }
        open.pop();
    }
}
