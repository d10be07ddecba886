//! `deprecated(since = "2026-01-31", replacement = "orders.order.placed.v2")`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, LitStr, Meta, MetaNameValue, Token};

use crate::mistakes::Mistakes;
use crate::pattern;

const RULE: &str = "say since when, and where there is one, the type that is published in its place: write \
                    `deprecated(since = \"2026-01-31\", replacement = \"orders.order.placed.v2\")`";

/// What is said, as far as it could be read.
pub(crate) struct Deprecated {
    since: LitStr,
    pub(crate) replacement: Option<LitStr>,
}

impl Deprecated {
    pub(crate) fn read(entry: &Meta, mistakes: &mut Mistakes) -> Option<Self> {
        let pairs = match entry {
            Meta::List(list) => {
                list.parse_args_with(Punctuated::<MetaNameValue, Token![,]>::parse_terminated)
            }
            _ => Err(syn::Error::new_spanned(entry, RULE)),
        };
        let Ok(pairs) = pairs else {
            mistakes.on(entry, RULE);
            return None;
        };
        let (mut since, mut replacement) = (None, None);
        for pair in &pairs {
            let place = match pair.path.get_ident() {
                Some(name) if name == "since" => &mut since,
                Some(name) if name == "replacement" => &mut replacement,
                _ => {
                    mistakes.on(&pair.path, RULE);
                    continue;
                }
            };
            if place.is_some() {
                mistakes.on(pair, "it is given twice: keep one");
            }
            match &pair.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => *place = Some(text.clone()),
                other => mistakes.on(other, RULE),
            }
        }
        if let Some(since) = since
            .as_ref()
            .filter(|since| !pattern::is_day(&since.value()))
        {
            mistakes.on(since, "it is no day of the calendar: write year, month and day as in `since = \"2026-01-31\"`");
        }
        if let Some(replacement) = &replacement
            && let Err(message) = pattern::check_type(&replacement.value())
        {
            mistakes.on(replacement, message);
        }
        let is_said = pairs.iter().any(|pair| pair.path.is_ident("since"));
        if !is_said {
            mistakes.on(entry, RULE);
        }
        since.map(|since| Self { since, replacement })
    }

    /// The method of `Event`.
    pub(crate) fn method(&self) -> TokenStream {
        let since = &self.since;
        let replacement = self.replacement.as_ref().map_or_else(
            || quote! { ::core::option::Option::None },
            |replacement| quote! { ::core::option::Option::Some(#replacement) },
        );
        quote! {
            fn deprecation() -> ::core::option::Option<::commerce_contracts::Deprecation> {
                ::core::option::Option::Some(::commerce_contracts::Deprecation::new(#since, #replacement))
            }
        }
    }

    pub(crate) fn doc(&self) -> TokenStream {
        let since = self.since.value();
        let text = match &self.replacement {
            Some(replacement) => format!(
                "Deprecated since {since}: subscribe to `{}`.",
                replacement.value()
            ),
            None => format!("Deprecated since {since}, without a replacement."),
        };
        quote! { #[doc = #text] }
    }
}
