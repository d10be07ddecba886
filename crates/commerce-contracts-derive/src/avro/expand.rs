//! The implementation that the macro writes.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Data, DataEnum, DeriveInput, Field, Fields, Ident, LitStr, Type};

use super::attributes::{self, Container, Member, Missing};
use super::logical::Logical;
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
    let written = written(input, &container, &mut mistakes);
    let hiding = personal::must_hide(input);
    mistakes.into_result()?;
    let ident = &input.ident;
    let Written {
        schema,
        facts,
        default,
    } = written;
    Ok(quote! {
        #hiding

        #[automatically_derived]
        impl ::commerce_contracts::avro::AvroSchema for #ident {
            #facts

            fn avro_schema(
                definitions: &mut ::commerce_contracts::avro::Definitions,
            ) -> ::commerce_contracts::avro::TypeSchema {
                #schema
            }

            #default
        }
    })
}

/// What is written for a type.
#[derive(Default)]
struct Written {
    /// The expression of its schema.
    schema: TokenStream,
    /// The constants that tell whether it is personal, and can be an ordering key.
    facts: TokenStream,
    /// How its default is written, where that is as another type's.
    default: TokenStream,
}

impl Written {
    /// A type that is written as another one is.
    fn as_inner(ident: &Ident, ty: &Type, marked: bool, field: Option<&Ident>) -> Self {
        let inner =
            quote_spanned! { at(ty.span()) => <#ty as ::commerce_contracts::avro::AvroSchema> };
        // The one field that it is seen through can be gone through by the path of a key.
        let fields = field.map(|field| {
            let rust = unraw(field);
            quote! {
                const FIELDS: &'static [::commerce_contracts::avro::KeyField] =
                    &[::commerce_contracts::avro::KeyField::seen_through::<#ty>(#rust, #marked)];
            }
        });
        Self {
            schema: quote! { #inner::avro_schema(definitions) },
            facts: quote! {
                const PERSONAL: ::core::primitive::bool = {
                    use ::commerce_contracts::avro::ShowsAll as _;
                    #marked || <::commerce_contracts::avro::Hides<#ident>>::PERSONAL || #inner::PERSONAL
                };
                const UNFIT: ::core::option::Option<::commerce_contracts::avro::Unfit> =
                    ::commerce_contracts::avro::unfit_newtype(#inner::UNFIT);
                #fields
            },
            default: quote! {
                fn avro_default(
                    json: ::commerce_contracts::avro::Json,
                ) -> ::commerce_contracts::avro::Json {
                    #inner::avro_default(json)
                }
            },
        }
    }

    /// A type that is written as a logical one. What is in it needs no schema of its own; where it has one, that tells whether it is
    /// personal.
    fn as_logical(
        ident: &Ident,
        ty: &Type,
        logical: &Logical,
        marked: bool,
        field: Option<&Ident>,
    ) -> Self {
        let schema = logical.schema();
        let fields = field.map(|field| {
            let rust = unraw(field);
            quote! {
                const FIELDS: &'static [::commerce_contracts::avro::KeyField] =
                    &[::commerce_contracts::avro::KeyField::of_logical(#rust, Self::PERSONAL)];
            }
        });
        Self {
            facts: quote! {
                const PERSONAL: ::core::primitive::bool = {
                    use ::commerce_contracts::avro::ShowsAll as _;
                    #marked
                        || <::commerce_contracts::avro::Hides<#ident>>::PERSONAL
                        || <::commerce_contracts::avro::Holds<#ty>>::PERSONAL
                };
                #fields
            },
            default: quote! {
                fn avro_default(
                    json: ::commerce_contracts::avro::Json,
                ) -> ::commerce_contracts::avro::Json {
                    #schema.default_of(json)
                }
            },
            schema,
        }
    }
}

fn written(input: &DeriveInput, container: &Container, mistakes: &mut Mistakes) -> Written {
    if let Some(logical) = &container.logical {
        return logical_newtype(input, container, logical, mistakes);
    }
    if let Some(other) = &container.as_type {
        return Written::as_inner(&input.ident, other, false, None);
    }
    match &input.data {
        Data::Struct(data) => {
            if container.transparent {
                return seen_through(input, &data.fields, mistakes);
            }
            match &data.fields {
                Fields::Named(fields) => {
                    let mut list = Vec::new();
                    let mut facts = Vec::new();
                    for field in &fields.named {
                        let (written, fact) = self::field(field, container, mistakes);
                        list.extend(written);
                        facts.push(fact);
                    }
                    let naming = naming(&input.ident, container, mistakes);
                    Written {
                        schema: quote! { definitions.record::<Self>(#naming, |fields| { #(#list)* }) },
                        facts: quote! {
                            const FIELDS: &'static [::commerce_contracts::avro::KeyField] = &[#(#facts),*];
                        },
                        default: TokenStream::new(),
                    }
                }
                Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                    seen_through(input, &data.fields, mistakes)
                }
                _ => {
                    mistakes.on(
                        &input.ident,
                        "the fields of a record have names: write `struct Name { field: … }`; a struct with one field without a name is as \
                         what is in it",
                    );
                    Written::default()
                }
            }
        }
        Data::Enum(data) => Written {
            schema: enumeration(input, data, container, mistakes),
            ..Written::default()
        },
        Data::Union(data) => {
            mistakes.at(
                data.union_token.span,
                "a union does not say which of its fields is there: declare a struct",
            );
            Written::default()
        }
    }
}

/// The struct is as its one field.
fn seen_through(input: &DeriveInput, fields: &Fields, mistakes: &mut Mistakes) -> Written {
    // Where there is none, serde says so.
    one_field(fields, mistakes).map_or_else(Written::default, |field| {
        let marked = personal::mark(field, mistakes).is_some();
        Written::as_inner(&input.ident, &field.ty, marked, field.ident.as_ref())
    })
}

/// The one that serde neither skips nor makes up.
fn one_field<'a>(fields: &'a Fields, mistakes: &mut Mistakes) -> Option<&'a Field> {
    let mut seen = None;
    for field in fields {
        let member = attributes::member(&field.attrs, mistakes);
        let made_up = member.left_out || member.default.is_some() || is(&field.ty, "PhantomData");
        if !made_up || fields.len() == 1 {
            seen.get_or_insert(field);
        }
    }
    seen
}

/// A newtype that asks for a logical type has that one, whatever the type in it has by itself.
fn logical_newtype(
    input: &DeriveInput,
    container: &Container,
    logical: &Logical,
    mistakes: &mut Mistakes,
) -> Written {
    let field = match &input.data {
        _ if container.as_type.is_some() => None,
        Data::Struct(data)
            if container.transparent
                || (matches!(data.fields, Fields::Unnamed(_)) && data.fields.len() == 1) =>
        {
            one_field(&data.fields, mistakes)
        }
        _ => None,
    };
    let Some(ty) = container.as_type.as_ref().or(field.map(|field| &field.ty)) else {
        logical.refuse_shape(mistakes);
        return Written::default();
    };
    logical.refuse(ty, mistakes);
    let marked = field.is_some_and(|field| personal::mark(field, mistakes).is_some());
    Written::as_logical(
        &input.ident,
        ty,
        logical,
        marked,
        field.and_then(|field| field.ident.as_ref()),
    )
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

/// What adds the field to the schema, unless it is skipped; and what is told of it for the ordering key.
fn field(
    field: &Field,
    container: &Container,
    mistakes: &mut Mistakes,
) -> (Option<TokenStream>, Option<TokenStream>) {
    let member = attributes::member(&field.attrs, mistakes);
    let Some(ident) = field.ident.as_ref() else {
        return (None, None);
    };
    let rust = unraw(ident);
    if member.left_out {
        let fact = quote! { ::commerce_contracts::avro::KeyField::left_out(#rust) };
        return (None, Some(fact));
    }
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
    let fact = quote_spanned! { at(ty.span()) =>
        ::commerce_contracts::avro::KeyField::written::<#ty>(#rust, #name, #personal)
    };
    let naming = quote! {
        ::commerce_contracts::avro::FieldNaming { name: #name, aliases: &[#(#aliases),*], doc: #doc, personal: #personal }
    };
    let optional = is(ty, "Option");
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
            Some(quote_spanned! { at(function.span()) => &#function() })
        }
        Some(Missing::Type) if !optional => {
            Some(quote_spanned! { at(ty.span()) => &<#ty as ::core::default::Default>::default() })
        }
        _ => None,
    };
    let written = if let Some(default) = default {
        quote_spanned! { at(ty.span()) => fields.field_with_default::<#ty>(#naming, #default); }
    } else {
        quote_spanned! { at(ty.span()) => fields.field::<#ty>(#naming); }
    };
    (Some(written), Some(fact))
}

fn enumeration(
    input: &DeriveInput,
    data: &DataEnum,
    container: &Container,
    mistakes: &mut Mistakes,
) -> TokenStream {
    let mut symbols: Vec<LitStr> = Vec::new();
    let mut older: Vec<LitStr> = Vec::new();
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
        // A symbol has no aliases in Avro. As a symbol of its own it is read as what it stands for, and never written.
        for alias in member.aliases {
            if !is_name(&alias.value()) {
                mistakes.on(&alias, NOT_A_NAME);
            }
            older.push(alias);
        }
    }
    symbols.extend(older);
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

/// Whether the type is called so; what the name stands for is not seen here.
fn is(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

fn unraw(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// There for messages; its names are the macro's own. Those of a type that came out of a `macro_rules!` would be that one's.
fn at(place: Span) -> Span {
    Span::call_site().located_at(place)
}
