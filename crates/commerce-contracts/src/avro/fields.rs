//! What a schema says of its fields, told with the place of each.

use super::schema::{Field, Kind, NodeId, Schema};

impl Schema {
    /// Calls `found` with the place of every field that is marked, as a JSON pointer in which `*` is every item of a list or map, and
    /// `**` any number of steps within a type that contains itself.
    pub(crate) fn visit_personal(&self, found: &mut dyn FnMut(&str)) {
        let mut visit = Visit {
            schema: self,
            open: Vec::new(),
            is_within: false,
            found: &mut |place: &str, field: &Field| {
                if field.personal {
                    found(place);
                }
            },
        };
        visit.node(self.root(), &mut String::new());
    }
}

struct Visit<'a> {
    schema: &'a Schema,
    /// The types around this place.
    open: Vec<NodeId>,
    /// The place is told with `**`: what contains itself here again is told with it.
    is_within: bool,
    found: &'a mut dyn FnMut(&str, &Field),
}

impl Visit<'_> {
    fn node(&mut self, node: NodeId, place: &mut String) {
        if self.open.contains(&node) {
            if !self.is_within {
                let mut within = format!("{}/**", place.strip_suffix("/*").unwrap_or(place));
                Visit {
                    schema: self.schema,
                    open: Vec::new(),
                    is_within: true,
                    found: self.found,
                }
                .node(node, &mut within);
            }
            return;
        }
        self.open.push(node);
        let length = place.len();
        match &self.schema.nodes()[node].kind {
            Kind::Record(record) => {
                for field in &record.fields {
                    place.push('/');
                    place.push_str(&field.name);
                    (self.found)(place, field);
                    self.node(field.node, place);
                    place.truncate(length);
                }
            }
            Kind::Array(inner) | Kind::Map(inner) => {
                place.push_str("/*");
                self.node(*inner, place);
                place.truncate(length);
            }
            Kind::Union(branches) => {
                for branch in branches {
                    self.node(*branch, place);
                }
            }
            _ => {}
        }
        self.open.pop();
    }
}
