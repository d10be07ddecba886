//! What a schema says of its fields, told with the place of each.

use super::schema::{Field, Kind, NodeId, Schema};

impl Schema {
    /// Calls `found` with the place of every field that is marked, as a JSON pointer in which `*` is every item of a list or map.
    pub(crate) fn visit_personal(&self, found: &mut dyn FnMut(&str)) {
        self.visit_fields(&mut |place, field| {
            if field.personal {
                found(&format!("{place}/{}", field.name));
            }
        });
    }

    /// Calls `found` with the place and the aliases of every field that has some.
    pub(crate) fn visit_aliases(&self, found: &mut dyn FnMut(&str, &[String])) {
        self.visit_fields(&mut |place, field| {
            if !field.aliases.is_empty() {
                found(&format!("{place}/{}", field.name), &field.aliases);
            }
        });
    }

    /// Calls `found` with every field and the place of its record.
    fn visit_fields(&self, found: &mut dyn FnMut(&str, &Field)) {
        self.visit(self.root(), &mut String::new(), &mut Vec::new(), found);
    }

    fn visit(
        &self,
        node: NodeId,
        place: &mut String,
        open: &mut Vec<NodeId>,
        found: &mut dyn FnMut(&str, &Field),
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
                    found(place, field);
                    place.push('/');
                    place.push_str(&field.name);
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
