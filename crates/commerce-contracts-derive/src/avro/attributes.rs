//! Reads serde's attributes, as far as they say what is written, and `#[avro(…)]`.

use quote::ToTokens;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, Token, Type};

use super::case::Case;
use super::logical::Logical;
use crate::mistakes::Mistakes;

/// What is said about a type.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) rename: Option<LitStr>,
    pub(crate) rename_all: Option<Case>,
    /// The type that it is written and read as.
    pub(crate) as_type: Option<Type>,
    /// It is written as its one field is.
    pub(crate) transparent: bool,
    /// The logical type that a newtype asks for.
    pub(crate) logical: Option<Logical>,
    pub(crate) namespace: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) doc: String,
}

/// What is said about a field or a variant.
#[derive(Default)]
pub(crate) struct Member {
    pub(crate) rename: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) default: Option<Missing>,
    pub(crate) left_out: bool,
    pub(crate) may_be_left_out: bool,
    pub(crate) other: bool,
    pub(crate) doc: String,
}

/// Where a missing field's value comes from.
pub(crate) enum Missing {
    Type,
    Function(syn::ExprPath),
}

pub(crate) fn container(attributes: &[Attribute], mistakes: &mut Mistakes) -> Container {
    let mut found = Container {
        doc: doc(attributes),
        ..Container::default()
    };
    let mut written: Option<Type> = None;
    let mut read: Option<Type> = None;
    each(attributes, "serde", mistakes, |meta| {
        match name(&meta).as_str() {
            "rename" => found.rename = Some(one_name(&meta)?),
            "rename_all" => found.rename_all = Some(case(&meta)?),
            "into" => written = Some(text(&meta)?.parse()?),
            "from" | "try_from" => read = Some(text(&meta)?.parse()?),
            "transparent" => found.transparent = true,
            "deny_unknown_fields" => {}
            "crate" | "bound" | "expecting" | "remote" => pass(&meta)?,
            "default" => return Err(meta.error(
                "a record of Avro has no default as a whole: put `#[serde(default)]` on its fields",
            )),
            "tag" | "content" | "untagged" => {
                return Err(meta.error(
                    "Avro tells the branches of a choice by their place and not by a tag: declare a struct whose fields are optional, \
                     or an enum of unit variants beside the data",
                ));
            }
            other => return Err(meta.error(unknown(other))),
        }
        Ok(())
    });
    each(attributes, "avro", mistakes, |meta| {
        match name(&meta).as_str() {
            "namespace" => found.namespace = Some(text(&meta)?),
            "alias" => found.aliases.push(text(&meta)?),
            other => match Logical::read(other, &meta)? {
                Some(_) if found.logical.is_some() => {
                    return Err(meta.error("a type has one logical type: leave the others out"));
                }
                Some(logical) => found.logical = Some(logical),
                None => {
                    return Err(meta.error(
                        "a type takes `#[avro(namespace = \"…\")]` and `#[avro(alias = \"…\")]`; a newtype takes a logical type, such as \
                         `#[avro(decimal(precision = 12, scale = 2))]` or `#[avro(timestamp_millis)]`",
                    ));
                }
            },
        }
        Ok(())
    });
    let named = found.namespace.iter().chain(&found.aliases).next();
    if let (Some(named), Some(_)) = (named, &found.logical) {
        mistakes.on(
            named,
            "a logical type stands on a type without a name: leave the namespace and the aliases out",
        );
    }
    match (&written, &read) {
        (Some(written), Some(read)) if text_of(written) != text_of(read) => mistakes.on(
            read,
            "it is written as one type and read as another, and a schema is of one: let `into` and `from` name the same",
        ),
        (Some(one), None) | (None, Some(one)) => mistakes.on(
            one,
            "a schema is of what is written and of what is read: give both, `into` and `from` or `try_from`",
        ),
        _ => found.as_type = written,
    }
    found
}

pub(crate) fn member(attributes: &[Attribute], mistakes: &mut Mistakes) -> Member {
    let mut found = Member {
        doc: doc(attributes),
        ..Member::default()
    };
    each(attributes, "serde", mistakes, |meta| {
        match name(&meta).as_str() {
            "rename" => found.rename = Some(one_name(&meta)?),
            "alias" => found.aliases.push(text(&meta)?),
            "default" if meta.input.peek(Token![=]) => {
                found.default = Some(Missing::Function(text(&meta)?.parse()?));
            }
            "default" => found.default = Some(Missing::Type),
            "skip" => found.left_out = true,
            "skip_serializing_if" => {
                text(&meta)?;
                found.may_be_left_out = true;
            }
            "other" => found.other = true,
            "borrow" | "bound" => pass(&meta)?,
            "flatten" => return Err(meta.error("Avro has no flattened fields: make it a field with a name, or copy its fields here")),
            "with" | "serialize_with" | "deserialize_with" => {
                return Err(meta.error(
                    "a function decides what is written, and no schema can be read from it: make the field a newtype that writes itself \
                     so, and implement `AvroSchema` for it",
                ));
            }
            "skip_serializing" | "skip_deserializing" => {
                return Err(meta.error("what is written and what is read would be two schemas: use `skip` for both"));
            }
            other => return Err(meta.error(unknown(other))),
        }
        Ok(())
    });
    each(attributes, "avro", mistakes, |meta| {
        Err(meta.error("a field takes no `#[avro]` attribute: `#[serde(rename = \"…\")]` and `#[serde(alias = \"…\")]` name it in both schemas"))
    });
    found
}

/// Types are compared as they are written: to compare them as types, `syn` would be built with far more.
fn text_of(ty: &Type) -> String {
    ty.to_token_stream().to_string()
}

fn unknown(attribute: &str) -> String {
    format!(
        "`{attribute}` changes what is written in a way that no Avro schema can follow: leave it out"
    )
}

fn each(
    attributes: &[Attribute],
    of: &str,
    mistakes: &mut Mistakes,
    mut read: impl FnMut(ParseNestedMeta<'_>) -> syn::Result<()>,
) {
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident(of))
    {
        if let Err(error) = attribute.parse_nested_meta(&mut read) {
            mistakes.push(error);
        }
    }
}

fn name(meta: &ParseNestedMeta<'_>) -> String {
    meta.path
        .get_ident()
        .map_or_else(String::new, ToString::to_string)
}

fn text(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    meta.value()?.parse()
}

fn pass(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    }
    Ok(())
}

/// One name for both directions.
fn one_name(meta: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    if meta.input.peek(syn::token::Paren) {
        return Err(
            meta.error("what is written and what is read would be two schemas: give one name")
        );
    }
    text(meta)
}

fn case(meta: &ParseNestedMeta<'_>) -> syn::Result<Case> {
    let text = one_name(meta)?;
    Case::parse(&text.value()).ok_or_else(|| {
        syn::Error::new(
            text.span(),
            "a name of Avro has letters, digits and underscores: use `snake_case` or another case without hyphens",
        )
    })
}

/// The documentation, without the space that begins each line.
fn doc(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    lines.join("\n").trim().to_owned()
}
