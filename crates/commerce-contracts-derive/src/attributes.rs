//! Reads `#[event(name = …, version = …, topic = …, key = …)]`.

use proc_macro2::Span;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, DeriveInput, Expr, Lit, LitInt, LitStr, Meta, Token};

use crate::mistakes::Mistakes;
use crate::pattern;

const KNOWN: [&str; 4] = ["name", "version", "topic", "key"];

/// What the attribute says, as far as it could be read.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) topic: Option<LitStr>,
    pub(crate) key: Option<LitStr>,
}

/// Reads and checks the attributes; what is wrong goes to `mistakes`.
pub(crate) fn read(input: &DeriveInput, mistakes: &mut Mistakes) -> Attributes {
    let mut found = Attributes::default();
    let mut seen: Vec<String> = Vec::new();
    // A list that could not be parsed may hold what seems to be missing: one mistake is reported, not five.
    let mut complete = true;
    let mut place = None;
    for attribute in input
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("event"))
    {
        place.get_or_insert_with(|| {
            attribute
                .path()
                .get_ident()
                .map_or_else(Span::call_site, syn::Ident::span)
        });
        match list(attribute) {
            Ok(entries) => entries
                .iter()
                .for_each(|entry| found.entry(entry, &mut seen, mistakes)),
            Err(error) => {
                complete = false;
                mistakes.push(error);
            }
        }
    }
    let missing: Vec<&str> = KNOWN
        .into_iter()
        .filter(|known| !seen.iter().any(|name| name == known))
        .collect();
    if complete && !missing.is_empty() {
        mistakes.at(
            place.unwrap_or_else(|| input.ident.span()),
            missing_message(&missing),
        );
    }
    found
}

fn list(attribute: &Attribute) -> syn::Result<Punctuated<Meta, Token![,]>> {
    if !matches!(attribute.meta, Meta::List(_)) {
        return Err(syn::Error::new_spanned(
            attribute,
            format!("write it as a list: `{}`", whole_example()),
        ));
    }
    attribute.parse_args_with(Punctuated::parse_terminated)
}

impl Attributes {
    fn entry(&mut self, entry: &Meta, seen: &mut Vec<String>, mistakes: &mut Mistakes) {
        let name = entry.path().to_token_stream().to_string();
        if !KNOWN.contains(&name.as_str()) {
            mistakes.on(entry.path(), format!("`{name}` is not an attribute of an event: it takes `name`, `version`, `topic` and `key`"));
            return;
        }
        if seen.contains(&name) {
            mistakes.on(entry.path(), format!("`{name}` is given twice: keep one"));
            return;
        }
        seen.push(name.clone());
        let Meta::NameValue(pair) = entry else {
            mistakes.on(
                entry,
                format!("`{name}` needs a value: write `{}`", pair_example(&name)),
            );
            return;
        };
        match name.as_str() {
            "version" => self.version = version(&pair.value, mistakes),
            "name" => self.name = text(&name, &pair.value, pattern::check_name, mistakes),
            "topic" => self.topic = text(&name, &pair.value, pattern::check_topic, mistakes),
            _ => self.key = text(&name, &pair.value, |_| Ok(()), mistakes),
        }
    }
}

fn text(
    name: &str,
    value: &Expr,
    check: fn(&str) -> Result<(), String>,
    mistakes: &mut Mistakes,
) -> Option<LitStr> {
    let Some(Lit::Str(text)) = literal(value) else {
        mistakes.on(
            value,
            format!(
                "`{name}` is a text in quotes: write `{}`",
                pair_example(name)
            ),
        );
        return None;
    };
    if let Err(message) = check(&text.value()) {
        mistakes.on(text, message);
    }
    Some(text.clone())
}

fn version(value: &Expr, mistakes: &mut Mistakes) -> Option<LitInt> {
    const RULE: &str = "`version` is a whole number from 1 to 4294967295 without quotes or suffix: write `version = 1` for the first version";
    let number = match literal(value) {
        Some(Lit::Int(number)) if number.suffix().is_empty() => number,
        _ => {
            mistakes.on(value, RULE);
            return None;
        }
    };
    if !number
        .base10_parse::<u32>()
        .is_ok_and(|version| version >= 1)
    {
        mistakes.on(value, RULE);
    }
    Some(number.clone())
}

/// The literal of an expression, also when a macro wrapped it in an invisible group.
fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(literal) => Some(&literal.lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

fn missing_message(missing: &[&str]) -> String {
    if missing.len() == KNOWN.len() {
        return format!("an event needs its contract: write `{}`", whole_example());
    }
    let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    let pairs: Vec<String> = missing.iter().map(|name| pair_example(name)).collect();
    let verb = if missing.len() == 1 { "is" } else { "are" };
    format!(
        "{} {verb} missing: add `{}`",
        names.join(", "),
        pairs.join(", ")
    )
}

fn pair_example(name: &str) -> String {
    match name {
        "version" => "version = 1".to_owned(),
        _ => format!("{name} = \"{}\"", pattern::example(name)),
    }
}

fn whole_example() -> String {
    format!("#[event({})]", KNOWN.map(pair_example).join(", "))
}
