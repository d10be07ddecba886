//! Reads `#[event(name = …, version = …, topic = …, key = …)]` and what may stand beside these.

use proc_macro2::Span;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, DeriveInput, Expr, Lit, LitInt, LitStr, Meta, Path, Token};

use crate::deprecated::Deprecated;
use crate::mistakes::Mistakes;
use crate::pattern;

/// What every event says.
const REQUIRED: [&str; 4] = ["name", "version", "topic", "key"];
/// What some say.
const OPTIONAL: [&str; 2] = ["upcasts", "deprecated"];

/// What the attribute says, as far as it could be read.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) topic: Option<LitStr>,
    pub(crate) key: Option<LitStr>,
    /// The type of the version before.
    pub(crate) upcasts: Option<Path>,
    pub(crate) deprecated: Option<Deprecated>,
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
    found.refuse_upcasts_to_the_first(mistakes);
    found.refuse_replacement_by_itself(mistakes);
    let missing: Vec<&str> = REQUIRED
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
    fn refuse_upcasts_to_the_first(&self, mistakes: &mut Mistakes) {
        let first = self
            .version
            .as_ref()
            .is_some_and(|version| version.base10_digits() == "1");
        if let (true, Some(older)) = (first, &self.upcasts) {
            mistakes.on(
                older,
                "version 1 is the first, so there is no version before it to upcast from: leave `upcasts` out, or write `version = 2`",
            );
        }
    }

    fn refuse_replacement_by_itself(&self, mistakes: &mut Mistakes) {
        if let (Some(name), Some(version), Some(deprecated)) =
            (&self.name, &self.version, &self.deprecated)
            && let Some(replacement) = &deprecated.replacement
            && replacement.value() == format!("{}.v{}", name.value(), version.base10_digits())
        {
            mistakes.on(
                replacement,
                "the event cannot be its own replacement: name the type that is published in its place, or leave `replacement` out",
            );
        }
    }

    fn entry(&mut self, entry: &Meta, seen: &mut Vec<String>, mistakes: &mut Mistakes) {
        let name = entry.path().to_token_stream().to_string();
        if !REQUIRED.contains(&name.as_str()) && !OPTIONAL.contains(&name.as_str()) {
            mistakes.on(
                entry.path(),
                format!(
                    "`{name}` is not an attribute of an event: it takes `name`, `version`, `topic` and `key`, and where they apply \
                     `upcasts` and `deprecated`"
                ),
            );
            return;
        }
        if seen.contains(&name) {
            mistakes.on(entry.path(), format!("`{name}` is given twice: keep one"));
            return;
        }
        seen.push(name.clone());
        if name == "deprecated" {
            self.deprecated = Deprecated::read(entry, mistakes);
            return;
        }
        let Meta::NameValue(pair) = entry else {
            mistakes.on(
                entry,
                format!("`{name}` needs a value: write `{}`", pair_example(&name)),
            );
            return;
        };
        match name.as_str() {
            "version" => self.version = version(&pair.value, mistakes),
            "upcasts" => self.upcasts = type_path(&pair.value, mistakes),
            "name" => self.name = text(&name, &pair.value, pattern::check_name, mistakes),
            "topic" => self.topic = text(&name, &pair.value, pattern::check_topic, mistakes),
            _ => self.key = text(&name, &pair.value, |_| Ok(()), mistakes),
        }
    }
}

/// The type that `upcasts` names, which a struct without parameters can only name by its path.
fn type_path(value: &Expr, mistakes: &mut Mistakes) -> Option<Path> {
    match value {
        Expr::Path(path) if path.qself.is_none() => Some(path.path.clone()),
        Expr::Group(group) => type_path(&group.expr, mistakes),
        _ => {
            mistakes.on(
                value,
                "`upcasts` is the type of the version before, without quotes: write `upcasts = OrderPlacedV1`",
            );
            None
        }
    }
}

pub(crate) fn text(
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
    if missing.len() == REQUIRED.len() {
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
        "upcasts" => "upcasts = OrderPlacedV1".to_owned(),
        _ => format!("{name} = \"{}\"", pattern::example(name)),
    }
}

fn whole_example() -> String {
    format!("#[event({})]", REQUIRED.map(pair_example).join(", "))
}
