//! Checks the path of the ordering key against the fields, as far as one struct shows them.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Field, Fields, GenericArgument, Ident, LitStr, PathArguments, Type};

use crate::mistakes::Mistakes;
use crate::personal;

/// The identifiers of the key path `a.b.c`, when the path can be one.
pub(crate) fn path(key: &LitStr, fields: &Fields, mistakes: &mut Mistakes) -> Option<Vec<Ident>> {
    let text = key.value();
    let mut path = Vec::new();
    if text.is_empty() {
        mistakes.on(
            key,
            format!(
                "the key is empty: name the field that orders these events; {}",
                choice(fields)
            ),
        );
        return None;
    }
    for segment in text.split('.') {
        let Ok(mut ident) = syn::parse_str::<Ident>(segment)
            .or_else(|_| syn::parse_str::<Ident>(&format!("r#{segment}")))
        else {
            mistakes.on(
                key,
                format!("`{segment}` cannot be a field: write the key as a field or a path of fields, `order_id` or `customer.id`"),
            );
            return None;
        };
        ident.set_span(key.span());
        path.push(ident);
    }
    let first = path.first()?;
    let Some(field) = fields
        .iter()
        .find(|field| field.ident.as_ref().is_some_and(|ident| same(ident, first)))
    else {
        mistakes.on(
            key,
            format!(
                "there is no field `{}`: {}",
                text.split('.').next().unwrap_or(&text),
                choice(fields)
            ),
        );
        return None;
    };
    if personal::mark(field, &mut Mistakes::default()).is_some() {
        mistakes.on(
            key,
            format!("`{first}` is personal, and the ordering key is shown in headers and logs: take an identifier"),
        );
        return None;
    }
    let refusal = if path.len() == 1 {
        cannot_order(&field.ty)
    } else {
        has_no_fields(&field.ty)
    };
    if let Some(remedy) = refusal {
        mistakes.on(key, format!("`{text}` cannot be an ordering key: {remedy}"));
        return None;
    }
    Some(path)
}

/// What the types behind the path say of themselves while the caller's crate compiles: the macro sees one struct.
pub(crate) fn check(event: &Ident, key: &LitStr, path: &[Ident]) -> TokenStream {
    let text = key.value();
    let span = Span::call_site().located_at(key.span());
    let names = path.iter().map(unraw);
    let personal = format!(
        "`{text}` is personal, and the ordering key is shown in headers and logs: take an identifier"
    );
    let left_out = format!(
        "`{text}` is skipped by serde, so it is not in the data: take a field that is written"
    );
    let [optional, list, float] = [OPTIONAL, LIST, FLOAT]
        .map(|remedy| format!("`{text}` cannot be an ordering key: {remedy}"));
    quote_spanned! { span=>
        const _: () = match ::commerce_contracts::avro::unfit_key(
            <#event as ::commerce_contracts::avro::AvroSchema>::FIELDS,
            &[#(#names),*],
        ) {
            ::core::option::Option::None => {}
            ::core::option::Option::Some(::commerce_contracts::avro::Unfit::Personal) => ::core::panic!(#personal),
            ::core::option::Option::Some(::commerce_contracts::avro::Unfit::LeftOut) => ::core::panic!(#left_out),
            ::core::option::Option::Some(::commerce_contracts::avro::Unfit::Optional) => ::core::panic!(#optional),
            ::core::option::Option::Some(::commerce_contracts::avro::Unfit::Many) => ::core::panic!(#list),
            ::core::option::Option::Some(::commerce_contracts::avro::Unfit::Float) => ::core::panic!(#float),
        };
    }
}

/// The text of the key of `self`. Its span is the key's, so that a field without `Display` is reported there.
pub(crate) fn expression(key: &LitStr, path: &[Ident]) -> TokenStream {
    // Where the attribute came out of a `macro_rules!`, its own `self` would be another one.
    let span = Span::call_site().located_at(key.span());
    quote_spanned!(span=> ::commerce_contracts::OrderingKey::ordering_key(&self #(.#path)*))
}

/// Compares without `r#`, which is spelling and not part of the name.
fn same(a: &Ident, b: &Ident) -> bool {
    unraw(a) == unraw(b)
}

fn unraw(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

fn choice(fields: &Fields) -> String {
    let usable: Vec<String> = fields
        .iter()
        .filter(|field| cannot_order(&field.ty).is_none())
        .filter_map(|field: &Field| {
            field
                .ident
                .as_ref()
                .map(|ident| format!("`{}`", unraw(ident)))
        })
        .collect();
    if usable.is_empty() {
        return "add the field that orders these events, such as `order_id`".to_owned();
    }
    format!("this struct has {}", usable.join(", "))
}

const LIST: &str = "it holds many values; take a field that holds one";
const OPTIONAL: &str =
    "it can be absent, and then the event would have no order; take a field that is always there";
const FLOAT: &str = "a floating point number has several texts for one value; take a text, a whole number or an identifier";

/// Why a path cannot go on into a field of this type.
fn has_no_fields(ty: &Type) -> Option<&'static str> {
    const PLAIN: &str = "it goes on into a plain value, which has no fields; end the path at the field that holds it";
    let Type::Path(path) = ty else {
        return cannot_order(ty);
    };
    let last = path.path.segments.last()?;
    match last.ident.to_string().as_str() {
        "String" | "bool" | "char" | "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32"
        | "i64" | "f32" | "f64" | "Uuid" => Some(PLAIN),
        "Box" | "Arc" | "Rc" => boxed(&last.arguments).and_then(has_no_fields),
        _ => cannot_order(ty),
    }
}

/// Why a field of this type cannot order events. Types whose names say nothing are left to the compiler.
fn cannot_order(ty: &Type) -> Option<&'static str> {
    let Type::Path(path) = ty else {
        return match ty {
            Type::Array(_) | Type::Slice(_) | Type::Tuple(_) => Some(LIST),
            _ => None,
        };
    };
    let last = path.path.segments.last()?;
    match last.ident.to_string().as_str() {
        "Option" => Some(OPTIONAL),
        "Vec" | "VecDeque" | "HashMap" | "BTreeMap" | "HashSet" | "BTreeSet" => Some(LIST),
        "f32" | "f64" if matches!(last.arguments, PathArguments::None) => Some(FLOAT),
        "Box" | "Arc" | "Rc" => boxed(&last.arguments).and_then(cannot_order),
        _ => None,
    }
}

fn boxed(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}
