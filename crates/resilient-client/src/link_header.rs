//! The `Link` header field, RFC 8288: `<target>; rel="next"; title="…", <target>; rel=…`.

use crate::links::Link;

/// Appends the links of one field value; what cannot be understood ends the value, as a lenient reader should.
pub(crate) fn parse(value: &str, into: &mut Vec<Link>) {
    let mut rest = value;
    while let Some((href, mut params)) = target(rest) {
        let (mut rels, mut link) = (
            None,
            Link {
                href: href.to_owned(),
                ..Link::default()
            },
        );
        while let Some((name, value, after)) = parameter(params) {
            // The first `rel` counts; later ones must be ignored (section 3.3).
            match name.to_ascii_lowercase().as_str() {
                "rel" if rels.is_none() => rels = Some(value),
                "title" if link.title.is_none() => link.title = Some(value),
                "name" if link.name.is_none() => link.name = Some(value),
                "deprecation" if link.deprecation.is_none() => link.deprecation = Some(value),
                _ => {}
            }
            params = after;
        }
        for rel in rels.as_deref().unwrap_or_default().split_ascii_whitespace() {
            into.push(Link {
                rel: rel.to_owned(),
                ..link.clone()
            });
        }
        rest = params;
    }
}

/// `<target>` and what follows it; leading separators are skipped.
fn target(text: &str) -> Option<(&str, &str)> {
    let text = text
        .trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace())
        .strip_prefix('<')?;
    text.split_once('>')
}

/// `; name=value` and what follows it.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start().strip_prefix(';')?.trim_start();
    let end = text.find(['=', ';', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let Some(rest) = rest.strip_prefix('=') else {
        return Some((name.trim(), String::new(), rest));
    };
    let rest = rest.trim_start();
    if let Some(quoted) = rest.strip_prefix('"') {
        let (value, rest) = unquote(quoted)?;
        return Some((name.trim(), value, rest));
    }
    let end = rest.find([';', ',']).unwrap_or(rest.len());
    let (value, rest) = rest.split_at(end);
    Some((name.trim(), value.trim().to_owned(), rest))
}

/// The content of a quoted string that starts here, and what follows its closing quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn links(value: &str) -> Vec<(String, String)> {
        let mut links = Vec::new();
        parse(value, &mut links);
        links
            .into_iter()
            .map(|link| (link.rel, link.href))
            .collect()
    }

    fn pair(rel: &str, href: &str) -> (String, String) {
        (rel.to_owned(), href.to_owned())
    }

    #[test]
    fn several_links_and_relations() {
        assert_eq!(
            links(
                r#"<https://a.example/?x=1,2>; rel="next prev"; title="a \"b\", c", </l>;rel=last"#
            ),
            [
                pair("next", "https://a.example/?x=1,2"),
                pair("prev", "https://a.example/?x=1,2"),
                pair("last", "/l")
            ]
        );
    }

    #[test]
    fn first_rel_counts_and_none_means_no_link() {
        assert_eq!(
            links("</a>; rel=x; rel=y, </b>; title=t"),
            [pair("x", "/a")]
        );
    }

    proptest! {
        #[test]
        fn never_panics(value in r#"[<>;,="\\a-zé ]{0,40}"#) {
            let mut links = Vec::new();
            parse(&value, &mut links);
        }

        #[test]
        fn reads_what_is_written(href in "[a-z/?=&]{1,12}", title in r#"[a-z",; \\]{0,12}"#) {
            let quoted = title.replace('\\', r"\\").replace('"', "\\\"");
            let mut links = Vec::new();
            parse(&format!(r#"<{href}>; title="{quoted}"; rel=r"#), &mut links);
            prop_assert_eq!(&links[0].href, &href);
            prop_assert_eq!(links[0].title.as_deref(), Some(title.as_str()));
        }
    }
}
