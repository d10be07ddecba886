//! How data of the writer's schema is read by the reader's: worked out once, for any number of values.
//!
//! The rules are those of specification 1.12, section "Schema Resolution", and one more: types whose logical types differ
//! do not match, because the specification gives such a reading no meaning. UUIDs as strings are strings to both sides.

use std::collections::HashMap;
use std::fmt;

use super::logical::{Logical, Unit};
use super::schema::{Enumeration, Kind, Naming, Node, NodeId, Record, Schema};

/// Deeper nesting of different types is refused, so that none exhausts the stack.
const DEEPEST: usize = 400;

/// Why data of one schema cannot be read by another, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError {
    pointer: String,
    reason: String,
}

impl ResolveError {
    /// The place in the data, by the reader's names of fields; `-` stands for the items of a list and the values of a map.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// What does not fit there.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(formatter, "{}: ", self.pointer)?;
        }
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for ResolveError {}

pub(crate) type PlanId = usize;

/// What to do with the bytes at one place.
#[derive(Debug)]
pub(crate) enum Plan {
    Null,
    Boolean,
    /// Also an `int` that the reader takes for a `long`.
    Int,
    Long,
    Float,
    Double,
    /// An `int` or a `long` that the reader takes for a floating point number.
    WholeAsFloat,
    WholeAsDouble,
    FloatAsDouble,
    /// A `string`, or `bytes` that the reader takes for one.
    Text,
    /// `bytes`, or a `string` that the reader takes for them.
    Bytes,
    Fixed(usize),
    Date,
    Time(Unit),
    Timestamp(Unit),
    LocalTimestamp(Unit),
    Decimal {
        scale: u32,
        /// Of a fixed type.
        size: Option<usize>,
    },
    UuidBytes,
    /// By the writer's place: the reader's symbol, when it has one.
    Enum(Box<[Option<Box<str>>]>),
    Array {
        item: PlanId,
        /// The writer's items take no bytes.
        empty: bool,
    },
    Map(PlanId),
    Record(Box<[Step]>),
    /// By the writer's branch.
    Union(Box<[Branch]>),
    /// The reader has a union, and this of its branches is what the data is.
    Branch(Branch),
    /// Data that got here cannot be read.
    Mismatch(Box<str>),
}

#[derive(Debug)]
pub(crate) struct Branch {
    /// What the reader's union calls it; none when the reader has no union.
    pub(crate) name: Option<Box<str>>,
    pub(crate) plan: PlanId,
}

/// The fields of a record in the order of the data, then those that the data does not have.
#[derive(Debug)]
pub(crate) enum Step {
    Field {
        name: Box<str>,
        plan: PlanId,
    },
    /// A value that the reader does not know, of this node of the writer's schema.
    Skip(NodeId),
    Default {
        name: Box<str>,
        plan: PlanId,
        bytes: Box<[u8]>,
    },
}

/// All plans, and the one of the whole.
pub(crate) fn resolve(
    writer: &Schema,
    reader: &Schema,
) -> Result<(Vec<Plan>, PlanId), ResolveError> {
    let mut resolver = Resolver {
        writer: writer.nodes(),
        reader: reader.nodes(),
        plans: Vec::new(),
        known: HashMap::new(),
        path: Vec::new(),
        depth: 0,
    };
    let root = resolver.pair(From::Data, writer.root(), reader.root())?;
    Ok((resolver.plans, root))
}

/// Who wrote the bytes: the writer, or the reader itself, whose defaults are kept as bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum From {
    Data,
    Defaults,
}

struct Resolver<'a> {
    writer: &'a [Node],
    reader: &'a [Node],
    plans: Vec<Plan>,
    /// A pair that is being worked out is already here, so that types may contain themselves.
    known: HashMap<(From, NodeId, NodeId), Result<PlanId, ResolveError>>,
    path: Vec<String>,
    depth: usize,
}

type Resolved<T> = Result<T, ResolveError>;

impl<'a> Resolver<'a> {
    fn pair(&mut self, from: From, writer: NodeId, reader: NodeId) -> Resolved<PlanId> {
        if let Some(known) = self.known.get(&(from, writer, reader)) {
            return known.clone();
        }
        if self.depth > DEEPEST {
            return Err(self.mismatch("the schemas are nested too deeply"));
        }
        let id = self.plans.len();
        self.plans.push(Plan::Null);
        self.known.insert((from, writer, reader), Ok(id));
        self.depth += 1;
        let plan = self.plan(from, writer, reader);
        self.depth -= 1;
        match plan {
            Ok(plan) => {
                self.plans[id] = plan;
                Ok(id)
            }
            Err(error) => {
                // A plan further in may lead back to this one.
                self.plans[id] = Plan::Mismatch(error.to_string().into());
                self.known
                    .insert((from, writer, reader), Err(error.clone()));
                Err(error)
            }
        }
    }

    fn plan(&mut self, from: From, writer: NodeId, reader: NodeId) -> Resolved<Plan> {
        let (w, r) = (self.written(from, writer), &self.reader[reader]);
        if let Kind::Union(branches) = &w.kind {
            return self.writers_union(from, branches, reader);
        }
        if let Kind::Union(branches) = &r.kind {
            let fitting = branches
                .iter()
                .find(|branch| fits(w, &self.reader[**branch]));
            let Some(branch) = fitting else {
                return Err(self.mismatch(format!(
                    "the data is {}, and the reader's union has no branch for it",
                    w.describe()
                )));
            };
            return Ok(Plan::Branch(Branch {
                name: Some(self.reader[*branch].branch_name().into()),
                plan: self.pair(from, writer, *branch)?,
            }));
        }
        if !fits(w, r) {
            return Err(self.mismatch(format!(
                "the data is {}, and the reader's schema says {}{}",
                w.describe(),
                r.describe(),
                remedy(w, r)
            )));
        }
        self.same(from, w, r)
    }

    fn written(&self, from: From, node: NodeId) -> &'a Node {
        match from {
            From::Data => &self.writer[node],
            From::Defaults => &self.reader[node],
        }
    }

    /// Each branch is read by the whole of the reader's schema; one that cannot be is an error of the data that has it.
    fn writers_union(&mut self, from: From, branches: &[NodeId], reader: NodeId) -> Resolved<Plan> {
        let mut found = Vec::with_capacity(branches.len());
        let mut first_error = None;
        let mut any = false;
        for branch in branches {
            let branch = match self.pair(from, *branch, reader) {
                Ok(plan) => {
                    any = true;
                    // What the reader's union calls it is told here, one step earlier.
                    match &self.plans[plan] {
                        Plan::Branch(branch) => Branch {
                            name: branch.name.clone(),
                            plan: branch.plan,
                        },
                        _ => Branch { name: None, plan },
                    }
                }
                Err(error) => {
                    self.plans
                        .push(Plan::Mismatch(error.reason.as_str().into()));
                    first_error.get_or_insert(error);
                    Branch {
                        name: None,
                        plan: self.plans.len() - 1,
                    }
                }
            };
            found.push(branch);
        }
        match first_error {
            Some(error) if !any => Err(error),
            _ => Ok(Plan::Union(found.into())),
        }
    }

    /// Of two types that match as far as their own names and kinds go.
    fn same(&mut self, from: From, w: &'a Node, r: &'a Node) -> Resolved<Plan> {
        let plan = match (&w.kind, &r.kind, r.logical) {
            (Kind::Null, ..) => Plan::Null,
            (Kind::Boolean, ..) => Plan::Boolean,
            (_, Kind::Int | Kind::Long, Some(Logical::Date)) => Plan::Date,
            (_, Kind::Int | Kind::Long, Some(Logical::Time(unit))) => Plan::Time(unit),
            (_, Kind::Long, Some(Logical::Timestamp(unit))) => Plan::Timestamp(unit),
            (_, Kind::Long, Some(Logical::LocalTimestamp(unit))) => Plan::LocalTimestamp(unit),
            (Kind::Int, Kind::Int | Kind::Long, _) => Plan::Int,
            (Kind::Long, Kind::Long, _) => Plan::Long,
            (Kind::Int | Kind::Long, Kind::Float, _) => Plan::WholeAsFloat,
            (Kind::Int | Kind::Long, _, _) => Plan::WholeAsDouble,
            (Kind::Float, Kind::Float, _) => Plan::Float,
            (Kind::Float, ..) => Plan::FloatAsDouble,
            (Kind::Double, ..) => Plan::Double,
            (Kind::Bytes, Kind::Bytes, Some(Logical::Decimal { scale, .. })) => {
                Plan::Decimal { scale, size: None }
            }
            (Kind::Bytes | Kind::String, Kind::String, _) => Plan::Text,
            (Kind::Bytes | Kind::String, ..) => Plan::Bytes,
            (Kind::Fixed(fixed), _, Some(Logical::Decimal { scale, .. })) => Plan::Decimal {
                scale,
                size: Some(fixed.size),
            },
            (Kind::Fixed(_), _, Some(Logical::Uuid)) => Plan::UuidBytes,
            (Kind::Fixed(fixed), ..) => Plan::Fixed(fixed.size),
            (Kind::Enum(w), Kind::Enum(r), _) => Plan::Enum(symbols(w, r)),
            (Kind::Array(written), Kind::Array(read), _) => Plan::Array {
                item: self.within("-", from, *written, *read)?,
                empty: self.written(from, *written).empty,
            },
            (Kind::Map(written), Kind::Map(read), _) => {
                Plan::Map(self.within("-", from, *written, *read)?)
            }
            (Kind::Record(w), Kind::Record(r), _) => self.record(from, w, r)?,
            _ => return Err(self.mismatch("the types have nothing in common")),
        };
        Ok(plan)
    }

    fn record(&mut self, from: From, w: &'a Record, r: &'a Record) -> Resolved<Plan> {
        let mut steps = Vec::with_capacity(w.fields.len().max(r.fields.len()));
        let mut filled = vec![false; r.fields.len()];
        for written in &w.fields {
            let mut takers = r.fields.iter().enumerate().filter(|(_, field)| {
                field.name == written.name
                    || (from == From::Data && field.aliases.contains(&written.name))
            });
            let Some((index, field)) = takers.next() else {
                steps.push(Step::Skip(written.node));
                continue;
            };
            if let Some((_, other)) = takers.next() {
                return Err(self.mismatch(format!(
                    "the data's field `{}` would be two of the reader's, `{}` and `{}`: remove an alias",
                    written.name, field.name, other.name
                )));
            }
            if std::mem::replace(&mut filled[index], true) {
                return Err(self.mismatch(format!(
                    "two fields of the data, one of them `{}`, would be the reader's field `{}`: remove an alias",
                    written.name, field.name
                )));
            }
            steps.push(Step::Field {
                name: field.name.as_str().into(),
                plan: self.within(&field.name, from, written.node, field.node)?,
            });
        }
        for (field, _) in r.fields.iter().zip(filled).filter(|(_, filled)| !filled) {
            let Some(default) = &field.default else {
                return Err(self.mismatch(format!(
                    "the data has no field `{}`, and the reader's schema has no default for it: add a default, or an alias if it was renamed",
                    field.name
                )));
            };
            steps.push(Step::Default {
                name: field.name.as_str().into(),
                plan: self.within(&field.name, From::Defaults, field.node, field.node)?,
                bytes: default.bytes.as_slice().into(),
            });
        }
        Ok(Plan::Record(steps.into()))
    }

    fn within(
        &mut self,
        segment: &str,
        from: From,
        writer: NodeId,
        reader: NodeId,
    ) -> Resolved<PlanId> {
        self.path.push(segment.to_owned());
        let plan = self.pair(from, writer, reader);
        self.path.pop();
        plan
    }

    fn mismatch(&self, reason: impl Into<String>) -> ResolveError {
        ResolveError {
            pointer: self
                .path
                .iter()
                .flat_map(|segment| ["/", segment])
                .collect(),
            reason: reason.into(),
        }
    }
}

/// Whether two types that are no unions match, as far as they tell without what is in them.
fn fits(w: &Node, r: &Node) -> bool {
    let both_plain = w.logical.is_none() && r.logical.is_none();
    match (&w.kind, &r.kind) {
        (Kind::Null, Kind::Null)
        | (Kind::Boolean, Kind::Boolean)
        | (Kind::String, Kind::String)
        | (Kind::Array(_), Kind::Array(_))
        | (Kind::Map(_), Kind::Map(_)) => true,
        (Kind::Int, Kind::Int)
        | (Kind::Long, Kind::Long)
        | (Kind::Float, Kind::Float)
        | (Kind::Double, Kind::Double)
        | (Kind::Bytes, Kind::Bytes) => w.logical == r.logical,
        (Kind::Int, Kind::Long | Kind::Float | Kind::Double)
        | (Kind::Long, Kind::Float | Kind::Double)
        | (Kind::Float, Kind::Double)
        | (Kind::String, Kind::Bytes)
        | (Kind::Bytes, Kind::String) => both_plain,
        (Kind::Fixed(written), Kind::Fixed(read)) => {
            written.size == read.size
                && same_name(&written.naming, &read.naming)
                && w.logical == r.logical
        }
        (Kind::Enum(written), Kind::Enum(read)) => same_name(&written.naming, &read.naming),
        (Kind::Record(written), Kind::Record(read)) => same_name(&written.naming, &read.naming),
        _ => false,
    }
}

fn same_name(writer: &Naming, reader: &Naming) -> bool {
    writer.name.simple() == reader.name.simple() || reader.aliases.contains(&writer.name)
}

fn remedy(w: &Node, r: &Node) -> String {
    match (w.name(), r.name()) {
        (Some(written), Some(_)) if w.kind.name() == r.kind.name() => {
            format!(": if it was renamed, give the reader's type the alias `{written}`")
        }
        _ if w.kind.name() == r.kind.name() => {
            ": the bytes are the same and mean something else".to_owned()
        }
        _ => String::new(),
    }
}

fn symbols(w: &Enumeration, r: &Enumeration) -> Box<[Option<Box<str>>]> {
    let default = r.default.map(|default| r.symbols[default].as_str());
    let known = |symbol: &String| {
        let symbol = if r.symbols.contains(symbol) {
            Some(symbol.as_str())
        } else {
            default
        };
        symbol.map(Into::into)
    };
    w.symbols.iter().map(known).collect()
}
