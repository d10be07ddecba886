//! The page as Markdown (with tables, as GitHub and most others read it).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Version;

pub(super) fn page(title: &str, contracts: &BTreeMap<&str, Vec<Version<'_>>>) -> String {
    let mut text = format!("# {}\n", plain(title));
    for (name, versions) in contracts {
        let _ = write!(text, "\n## {name}\n");
        for version in versions {
            write_version(&mut text, version);
        }
    }
    text
}

fn write_version(text: &mut String, version: &Version<'_>) {
    let _ = write!(text, "\n### Version {}\n", version.number);
    if let Some(deprecated) = &version.deprecated {
        let _ = write!(text, "\n**{}.**\n", plain(&capital(deprecated)));
    }
    if let Some(description) = version.description {
        let _ = write!(text, "\n{}\n", plain(description));
    }
    text.push('\n');
    if let Some(topic) = version.topic {
        let _ = writeln!(text, "- Topic: `{topic}`");
    }
    if let Some(key) = version.key {
        let _ = writeln!(text, "- Ordering key: `{key}`");
    }
    let schemas: Vec<String> = version
        .schemas
        .iter()
        .map(|path| format!("[{path}]({path})"))
        .collect();
    let _ = writeln!(text, "- Schemas: {}", schemas.join(", "));
    if version.fields.is_empty() {
        return;
    }
    text.push_str("\n| field | type | required | |\n|---|---|---|---|\n");
    for field in &version.fields {
        let required = if field.required { "yes" } else { "" };
        let personal = if field.personal {
            "**Personal data.** "
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {required} | {personal}{} |",
            field.path.replace('|', "\\|"),
            plain(&field.kind),
            plain(&field.description)
        );
    }
}

/// Text that stays text, in a table too.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => plain.push(' '),
            '<' => plain.push_str("&lt;"),
            '|' | '*' | '\\' | '[' | ']' => {
                plain.push('\\');
                plain.push(character);
            }
            other => plain.push(other),
        }
    }
    plain
}

pub(super) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}
