//! `contracts docs`: a page about the contracts, for people.

mod fields;
mod html;
mod markdown;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use commerce_contracts::gate::{ContractId, RecordedContract, SchemaSet};
use serde_json::Value;

use self::fields::Field;
use crate::failure::Failure;
use crate::schema_directory::SchemaDirectory;
use crate::{Answer, COMPATIBLE};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    directory: SchemaDirectory,
    /// What kind of page.
    #[arg(long, value_enum, default_value = "markdown")]
    page: Page,
    /// The heading of the page.
    #[arg(long, default_value = "Event contracts")]
    title: String,
    /// The file to write; without it the page is printed.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    Markdown,
    Html,
}

/// One version of one event, as a reader of the page wants to know it.
struct Version<'a> {
    number: u32,
    topic: Option<&'a str>,
    key: Option<&'a str>,
    description: Option<&'a str>,
    /// Why it should not be used any more.
    deprecated: Option<String>,
    schemas: Vec<String>,
    fields: Vec<Field>,
}

pub(crate) fn run(options: &Options) -> Result<Answer, Failure> {
    let set = options.directory.read()?;
    let contracts = by_name(&set);
    let text = match options.page {
        Page::Markdown => markdown::page(&options.title, &contracts),
        Page::Html => html::page(&options.title, &contracts),
    };
    let text = match &options.output {
        None => text,
        Some(path) => {
            fs::write(path, text).map_err(|source| Failure::Page {
                path: path.clone(),
                source,
            })?;
            String::new()
        }
    };
    Ok(Answer {
        text,
        code: COMPATIBLE,
    })
}

/// The newest version first.
fn by_name(set: &SchemaSet) -> BTreeMap<&str, Vec<Version<'_>>> {
    let mut contracts = BTreeMap::<&str, Vec<Version<'_>>>::new();
    for (id, contract) in set.iter() {
        let versions = contracts.entry(&id.name).or_default();
        versions.insert(0, version(id, contract));
    }
    contracts
}

fn version<'a>(id: &ContractId, contract: &'a RecordedContract) -> Version<'a> {
    let text = |schema: &'a Option<Value>, key| schema.as_ref()?.get(key)?.as_str();
    let fields = match (&contract.on_write, &contract.avro) {
        (Some(schema), _) => fields::of_json(schema),
        (None, Some(schema)) => fields::of_avro(schema),
        (None, None) => Vec::new(),
    };
    Version {
        number: id.version,
        topic: contract.topic(),
        key: contract.key(),
        description: text(&contract.on_write, "description")
            .or_else(|| text(&contract.avro, "doc")),
        deprecated: contract.on_write.as_ref().and_then(deprecated),
        schemas: contract
            .schemas()
            .map(|(ending, _)| format!("{}/v{}.{ending}", id.name, id.version))
            .collect(),
        fields,
    }
}

/// JSON Schema's own keyword says that; the contract says since when and what to use.
fn deprecated(schema: &Value) -> Option<String> {
    let told = &schema["x-contract"]["deprecated"];
    if schema["deprecated"] != Value::Bool(true) && told.is_null() {
        return None;
    }
    let mut text = "deprecated".to_owned();
    if let Some(since) = told["since"].as_str() {
        text = format!("{text} since {since}");
    }
    if let Some(replacement) = told["replacement"].as_str() {
        text = format!("{text}; use {replacement}");
    }
    Some(text)
}
