//! Collects mistakes, so that one compilation shows all of them.

use proc_macro2::Span;
use quote::ToTokens;

/// Every mistake found so far.
#[derive(Default)]
pub(crate) struct Mistakes(Vec<syn::Error>);

impl Mistakes {
    /// Notes a mistake that is shown under `span`.
    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.0.push(syn::Error::new(span, message));
    }

    /// Notes a mistake that is shown under all of `tokens`.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.0.push(syn::Error::new_spanned(tokens, message));
    }

    /// Notes a mistake that the parser found.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.0.push(error);
    }

    /// All mistakes as one error, or `Ok` when there is none.
    pub(crate) fn into_result(self) -> syn::Result<()> {
        let mut mistakes = self.0.into_iter();
        let Some(mut all) = mistakes.next() else {
            return Ok(());
        };
        mistakes.for_each(|mistake| all.combine(mistake));
        Err(all)
    }
}
