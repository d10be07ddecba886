//! The step from the version before: what is checked of it while the caller's crate compiles, and what reads through it.
//!
//! The macro sees a path and not the type behind it, so it writes constants that fail to evaluate where the step is wrong. Their
//! span is the path's, and their message is made here, where the version of this type is known.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::Path;
use syn::spanned::Spanned;

pub(crate) struct Upcasting<'a> {
    older: &'a Path,
    name: String,
    version: u32,
}

impl<'a> Upcasting<'a> {
    pub(crate) fn new(older: &'a Path, name: String, version: u32) -> Self {
        Self {
            older,
            name,
            version,
        }
    }

    /// Versions go up by one at every step, so there can be no gap, no duplicate and no circle.
    pub(crate) fn checks(&self) -> TokenStream {
        let Self {
            older,
            name,
            version,
        } = self;
        let shown = shown(older);
        let before = version - 1;
        let other_name = format!(
            "`{shown}` has another name, and a version is upcast to the next one of the same event: take the type of version {before} \
             of `{name}`"
        );
        let same = format!(
            "`{shown}` is version {version} as this type is: take the type of version {before}, or raise the `version` of one of them"
        );
        let later = format!(
            "`{shown}` is a later version than {version}, and an upcast goes from the version before: take the type of version {before}, and \
             let the later one name this type"
        );
        let gap = format!(
            "`{shown}` is older than version {before}, and an upcast goes from one version to the next: take the type of version {before}, and \
             let that one upcast from the version before it"
        );
        quote_spanned! { older.span() =>
            const _: () = {
                if !::commerce_contracts::same_name(<#older as ::commerce_contracts::Event>::NAME, #name) {
                    ::core::panic!(#other_name);
                }
                let older = <#older as ::commerce_contracts::Event>::VERSION;
                if older == #version {
                    ::core::panic!(#same);
                }
                if older > #version {
                    ::core::panic!(#later);
                }
                if older < #before {
                    ::core::panic!(#gap);
                }
            };
        }
    }

    /// The methods of `Event` that lead to the older version.
    pub(crate) fn methods(&self) -> TokenStream {
        let older = self.older;
        quote_spanned! { older.span() =>
            fn previous() -> ::core::option::Option<&'static ::commerce_contracts::Contract> {
                ::core::option::Option::Some(<#older as ::commerce_contracts::Event>::contract())
            }

            fn upcast(
                event: &::commerce_contracts::CloudEvent,
                writers: &::commerce_contracts::avro::WriterSchemas,
            ) -> ::core::result::Result<Self, ::commerce_contracts::DecodeError> {
                ::commerce_contracts::upcast::<#older, Self>(event, writers)
            }
        }
    }
}

fn shown(path: &Path) -> String {
    let segments: Vec<String> = path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect();
    segments.join("::")
}
