//! The implementation that the macro writes.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Data, DataEnum, DeriveInput, Field, Fields, Ident, LitStr};

use super::attributes::{self, Container, Member, Missing};
use crate::mistakes::Mistakes;
use crate::personal;

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut mistakes = Mistakes::default();
    if !input.generics.params.is_empty() {
        mistakes.on(
            &input.generics,
            "a generic type has one schema for each of its parameters, and a schema has one name: write the types out, owned",
        );
    }
    let container = attributes::container(&input.attrs, &mut mistakes);
    let body = body(input, &container, &mut mistakes);
    let hiding = personal::must_hide(input);
    mistakes.into_result()?;
    let ident = &input.ident;
    Ok(quote! {
        #hiding

        #[automatically_derived]
        impl ::commerce_contracts::avro::AvroSchema for #ident {
            fn avro_schema(
                definitions: &mut ::commerce_contracts::avro::Definitions,
            ) -> ::commerce_contracts::avro::TypeSchema {
                #body
            }
        }
    })
}

fn body(input: &DeriveInput, container: &Container, mistakes: &mut Mistakes) -> TokenStream {
    if let Some(other) = &container.as_type {
        return inner(other);
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) if is_transparent(input) => {
                // serde has made sure that there is one field to be seen through.
                fields
                    .named
                    .first()
                    .map_or_else(TokenStream::new, |field| inner(&field.ty))
            }
            Fields::Named(fields) => {
                let fields: Vec<TokenStream> = fields
                    .named
                    .iter()
                    .filter_map(|field| self::field(field, container, mistakes))
                    .collect();
                let naming = naming(&input.ident, container, mistakes);
                quote! { definitions.record::<Self>(#naming, |fields| { #(#fields)* }) }
            }
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => inner(&fields.unnamed[0].ty),
            _ => {
                mistakes.on(
                    &input.ident,
                    "the fields of a record have names: write `struct Name { field: … }`; a struct with one field without a name is as \
                     what is in it",
                );
                TokenStream::new()
            }
        },
        Data::Enum(data) => enumeration(input, data, container, mistakes),
        Data::Union(data) => {
            mistakes.at(
                data.union_token.span,
                "a union does not say which of its fields is there: declare a struct",
            );
            TokenStream::new()
        }
    }
}

fn is_transparent(input: &DeriveInput) -> bool {
    let mut found = false;
    for attribute in &input.attrs {
        if attribute.path().is_ident("serde") {
            let text = attribute.meta.to_token_stream().to_string();
            found |= text.contains("transparent");
        }
    }
    found
}

fn inner(ty: &syn::Type) -> TokenStream {
    quote_spanned! { at(ty.span()) => <#ty as ::commerce_contracts::avro::AvroSchema>::avro_schema(definitions) }
}

fn naming(ident: &Ident, container: &Container, mistakes: &mut Mistakes) -> TokenStream {
    let name = chosen_name(
        container.rename.as_ref(),
        &unraw(ident),
        ident.span(),
        mistakes,
    );
    let namespace = if let Some(namespace) = &container.namespace {
        if !namespace.value().split('.').all(is_name) {
            mistakes.on(
                namespace,
                "a namespace is names with dots between, as in `shop.orders`",
            );
        }
        quote! { ::core::option::Option::Some(#namespace) }
    } else {
        quote! { ::core::option::Option::None }
    };
    let (aliases, doc) = (&container.aliases, &container.doc);
    for alias in aliases {
        if !alias.value().split('.').all(is_name) {
            mistakes.on(
                alias,
                "an alias is a name, with its namespace when that was another",
            );
        }
    }
    quote! {
        ::commerce_contracts::avro::Naming { name: #name, namespace: #namespace, aliases: &[#(#aliases),*], doc: #doc }
    }
}

fn field(field: &Field, container: &Container, mistakes: &mut Mistakes) -> Option<TokenStream> {
    let member = attributes::member(&field.attrs, mistakes);
    if member.left_out {
        return None;
    }
    let ident = field.ident.as_ref()?;
    let name = member_name(&member, ident, mistakes, |name| {
        container
            .rename_all
            .map_or_else(|| name.to_owned(), |case| case.of_field(name))
    });
    for alias in &member.aliases {
        if !is_name(&alias.value()) {
            mistakes.on(alias, NOT_A_NAME);
        }
    }
    let personal = personal::mark(field, mistakes).is_some();
    let (aliases, doc, ty) = (&member.aliases, &member.doc, &field.ty);
    let naming = quote! {
        ::commerce_contracts::avro::FieldNaming { name: #name, aliases: &[#(#aliases),*], doc: #doc, personal: #personal }
    };
    let optional = is_option(ty);
    if member.may_be_left_out && member.default.is_none() && !optional {
        mistakes.on(
            ident,
            format!("`{ident}` may be left out, and its reader would not know what it is then: add `#[serde(default)]`"),
        );
    }
    let default = match &member.default {
        Some(Missing::Function(function)) => {
            if optional {
                mistakes.on(
                    function,
                    "a field that may be null is null when it is missing: leave the function out, or make the field one that is always there",
                );
            }
            quote_spanned! { at(function.span()) => &#function() }
        }
        Some(Missing::Type) if !optional => {
            quote_spanned! { at(ty.span()) => &<#ty as ::core::default::Default>::default() }
        }
        _ => return Some(quote_spanned! { at(ty.span()) => fields.field::<#ty>(#naming); }),
    };
    Some(quote_spanned! { at(ty.span()) => fields.field_with_default::<#ty>(#naming, #default); })
}

fn enumeration(
    input: &DeriveInput,
    data: &DataEnum,
    container: &Container,
    mistakes: &mut Mistakes,
) -> TokenStream {
    let mut symbols: Vec<LitStr> = Vec::new();
    let mut default = quote! { ::core::option::Option::None };
    for variant in &data.variants {
        let member = attributes::member(&variant.attrs, mistakes);
        if !matches!(variant.fields, Fields::Unit) {
            mistakes.on(
                &variant.ident,
                format!(
                    "the variant `{}` has data, and an enum of Avro has only names: keep the enum to names, and put the data into a struct \
                     beside it, in an optional field for each variant",
                    variant.ident
                ),
            );
            continue;
        }
        if member.left_out {
            continue;
        }
        let symbol = member_name(&member, &variant.ident, mistakes, |name| {
            container
                .rename_all
                .map_or_else(|| name.to_owned(), |case| case.of_variant(name))
        });
        if member.other {
            default = quote! { ::core::option::Option::Some(#symbol) };
        }
        symbols.push(symbol);
    }
    let naming = naming(&input.ident, container, mistakes);
    quote! { definitions.enumeration::<Self>(#naming, &[#(#symbols),*], #default) }
}

const NOT_A_NAME: &str = "a name of Avro is a letter or an underscore, then letters, digits and underscores: rename it with \
                          `#[serde(rename = \"…\")]`, which changes its JSON too";

fn member_name(
    member: &Member,
    ident: &Ident,
    mistakes: &mut Mistakes,
    cased: impl FnOnce(&str) -> String,
) -> LitStr {
    let name = cased(&unraw(ident));
    chosen_name(member.rename.as_ref(), &name, ident.span(), mistakes)
}

fn chosen_name(rename: Option<&LitStr>, name: &str, span: Span, mistakes: &mut Mistakes) -> LitStr {
    let chosen = rename.cloned().unwrap_or_else(|| LitStr::new(name, span));
    if !is_name(&chosen.value()) {
        mistakes.at(chosen.span(), NOT_A_NAME);
    }
    chosen
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_option(ty: &syn::Type) -> bool {
    matches!(ty, syn::Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

fn unraw(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// There for messages; its names are the macro's own. Those of a type that came out of a `macro_rules!` would be that one's.
fn at(place: Span) -> Span {
    Span::call_site().located_at(place)
}
