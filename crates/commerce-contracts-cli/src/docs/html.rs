//! The page as one HTML file that needs nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Version;
use super::markdown::capital;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}\
code{font-size:.9em}.deprecated,.personal{font-weight:bold;color:#a40000}";

pub(super) fn page(title: &str, contracts: &BTreeMap<&str, Vec<Version<'_>>>) -> String {
    let title = escaped(title);
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\n\
         <body>\n<h1>{title}</h1>\n<ul>\n"
    );
    for name in contracts.keys() {
        let name = escaped(name);
        let _ = writeln!(text, "<li><a href=\"#{name}\">{name}</a></li>");
    }
    text.push_str("</ul>\n");
    for (name, versions) in contracts {
        let name = escaped(name);
        let _ = writeln!(text, "<h2 id=\"{name}\">{name}</h2>");
        for version in versions {
            write_version(&mut text, version);
        }
    }
    text.push_str("</body>\n</html>\n");
    text
}

fn write_version(text: &mut String, version: &Version<'_>) {
    let _ = writeln!(text, "<h3>Version {}</h3>", version.number);
    if let Some(deprecated) = &version.deprecated {
        let deprecated = escaped(&capital(deprecated));
        let _ = writeln!(text, "<p class=\"deprecated\">{deprecated}.</p>");
    }
    if let Some(description) = version.description {
        let _ = writeln!(text, "<p>{}</p>", escaped(description));
    }
    text.push_str("<ul>\n");
    if let Some(topic) = version.topic {
        let _ = writeln!(text, "<li>Topic: <code>{}</code></li>", escaped(topic));
    }
    if let Some(key) = version.key {
        let _ = writeln!(text, "<li>Ordering key: <code>{}</code></li>", escaped(key));
    }
    let schemas: Vec<String> = version
        .schemas
        .iter()
        .map(|path| format!("<a href=\"{0}\">{0}</a>", escaped(path)))
        .collect();
    let _ = writeln!(text, "<li>Schemas: {}</li>\n</ul>", schemas.join(", "));
    if version.fields.is_empty() {
        return;
    }
    text.push_str("<table>\n<tr><th>field</th><th>type</th><th>required</th><th></th></tr>\n");
    for field in &version.fields {
        let personal = if field.personal {
            "<span class=\"personal\">Personal data.</span> "
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{personal}{}</td></tr>",
            escaped(&field.path),
            escaped(&field.kind),
            if field.required { "yes" } else { "" },
            escaped(&field.description)
        );
    }
    text.push_str("</table>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
