//! The implementation that the macro writes. It names nothing but `commerce_contracts`, `core` and `std`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Fields};

use crate::attributes::{self, Attributes};
use crate::avro;
use crate::deprecated::Deprecated;
use crate::key;
use crate::mistakes::Mistakes;
use crate::upcasts;

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut mistakes = Mistakes::default();
    refuse_generics(input, &mut mistakes);
    let attributes = attributes::read(input, &mut mistakes);
    let path = fields(input, &mut mistakes).and_then(|fields| {
        attributes
            .key
            .as_ref()
            .and_then(|key| key::path(key, fields, &mut mistakes))
    });
    let avro = avro(input, &mut mistakes);
    mistakes.into_result()?;

    let (
        Attributes {
            name: Some(name),
            version: Some(version),
            topic: Some(topic),
            key: Some(key),
            upcasts,
            deprecated,
        },
        Some(path),
    ) = (attributes, path)
    else {
        // Each of these was reported above when it is missing; an error here would be a defect of this macro.
        return Err(syn::Error::new_spanned(
            &input.ident,
            "`#[derive(Event)]` could not read this struct",
        ));
    };
    let ident = &input.ident;
    let version: u32 = version.base10_parse()?;
    let event_type = format!("{}.v{version}", name.value());
    let key_expression = key::expression(&key, &path);
    let key_check = key::check(ident, &key, &path);
    let upcasting = upcasts
        .as_ref()
        .map(|older| upcasts::Upcasting::new(older, name.value(), version));
    let (checks, reading_older) = upcasting.map_or_else(Default::default, |upcasting| {
        (upcasting.checks(), upcasting.methods())
    });
    let deprecation = deprecated.as_ref().map(Deprecated::method);
    // Shown beside the implementation, since a derive cannot add to the documentation of the type.
    let doc = deprecated.as_ref().map(Deprecated::doc);
    Ok(quote! {
        #avro
        #checks
        #key_check

        #doc
        #[automatically_derived]
        impl ::commerce_contracts::Event for #ident {
            const NAME: &'static ::core::primitive::str = #name;
            const VERSION: ::core::primitive::u32 = #version;
            const TYPE: &'static ::core::primitive::str = #event_type;
            const TOPIC: &'static ::core::primitive::str = #topic;

            fn key(&self) -> ::std::string::String {
                #key_expression
            }

            fn contract() -> &'static ::commerce_contracts::Contract {
                static CONTRACT: ::std::sync::OnceLock<::commerce_contracts::Contract> = ::std::sync::OnceLock::new();
                CONTRACT.get_or_init(|| ::commerce_contracts::Contract::of::<Self>(#key))
            }

            #reading_older

            #deprecation
        }

        ::commerce_contracts::__announce_event!(#ident);
    })
}

/// The struct's Avro schema, of which no event is without. A shape that is refused above is not refused here once more.
fn avro(input: &DeriveInput, mistakes: &mut Mistakes) -> TokenStream {
    let shaped =
        matches!(&input.data, Data::Struct(data) if matches!(data.fields, Fields::Named(_)));
    if !shaped || !input.generics.params.is_empty() {
        return TokenStream::new();
    }
    avro::expand(input).unwrap_or_else(|error| {
        mistakes.push(error);
        TokenStream::new()
    })
}

fn fields<'a>(input: &'a DeriveInput, mistakes: &mut Mistakes) -> Option<&'a Fields> {
    match &input.data {
        Data::Struct(data) if matches!(data.fields, Fields::Named(_)) => return Some(&data.fields),
        Data::Struct(_) => mistakes.on(
            &input.ident,
            "an event is a JSON object, so its fields need names: write `struct Name { order_id: … }`",
        ),
        Data::Enum(data) => mistakes.at(
            data.enum_token.span,
            "an event is one fact with one schema, and an enum is a choice of several: declare one struct per event, \
             and use the enum as a field where the choice is part of the fact",
        ),
        Data::Union(data) => mistakes.at(data.union_token.span, "a union does not say which of its fields is there: declare a struct"),
    }
    None
}

fn refuse_generics(input: &DeriveInput, mistakes: &mut Mistakes) {
    if !input.generics.params.is_empty() {
        mistakes.on(
            &input.generics,
            "an event has one schema, and a generic type has one for each of its parameters; an event also outlives \
             what it borrows: write the types out, owned",
        );
    }
}
