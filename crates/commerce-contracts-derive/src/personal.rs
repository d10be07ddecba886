//! `#[event(personal)]` on fields, and the `Debug` that hides them.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Field, Fields};

use crate::mistakes::Mistakes;

const RULE: &str = "a field takes `#[event(personal)]` and nothing else: name the ordering key on the struct, `#[event(key = \"…\")]`";

/// Where the field is marked, if it is.
pub(crate) fn mark(field: &Field, mistakes: &mut Mistakes) -> Option<Span> {
    let mut found = None;
    for attribute in field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("event"))
    {
        let read = attribute.parse_nested_meta(|meta| {
            let is_word = meta.input.is_empty() || meta.input.peek(syn::Token![,]);
            if !meta.path.is_ident("personal") || !is_word {
                return Err(syn::Error::new_spanned(attribute, RULE));
            }
            found = Some(meta.path.span());
            Ok(())
        });
        if read.is_err() {
            mistakes.on(attribute, RULE);
        }
    }
    found
}

/// Fails to compile where the type shows what is marked; the span is the mark's.
pub(crate) fn must_hide(input: &DeriveInput) -> TokenStream {
    let Data::Struct(data) = &input.data else {
        return TokenStream::new();
    };
    let ident = &input.ident;
    // What is wrong with marks is told where the fields are read.
    let mark = data
        .fields
        .iter()
        .find_map(|field| mark(field, &mut Mistakes::default()));
    mark.map_or_else(TokenStream::new, |span| {
        quote_spanned! { span =>
            const _: fn() = || {
                fn hides<T: ::commerce_contracts::PersonalData>() {}
                hides::<#ident>();
            };
        }
    })
}

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut mistakes = Mistakes::default();
    let ident = &input.ident;
    let name = ident.to_string();
    if !input.generics.params.is_empty() {
        mistakes.on(
            &input.generics,
            "what is in a generic type is not known here: write the types out, owned",
        );
    }
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(_) | Data::Union(_) => {
            return Err(syn::Error::new_spanned(
                ident,
                "`PersonalData` is for structs: put what is personal into one, and that into this type",
            ));
        }
    };
    let debug = match fields {
        Fields::Named(fields) => {
            let mut hides = false;
            let shown: Vec<TokenStream> = fields
                .named
                .iter()
                .filter_map(|field| {
                    let ident = field.ident.as_ref()?;
                    let name = ident.to_string();
                    let name = name.strip_prefix("r#").unwrap_or(&name);
                    let is_marked = mark(field, &mut mistakes).is_some();
                    hides |= is_marked;
                    let value = if is_marked {
                        hidden()
                    } else {
                        quote!(&self.#ident)
                    };
                    Some(quote! { .field(#name, #value) })
                })
                .collect();
            if !hides {
                mistakes.on(
                    ident,
                    "no field is marked: put `#[event(personal)]` on those that tell about a person, or derive `Debug`",
                );
            }
            quote! { ::core::fmt::Formatter::debug_struct(formatter, #name) #(#shown)* .finish() }
        }
        // A newtype of it is personal as a whole: there is nothing to choose.
        Fields::Unnamed(fields) => {
            let shown = fields.unnamed.iter().map(|_| {
                let hidden = hidden();
                quote! { .field(#hidden) }
            });
            quote! { ::core::fmt::Formatter::debug_tuple(formatter, #name) #(#shown)* .finish() }
        }
        Fields::Unit => {
            mistakes.on(
                ident,
                "it holds nothing, so there is nothing to hide: derive `Debug`",
            );
            TokenStream::new()
        }
    };
    mistakes.into_result()?;
    Ok(quote! {
        #[automatically_derived]
        impl ::core::fmt::Debug for #ident {
            fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #debug
            }
        }

        #[automatically_derived]
        impl ::commerce_contracts::PersonalData for #ident {}
    })
}

fn hidden() -> TokenStream {
    quote! { &::core::format_args!("[personal]") }
}
