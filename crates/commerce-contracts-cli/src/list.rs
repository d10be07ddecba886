//! `contracts list`.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use crate::failure::Failure;
use crate::schema_directory::SchemaDirectory;
use crate::{Answer, COMPATIBLE, Format};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    directory: SchemaDirectory,
    /// How the answer is written.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    version: u32,
    topic: Option<&'a str>,
    key: Option<&'a str>,
    schemas: Vec<&'static str>,
}

pub(crate) fn run(options: &Options) -> Result<Answer, Failure> {
    let set = options.directory.read()?;
    let lines: Vec<Line<'_>> = set
        .iter()
        .map(|(id, contract)| Line {
            name: &id.name,
            version: id.version,
            topic: contract.topic(),
            key: contract.key(),
            schemas: contract.schemas().map(|(ending, _)| ending).collect(),
        })
        .collect();
    let text = match options.format {
        Format::Json => crate::json(&lines),
        // A list annotates nothing.
        Format::Text | Format::Github => table(&lines),
    };
    Ok(Answer {
        text,
        code: COMPATIBLE,
    })
}

fn table(lines: &[Line<'_>]) -> String {
    let header = ["contract", "topic", "key", "schemas"].map(str::to_owned);
    let rows = lines.iter().map(|line| {
        [
            format!("{}.v{}", line.name, line.version),
            line.topic.unwrap_or("-").to_owned(),
            line.key.unwrap_or("-").to_owned(),
            line.schemas.join(" "),
        ]
    });
    let rows: Vec<[String; 4]> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for [contract, topic, key, schemas] in &rows {
        let [first, second, third] = widths;
        let _ = writeln!(
            text,
            "{contract:first$}  {topic:second$}  {key:third$}  {schemas}"
        );
    }
    text
}
