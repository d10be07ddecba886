//! Reads a document of draft-07 or 2020-12 into [`Schemas`].

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::format::LATER;
use super::number::Decimal;
use super::pattern::Pattern;
use super::schema::{
    Bound, Condition, Contains, Id, Node, Schemas, Side, step, tighter_maximum, tighter_minimum,
};
use super::types::Types;
use crate::compatibility::Rule;
use crate::compatibility::report::{Difference, Verdict};

/// Deeper nesting than this is not judged.
const MOST_DEPTH: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Draft07,
    Draft2020,
}

impl Schemas {
    /// Adds a document; the answer is its root.
    pub(super) fn add(&mut self, document: &Value, side: Side) -> Result<Id, Box<Difference>> {
        let refuse = |rule, verdict, pointer: String, reason: &str| {
            let (who, writer, reader) = match side {
                Side::Reader => ("reader", String::new(), pointer),
                _ => ("writer", pointer, String::new()),
            };
            Box::new(Difference {
                rule,
                verdict,
                writer,
                reader,
                message: format!("The {who}'s schema cannot be judged: {reason}."),
                counterexample: None,
            })
        };
        let dialect = match document
            .get("$schema")
            .map(|uri| uri.as_str().unwrap_or_default())
        {
            None => Dialect::Draft2020,
            Some(uri) => match uri
                .trim_end_matches('#')
                .trim_start_matches("https://")
                .trim_start_matches("http://")
            {
                "json-schema.org/draft-07/schema" => Dialect::Draft07,
                "json-schema.org/draft/2020-12/schema" => Dialect::Draft2020,
                _ => {
                    let reason =
                        "its $schema is neither draft-07 nor 2020-12; convert it to one of them";
                    return Err(refuse(
                        Rule::KeywordNotDecided,
                        Verdict::Unknown,
                        "/$schema".into(),
                        reason,
                    ));
                }
            },
        };
        let mut parser = Parser {
            schemas: self,
            document,
            side,
            dialect,
            known: HashMap::new(),
            references: Vec::new(),
        };
        match parser.document() {
            Ok(root) => Ok(root),
            Err(Refusal::Invalid { pointer, reason }) => Err(refuse(
                Rule::InvalidSchema,
                Verdict::Incompatible,
                pointer,
                &reason,
            )),
            Err(Refusal::TooDeep(pointer)) => Err(refuse(
                Rule::TooComplex,
                Verdict::Unknown,
                pointer,
                "it is nested too deeply",
            )),
        }
    }
}

enum Refusal {
    Invalid { pointer: String, reason: String },
    TooDeep(String),
}

type Parsed<T> = Result<T, Refusal>;

struct Parser<'a> {
    schemas: &'a mut Schemas,
    document: &'a Value,
    side: Side,
    dialect: Dialect,
    known: HashMap<String, Id>,
    references: Vec<(Id, String)>,
}

fn invalid<T>(pointer: &str, keyword: &str, expected: &str) -> Parsed<T> {
    Err(Refusal::Invalid {
        pointer: step(pointer, keyword),
        reason: format!("{keyword} must be {expected}"),
    })
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Parsed<Id> {
        let root = self.schema(self.document, String::new(), 0, false)?;
        while let Some((from, reference)) = self.references.pop() {
            match self.target(&reference) {
                Some((value, pointer)) => {
                    let target = match self.known.get(&pointer) {
                        Some(known) => *known,
                        None => self.schema(value, pointer, 0, false)?,
                    };
                    self.schemas.nodes[from].reference = Some(target);
                }
                None => self.schemas.nodes[from].unresolved = Some(reference),
            }
        }
        Ok(root)
    }

    /// What a reference inside the document means: the value, and its pointer.
    fn target(&self, reference: &str) -> Option<(&'a Value, String)> {
        let own = self
            .document
            .get("$id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim_end_matches('#');
        let fragment = reference.strip_prefix('#').or_else(|| {
            (!own.is_empty())
                .then(|| reference.strip_prefix(own))??
                .strip_prefix('#')
        })?;
        let fragment = percent_decoded(fragment)?;
        if fragment.is_empty() {
            return Some((self.document, String::new()));
        }
        let mut value = self.document;
        let mut pointer = String::new();
        for token in fragment.strip_prefix('/')?.split('/') {
            let token = token.replace("~1", "/").replace("~0", "~");
            value = match value {
                Value::Object(map) => map.get(&token)?,
                Value::Array(items) => items.get(token.parse::<usize>().ok()?)?,
                _ => return None,
            };
            pointer = step(&pointer, &token);
            // Another resource is embedded here: its own references have another base.
            if value.get("$id").is_some_and(Value::is_string) {
                return None;
            }
        }
        Some((value, pointer))
    }

    fn schema(
        &mut self,
        value: &'a Value,
        pointer: String,
        depth: usize,
        embedded: bool,
    ) -> Parsed<Id> {
        if depth > MOST_DEPTH {
            return Err(Refusal::TooDeep(pointer));
        }
        let id = self.schemas.nodes.len();
        self.known.insert(pointer.clone(), id);
        self.schemas
            .nodes
            .push(Node::new(self.side, pointer.clone()));
        match value {
            Value::Bool(accepts) => {
                self.schemas.nodes[id].nothing = !accepts;
                Ok(id)
            }
            Value::Object(keywords) => {
                let mut node = Node::new(self.side, pointer.clone());
                let embedded = embedded
                    || (!pointer.is_empty() && keywords.get("$id").is_some_and(Value::is_string));
                self.keywords(&mut node, id, keywords, depth, embedded)?;
                self.schemas.nodes[id] = node;
                Ok(id)
            }
            _ => Err(Refusal::Invalid {
                pointer,
                reason: "a schema is an object or a boolean".into(),
            }),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each keyword")]
    fn keywords(
        &mut self,
        node: &mut Node,
        id: Id,
        keywords: &'a Map<String, Value>,
        depth: usize,
        embedded: bool,
    ) -> Parsed<()> {
        let draft07 = self.dialect == Dialect::Draft07;
        let here = node.pointer.clone();
        if !here.is_empty() && keywords.contains_key("$schema") {
            node.opaque.push(("$schema", Value::Null));
        }
        if let Some(reference) = keywords.get("$ref") {
            let Some(reference) = reference.as_str() else {
                return invalid(&here, "$ref", "a string");
            };
            if embedded {
                node.unresolved = Some(reference.to_owned());
            } else {
                self.references.push((id, reference.to_owned()));
            }
            // In draft-07 its siblings mean nothing.
            if draft07 {
                return Ok(());
            }
        }
        for (keyword, value) in keywords {
            let key = keyword.as_str();
            let sub = |parser: &mut Self, value: &'a Value| {
                parser.schema(value, step(&here, key), depth + 1, embedded)
            };
            match key {
                "type" => match Types::parse(value) {
                    Some(types) => node.types = types,
                    None => return invalid(&here, key, "the name of a type or a list of them"),
                },
                "enum" | "const" => {
                    let values = match (key, value) {
                        ("const", value) => vec![value.clone()],
                        (_, Value::Array(values)) => values.clone(),
                        _ => return invalid(&here, key, "a list"),
                    };
                    node.values = Some(match node.values.take() {
                        None => values.into_iter().collect(),
                        Some(both) => values
                            .into_iter()
                            .filter(|one| both.contains(one))
                            .collect(),
                    });
                }
                "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" => {
                    let bound = match value {
                        Value::Number(number) => Decimal::of(number).map(|value| Bound {
                            value,
                            exclusive: key.starts_with("exclusive"),
                        }),
                        // The form of draft-04, which lives on in many schemas.
                        Value::Bool(exclusive) if key.starts_with("exclusive") => {
                            let inclusive = if key == "exclusiveMinimum" {
                                "minimum"
                            } else {
                                "maximum"
                            };
                            match keywords
                                .get(inclusive)
                                .and_then(Value::as_number)
                                .and_then(Decimal::of)
                            {
                                Some(value) => Some(Bound {
                                    value,
                                    exclusive: *exclusive,
                                }),
                                None => continue,
                            }
                        }
                        _ => None,
                    };
                    let Some(bound) = bound else {
                        return invalid(&here, key, "a number");
                    };
                    if key == "minimum" || key == "exclusiveMinimum" {
                        node.minimum = Some(
                            node.minimum
                                .map_or(bound, |other| tighter_minimum(bound, other)),
                        );
                    } else {
                        node.maximum = Some(
                            node.maximum
                                .map_or(bound, |other| tighter_maximum(bound, other)),
                        );
                    }
                }
                "multipleOf" => match value.as_number().and_then(Decimal::of) {
                    Some(step) if step.is_positive() => node.multiple_of = Some(step),
                    _ => return invalid(&here, key, "a number above zero"),
                },
                "minLength" => node.min_length = Some(count(&here, key, value)?),
                "maxLength" => node.max_length = Some(count(&here, key, value)?),
                "minItems" => node.min_items = Some(count(&here, key, value)?),
                "maxItems" => node.max_items = Some(count(&here, key, value)?),
                "minProperties" => node.min_properties = Some(count(&here, key, value)?),
                "maxProperties" => node.max_properties = Some(count(&here, key, value)?),
                "pattern" => match value.as_str() {
                    Some(text) => node.pattern = Some(Pattern::new(text)),
                    None => return invalid(&here, key, "a string"),
                },
                "format" => match value.as_str() {
                    // Formats that came later: some validators of the draft know them, some do not.
                    Some(later @ ("uuid" | "duration")) if draft07 => {
                        node.format = Some(format!("{later}{LATER}"));
                    }
                    Some(text) => node.format = Some(text.to_owned()),
                    None => return invalid(&here, key, "a string"),
                },
                "uniqueItems" => match value.as_bool() {
                    Some(unique) => node.unique_items = unique,
                    None => return invalid(&here, key, "a boolean"),
                },
                "items" if draft07 && value.is_array() => {
                    node.prefix = self.list(&here, key, value, depth, embedded)?;
                }
                "items" if draft07 || !value.is_array() => node.items = Some(sub(self, value)?),
                "items" => {
                    return invalid(
                        &here,
                        key,
                        "a schema; a list is called prefixItems since 2020-12",
                    );
                }
                "prefixItems" if !draft07 => {
                    node.prefix = self.list(&here, key, value, depth, embedded)?;
                }
                // Without a tuple in `items` it means nothing.
                "additionalItems"
                    if draft07 && keywords.get("items").is_some_and(Value::is_array) =>
                {
                    node.items = Some(sub(self, value)?);
                }
                "additionalItems" if draft07 => {}
                "contains" => {
                    let limit = |keyword: &str| match keywords.get(keyword) {
                        Some(value) if !draft07 => count(&here, keyword, value).map(Some),
                        _ => Ok(None),
                    };
                    node.contains = Some(Contains {
                        schema: sub(self, value)?,
                        least: limit("minContains")?.unwrap_or(1),
                        most: limit("maxContains")?,
                    });
                }
                "properties" => {
                    for (name, id) in self.map(&here, key, value, depth, embedded)? {
                        node.properties.insert(name, id);
                    }
                }
                "patternProperties" => {
                    let patterns = self.map(&here, key, value, depth, embedded)?;
                    node.patterns = patterns
                        .into_iter()
                        .map(|(text, id)| (Pattern::new(&text), id))
                        .collect();
                }
                "additionalProperties" => node.additional = Some(sub(self, value)?),
                "propertyNames" => node.names = Some(sub(self, value)?),
                "unevaluatedProperties" if !draft07 => {
                    node.unevaluated_properties = Some(sub(self, value)?);
                }
                "unevaluatedItems" if !draft07 => node.unevaluated_items = Some(sub(self, value)?),
                "required" => node.required = strings(&here, key, value)?,
                "dependentRequired" if !draft07 => {
                    let Some(map) = value.as_object() else {
                        return invalid(&here, key, "an object");
                    };
                    for (name, value) in map {
                        node.dependent_required
                            .push((name.clone(), strings(&step(&here, key), name, value)?));
                    }
                }
                "dependentSchemas" if !draft07 => {
                    node.dependent_schemas = self.map(&here, key, value, depth, embedded)?;
                }
                "dependencies" if draft07 => {
                    node.dependent_keyword = "dependencies";
                    let Some(map) = value.as_object() else {
                        return invalid(&here, key, "an object");
                    };
                    for (name, value) in map {
                        let at = step(&here, key);
                        if value.is_array() {
                            node.dependent_required
                                .push((name.clone(), strings(&at, name, value)?));
                        } else {
                            let schema =
                                self.schema(value, step(&at, name), depth + 1, embedded)?;
                            node.dependent_schemas.push((name.clone(), schema));
                        }
                    }
                }
                "allOf" => node.all_of = self.list(&here, key, value, depth, embedded)?,
                "anyOf" => node.any_of = Some(self.list(&here, key, value, depth, embedded)?),
                "oneOf" => node.one_of = Some(self.list(&here, key, value, depth, embedded)?),
                "not" => node.not = Some(sub(self, value)?),
                "if" => {
                    let test = sub(self, value)?;
                    let mut branch = |keyword: &str| match keywords.get(keyword) {
                        Some(value) => self
                            .schema(value, step(&here, keyword), depth + 1, embedded)
                            .map(Some),
                        None => Ok(None),
                    };
                    node.condition = Some(Condition {
                        test,
                        then: branch("then")?,
                        otherwise: branch("else")?,
                    });
                }
                "contentEncoding" => node.opaque.push(("contentEncoding", value.clone())),
                "contentMediaType" => node.opaque.push(("contentMediaType", value.clone())),
                "$dynamicRef" => node.opaque.push(("$dynamicRef", Value::Null)),
                "$recursiveRef" => node.opaque.push(("$recursiveRef", Value::Null)),
                // Words of the other dialect: some validators obey them, some do not.
                "additionalItems" => node.opaque.push(("additionalItems", Value::Null)),
                "dependencies" => node.opaque.push(("dependencies", Value::Null)),
                "prefixItems" => node.opaque.push(("prefixItems", Value::Null)),
                "dependentRequired" => node.opaque.push(("dependentRequired", Value::Null)),
                "dependentSchemas" => node.opaque.push(("dependentSchemas", Value::Null)),
                "unevaluatedProperties" => node.opaque.push(("unevaluatedProperties", Value::Null)),
                "unevaluatedItems" => node.opaque.push(("unevaluatedItems", Value::Null)),
                "minContains" | "maxContains" if draft07 => {
                    node.opaque.push(("minContains", Value::Null));
                }
                // Annotations, and places for definitions.
                _ => {}
            }
        }
        Ok(())
    }

    fn list(
        &mut self,
        here: &str,
        keyword: &str,
        value: &'a Value,
        depth: usize,
        embedded: bool,
    ) -> Parsed<Vec<Id>> {
        let Some(values) = value.as_array() else {
            return invalid(here, keyword, "a list of schemas");
        };
        let at = step(here, keyword);
        let mut ids = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let mut pointer = at.clone();
            let _ = write!(pointer, "/{index}");
            ids.push(self.schema(value, pointer, depth + 1, embedded)?);
        }
        Ok(ids)
    }

    fn map(
        &mut self,
        here: &str,
        keyword: &str,
        value: &'a Value,
        depth: usize,
        embedded: bool,
    ) -> Parsed<Vec<(String, Id)>> {
        let Some(values) = value.as_object() else {
            return invalid(here, keyword, "an object of schemas");
        };
        let at = step(here, keyword);
        let mut ids = Vec::with_capacity(values.len());
        for (name, value) in values {
            ids.push((
                name.clone(),
                self.schema(value, step(&at, name), depth + 1, embedded)?,
            ));
        }
        Ok(ids)
    }
}

fn strings(here: &str, keyword: &str, value: &Value) -> Parsed<Vec<String>> {
    let strings = value.as_array().and_then(|items| {
        items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect()
    });
    match strings {
        Some(strings) => Ok(strings),
        None => invalid(here, keyword, "a list of strings"),
    }
}

fn count(here: &str, keyword: &str, value: &Value) -> Parsed<u64> {
    let count = value
        .as_number()
        .and_then(Decimal::of)
        .filter(|number| number.is_integer())
        .and_then(Decimal::floor)
        .and_then(|number| u64::try_from(number).ok());
    match count {
        Some(count) => Ok(count),
        None => invalid(here, keyword, "a count"),
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
