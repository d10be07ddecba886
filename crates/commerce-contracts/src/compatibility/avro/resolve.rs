//! Schema resolution, as the specification (1.12) has it, over schemas instead of data.

use std::collections::{HashMap, HashSet};

use super::default::Defaults;
use super::schema::{Meaning, Schema};
use crate::avro::schema::{Field, Kind, Naming, Node, NodeId as Id};
use crate::compatibility::Rule;
use crate::compatibility::report::{Difference, Verdict};

/// Records inside records that are followed.
const MOST_DEPTH: usize = 256;

pub(super) struct Resolver<'a> {
    writer: &'a Schema,
    reader: &'a Schema,
    /// The pairs that were looked at, or are. Each is looked at once: what stands in the way of one stands in the way of all, and a
    /// pair inside itself adds nothing, for data is finite.
    seen: HashSet<(Id, Id)>,
    depth: usize,
    differences: Vec<Difference>,
    /// What is among the differences already.
    reported: HashSet<(Rule, String, String, String)>,
}

/// The fields of a record of the writer and of the reader, by the names that join them.
struct Fields<'a> {
    written: HashMap<&'a str, (usize, &'a Field)>,
    /// The reader's fields that a field of the writer with this name feeds.
    read: HashMap<&'a str, Vec<&'a Field>>,
}

impl<'a> Fields<'a> {
    fn of(written: &'a [Field], read: &'a [Field]) -> Self {
        let mut by_name: HashMap<&str, Vec<&Field>> = HashMap::new();
        for field in read {
            for name in names_of(field) {
                by_name.entry(name).or_default().push(field);
            }
        }
        Self {
            written: written
                .iter()
                .enumerate()
                .map(|(index, field)| (field.name.as_str(), (index, field)))
                .collect(),
            read: by_name,
        }
    }

    /// The fields of the writer that the reader's is read from: one, if all is well.
    fn sources(&self, field: &'a Field) -> Vec<(usize, &'a Field)> {
        names_of(field)
            .into_iter()
            .filter_map(|name| self.written.get(name).copied())
            .collect()
    }

    /// The fields of the reader that are read from the writer's: one, if all is well.
    fn rivals(&self, source: &Field) -> &[&'a Field] {
        self.read
            .get(source.name.as_str())
            .map_or(&[], Vec::as_slice)
    }
}

/// The names that a field of the reader answers to, each once.
fn names_of(field: &Field) -> Vec<&str> {
    let mut names = vec![field.name.as_str()];
    for alias in &field.aliases {
        if !names.contains(&alias.as_str()) {
            names.push(alias);
        }
    }
    names
}

impl<'a> Resolver<'a> {
    pub(super) fn new(writer: &'a Schema, reader: &'a Schema) -> Self {
        Self {
            writer,
            reader,
            seen: HashSet::new(),
            depth: 0,
            differences: Vec::new(),
            reported: HashSet::new(),
        }
    }

    /// Everything that keeps the reader from reading what the writer wrote.
    pub(super) fn differences(mut self) -> Vec<Difference> {
        self.check_defaults(self.writer, true);
        self.check_defaults(self.reader, false);
        self.check_aliases();
        self.resolve(self.writer.root, self.reader.root);
        self.differences
    }

    fn report(
        &mut self,
        rule: Rule,
        verdict: Verdict,
        writer: String,
        reader: String,
        message: String,
    ) {
        let place = (rule, writer.clone(), reader.clone(), message.clone());
        if self.reported.insert(place) {
            self.differences.push(Difference {
                rule,
                verdict,
                writer,
                reader,
                message,
                counterexample: None,
            });
        }
    }

    fn check_defaults(&mut self, schema: &Schema, is_writer: bool) {
        let mut defaults = Defaults::of(schema);
        for id in schema.ids() {
            let Kind::Record(record) = &schema[id].kind else {
                continue;
            };
            for (index, field) in record.fields.iter().enumerate() {
                let Some(problem) = field
                    .default
                    .as_ref()
                    .and_then(|default| defaults.problem(field.node, &default.json))
                else {
                    continue;
                };
                let at = format!("{}/default", schema.field_pointer(id, index));
                let (writer, reader) = if is_writer {
                    (at, String::new())
                } else {
                    (String::new(), at)
                };
                let message = format!(
                    "The default of the field {:?} does not fit its type, so the schema is refused: {problem}. Correct the default.",
                    field.name
                );
                self.report(
                    Rule::InvalidDefault,
                    Verdict::Incompatible,
                    writer,
                    reader,
                    message,
                );
            }
        }
    }

    /// An alias that makes one type of the reader stand for several of the writer leaves open which is meant.
    fn check_aliases(&mut self) {
        let writer = self.writer;
        let reader = self.reader;
        for id in reader.ids() {
            let Some(Naming { name, aliases, .. }) = reader[id].naming() else {
                continue;
            };
            if aliases.is_empty() {
                continue;
            }
            let mut meant: Vec<&str> = Vec::new();
            for other in writer.ids() {
                if let Some(written) = writer[other].name()
                    && (written == name || aliases.contains(written))
                    && writer[other].kind.name() == reader[id].kind.name()
                {
                    meant.push(written.full());
                }
            }
            if meant.len() > 1 {
                let message = format!(
                    "Through its aliases the reader's {:?} stands for several types of the writer ({}), and readers differ in which they take: leave one alias.",
                    name.full(),
                    meant.join(", ")
                );
                let pointer = format!("{}/aliases", reader.pointer(id));
                self.report(
                    Rule::TypeMatchedTwice,
                    Verdict::Unknown,
                    String::new(),
                    pointer,
                    message,
                );
            }
        }
    }

    /// Reports why the writer's schema does not resolve to the reader's, if it does not.
    fn resolve(&mut self, writer: Id, reader: Id) {
        if !self.seen.insert((writer, reader)) {
            return;
        }
        if self.depth > MOST_DEPTH {
            let message = "The schemas are nested too deeply to be judged here: flatten them, or keep the old schema.".to_owned();
            let (at_writer, at_reader) = self.pointers(writer, reader);
            self.report(
                Rule::TooComplex,
                Verdict::Unknown,
                at_writer,
                at_reader,
                message,
            );
            return;
        }
        self.depth += 1;
        self.resolve_shapes(writer, reader);
        self.depth -= 1;
    }

    fn pointers(&self, writer: Id, reader: Id) -> (String, String) {
        (
            self.writer.pointer(writer).to_owned(),
            self.reader.pointer(reader).to_owned(),
        )
    }

    fn refuse(&mut self, rule: Rule, writer: Id, reader: Id, keyword: &str, message: String) {
        let (mut at_writer, mut at_reader) = self.pointers(writer, reader);
        at_writer.push_str(keyword);
        at_reader.push_str(keyword);
        self.report(rule, Verdict::Incompatible, at_writer, at_reader, message);
    }

    fn resolve_shapes(&mut self, writer: Id, reader: Id) {
        let (from, to) = (&self.writer[writer], &self.reader[reader]);
        match (&from.kind, &to.kind) {
            // Each branch may be what was written.
            (Kind::Union(branches), _) => {
                for branch in branches {
                    self.resolve(*branch, reader);
                }
            }
            (_, Kind::Union(branches)) => self.resolve_into_union(writer, reader, branches),
            (Kind::Array(one), Kind::Array(other)) | (Kind::Map(one), Kind::Map(other)) => {
                self.resolve_logical(writer, reader);
                self.resolve(*one, *other);
            }
            (Kind::Fixed(one), Kind::Fixed(other)) => {
                self.resolve_names(writer, reader);
                self.resolve_logical(writer, reader);
                if one.size != other.size {
                    let message = format!(
                        "The writer writes {} bytes and the reader expects {}: keep the size, and give a new size a new name and field.",
                        one.size, other.size
                    );
                    self.refuse(Rule::FixedSizeMismatch, writer, reader, "/size", message);
                }
            }
            (Kind::Enum(written), Kind::Enum(known)) => {
                self.resolve_names(writer, reader);
                self.resolve_logical(writer, reader);
                if known.default.is_none() {
                    self.resolve_symbols(writer, reader, &written.symbols, &known.symbols);
                }
            }
            (Kind::Record(written), Kind::Record(read)) => {
                self.resolve_names(writer, reader);
                let fields = Fields::of(&written.fields, &read.fields);
                for index in 0..read.fields.len() {
                    self.resolve_field(writer, reader, (index, &read.fields[index]), &fields);
                }
            }
            (one, other) if promotes(one, other) => {
                self.resolve_logical(writer, reader);
                self.resolve_text(writer, reader);
            }
            _ => self.refuse_types(writer, reader),
        }
    }

    fn refuse_types(&mut self, writer: Id, reader: Id) {
        let message = format!(
            "The writer writes {} and the reader expects {}, which Avro does not convert: keep the type, or add a new field beside the old.",
            self.writer[writer].kind.name(),
            self.reader[reader].kind.name()
        );
        self.refuse(Rule::TypeMismatch, writer, reader, "", message);
    }

    fn resolve_text(&mut self, writer: Id, reader: Id) {
        let kinds = (&self.writer[writer].kind, &self.reader[reader].kind);
        if matches!(kinds, (Kind::Bytes, Kind::String)) {
            let (at_writer, at_reader) = self.pointers(writer, reader);
            let message = "The reader takes the writer's bytes for text, which fails on bytes that are not UTF-8: read bytes, unless all of them are known to be text.".to_owned();
            self.report(
                Rule::BytesReadAsString,
                Verdict::Unknown,
                at_writer,
                at_reader,
                message,
            );
        }
    }

    fn resolve_symbols(&mut self, writer: Id, reader: Id, written: &[String], known: &[String]) {
        let known: HashSet<&str> = known.iter().map(String::as_str).collect();
        let missing: Vec<&str> = written
            .iter()
            .filter(|symbol| !known.contains(symbol.as_str()))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "The reader does not know the symbols {}, and its enum has no default to take instead: add them, or give the reader's enum a default.",
                missing.join(", ")
            );
            self.refuse(
                Rule::MissingEnumSymbols,
                writer,
                reader,
                "/symbols",
                message,
            );
        }
    }

    fn resolve_logical(&mut self, writer: Id, reader: Id) {
        let from = Meaning::of(&self.writer[writer]);
        let to = Meaning::of(&self.reader[reader]);
        if from == to {
            return;
        }
        // Whether it does harm to ignore one that the specification does not know, only its owner knows.
        let verdict = if from.may_be_ignored() && to.may_be_ignored() {
            Verdict::Unknown
        } else {
            Verdict::Incompatible
        };
        let message = format!(
            "The writer's bytes mean {} and the reader takes them for {}: keep the logical type, or add a new field beside the old.",
            from.describe(),
            to.describe()
        );
        let (at_writer, at_reader) = self.pointers(writer, reader);
        self.report(
            Rule::LogicalTypeMismatch,
            verdict,
            at_writer,
            at_reader,
            message,
        );
    }

    fn resolve_names(&mut self, writer: Id, reader: Id) {
        let (from, to) = (&self.writer[writer], &self.reader[reader]);
        if names_match(from, to) {
            return;
        }
        let full = |node: &Node| {
            node.name()
                .map(|name| name.full().to_owned())
                .unwrap_or_default()
        };
        let (one, other) = (full(from), full(to));
        let message = format!(
            "The writer calls it {one:?} and the reader {other:?}: keep the name, or give the reader's type the alias {one:?}."
        );
        self.refuse(Rule::NameMismatch, writer, reader, "/name", message);
    }

    fn resolve_field(
        &mut self,
        writer: Id,
        reader: Id,
        (index, field): (usize, &'a Field),
        fields: &Fields<'a>,
    ) {
        let names = |fields: &mut dyn Iterator<Item = &Field>| {
            let names: Vec<String> = fields.map(|field| format!("{:?}", field.name)).collect();
            names.join(" and ")
        };
        let pointer = self.reader.field_pointer(reader, index);
        let sources = fields.sources(field);
        let (at_source, source) = match sources[..] {
            [source] => source,
            [] => {
                if field.default.is_none() {
                    let message = format!(
                        "The reader's field {:?} has no default, and the writer does not write it: give it a default (that of an enum does not count), or an alias if it was renamed.",
                        field.name
                    );
                    let at_writer = self.writer.pointer(writer).to_owned();
                    self.report(
                        Rule::ReaderFieldMissingDefaultValue,
                        Verdict::Incompatible,
                        at_writer,
                        pointer,
                        message,
                    );
                }
                return;
            }
            _ => {
                let message = format!(
                    "The reader's field {:?} matches the writer's {}, through its aliases: leave one alias, so that one field is meant.",
                    field.name,
                    names(&mut sources.iter().map(|(_, field)| *field))
                );
                let at_writer = self.writer.pointer(writer).to_owned();
                self.report(
                    Rule::FieldMatchedTwice,
                    Verdict::Incompatible,
                    at_writer,
                    pointer,
                    message,
                );
                return;
            }
        };
        let rivals = fields.rivals(source);
        if rivals.len() > 1 {
            let message = format!(
                "The writer's field {:?} matches the reader's {}, through aliases, and readers differ in which they take: leave one.",
                source.name,
                names(&mut rivals.iter().copied())
            );
            let at_reader = self.reader.pointer(reader).to_owned();
            self.report(
                Rule::FieldMatchedTwice,
                Verdict::Unknown,
                self.writer.field_pointer(writer, at_source),
                at_reader,
                message,
            );
        }
        self.resolve(source.node, field.node);
    }

    /// The reader takes the first branch that matches; some take one of the same name before it. Both must work.
    fn resolve_into_union(&mut self, writer: Id, reader: Id, branches: &[Id]) {
        let from = &self.writer[writer];
        let candidates: Vec<Id> = branches
            .iter()
            .copied()
            .filter(|branch| self.may_match(writer, *branch, &mut Vec::new()))
            .collect();
        let exact = candidates
            .iter()
            .copied()
            .find(|branch| is_exact(from, &self.reader[*branch]));
        let chosen: Vec<Id> = candidates
            .first()
            .copied()
            .into_iter()
            .chain(exact)
            .collect();
        if chosen.is_empty() {
            let wrote = match from.name() {
                Some(name) => format!("{} {:?}", from.kind.name(), name.full()),
                None => from.kind.name().to_owned(),
            };
            let message = format!(
                "The writer may write {wrote}, for which the reader's union has no branch: add it to the reader, or publish a new version."
            );
            self.refuse(Rule::MissingUnionBranch, writer, reader, "", message);
        }
        for branch in chosen {
            self.resolve(writer, branch);
        }
    }

    /// Whether the reader may take this branch: the types match, and of arrays and maps what they hold.
    fn may_match(&self, writer: Id, reader: Id, open: &mut Vec<(Id, Id)>) -> bool {
        let (from, to) = (&self.writer[writer], &self.reader[reader]);
        match (&from.kind, &to.kind) {
            (Kind::Array(one), Kind::Array(other)) | (Kind::Map(one), Kind::Map(other)) => {
                if open.contains(&(*one, *other)) || open.len() > MOST_DEPTH {
                    return true;
                }
                open.push((*one, *other));
                let matched = match (&self.writer[*one].kind, &self.reader[*other].kind) {
                    (Kind::Union(_), _) | (_, Kind::Union(_)) => true,
                    _ => self.may_match(*one, *other, open),
                };
                open.pop();
                matched
            }
            (Kind::Record(_), Kind::Record(_)) | (Kind::Enum(_), Kind::Enum(_)) => {
                names_match(from, to)
            }
            (Kind::Fixed(one), Kind::Fixed(other)) => {
                names_match(from, to) && one.size == other.size
            }
            (one, other) => promotes(one, other),
        }
    }
}

/// Whether Avro reads the one primitive type as the other.
fn promotes(writer: &Kind, reader: &Kind) -> bool {
    use Kind::{Boolean, Bytes, Double, Float, Int, Long, Null, String};
    matches!(
        (writer, reader),
        (Null, Null)
            | (Boolean, Boolean)
            | (Int, Int | Long | Float | Double)
            | (Long, Long | Float | Double)
            | (Float, Float | Double)
            | (Double, Double)
            | (Bytes | String, Bytes | String)
    )
}

/// Names match without their namespaces, or through an alias of the reader, with them.
fn names_match(writer: &Node, reader: &Node) -> bool {
    match (writer.name(), reader.naming()) {
        (Some(one), Some(other)) => {
            one.simple() == other.name.simple() || other.aliases.contains(one)
        }
        _ => false,
    }
}

/// Whether a reader that looks for the same type first takes it. It does not look at what it means.
fn is_exact(writer: &Node, reader: &Node) -> bool {
    match (writer.name(), reader.name()) {
        (Some(one), Some(other)) => one == other,
        _ => writer.kind.name() == reader.kind.name(),
    }
}
