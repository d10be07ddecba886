//! Turning a link into an address: URI templates (RFC 6570) and resolution against the document.

use std::collections::BTreeMap;

use iri_string::{
    spec::UriSpec,
    template::{UriTemplateStr, simple_context::SimpleContext},
};
use url::Url;

use crate::error::{Error, ErrorKind};

/// The variables given with `.with(name, value)`.
pub(crate) type Variables = BTreeMap<String, String>;

/// The address of a link in the document at `base`.
///
/// A variable that the link does not have is an error: silently dropping a cursor would read the first page forever.
pub(crate) fn resolve(
    base: &Url,
    href: &str,
    templated: bool,
    variables: &Variables,
) -> Result<Url, Error> {
    let mistake = |message: String| Error::new(ErrorKind::Link, message);
    let expanded;
    let address = if templated {
        let template = UriTemplateStr::new(href)
            .map_err(|error| mistake(format!("`{href}` is no URI template")).because(error))?;
        let known: Vec<&str> = template
            .variables()
            .map(|variable| variable.as_str())
            .collect();
        if let Some(unknown) = variables
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            return Err(mistake(format!(
                "the link `{href}` has no variable `{unknown}`"
            )));
        }
        let mut context = SimpleContext::new();
        for (name, value) in variables {
            context.insert(name.as_str(), value.as_str());
        }
        expanded = template
            .expand::<UriSpec, _>(&context)
            .map_err(|error| mistake(format!("`{href}` cannot be expanded")).because(error))?
            .to_string();
        expanded.as_str()
    } else if let Some(name) = variables.keys().next() {
        return Err(mistake(format!(
            "the link `{href}` takes no variables, `{name}` was given"
        )));
    } else {
        href
    };
    let url = base
        .join(address)
        .map_err(|error| mistake(format!("`{address}` is no address")).because(error))?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(mistake(format!("`{}` is not an HTTP scheme", url.scheme())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(href: &str, templated: bool, variables: &[(&str, &str)]) -> Result<String, String> {
        let base = Url::parse("https://shop.example/a/b?x=1").unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        resolve(&base, href, templated, &variables)
            .map(String::from)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn plain_links_resolve_against_the_document() {
        assert_eq!(expand("c", false, &[]).unwrap(), "https://shop.example/a/c");
        assert_eq!(
            expand("/c?y", false, &[]).unwrap(),
            "https://shop.example/c?y"
        );
        assert_eq!(
            expand("//other.example/", false, &[]).unwrap(),
            "https://other.example/"
        );
    }

    #[test]
    fn templates_expand() {
        let href = "/orders{/id}{?cursor,limit}";
        assert_eq!(
            expand(href, true, &[]).unwrap(),
            "https://shop.example/orders"
        );
        assert_eq!(
            expand(href, true, &[("cursor", "a b/ü"), ("id", "7/8")]).unwrap(),
            "https://shop.example/orders/7%2F8?cursor=a%20b%2F%C3%BC"
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(
            expand("/o{?a}", true, &[("b", "1")])
                .unwrap_err()
                .contains("no variable `b`")
        );
        assert!(
            expand("/o", false, &[("b", "1")])
                .unwrap_err()
                .contains("takes no variables")
        );
        assert!(
            expand("/o{", true, &[])
                .unwrap_err()
                .contains("no URI template")
        );
        assert!(
            expand("file:///etc/passwd", false, &[])
                .unwrap_err()
                .contains("not an HTTP scheme")
        );
    }
}
