//! What a schema registry has of the contracts: Confluent's REST API, which Apicurio, Karapace and Redpanda speak as well. Reading only.

mod client;
mod credentials;
mod failure;
mod naming;
mod references;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use commerce_contracts::compatibility::{Direction, Mode};
use commerce_contracts::gate::{ContractId, RecordedContract, SchemaSet};
use serde_json::Value;

pub(crate) use self::failure::RegistryFailure;

use self::client::{Client, Level};
use self::naming::Naming;
use self::references::resolved;
use crate::baseline::Past;
use crate::failure::Failure;
use crate::registry_url::RegistryUrl;

/// How a registry is asked.
#[derive(Debug, Args)]
pub(crate) struct Asking {
    /// How the registry names the subject of a contract.
    #[arg(long, value_enum, default_value = "record", value_name = "NAMING")]
    subjects: Naming,
    /// How many seconds the registry has for each answer.
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    registry_timeout: u64,
}

/// The format of a registered schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Format {
    Avro,
    Json,
}

impl Format {
    fn ending(self) -> &'static str {
        match self {
            Self::Avro => "avsc",
            Self::Json => "json",
        }
    }
}

/// What the registry has of the contracts in `new`. Subjects of others are none of its business, so a contract that is gone is not noticed.
pub(crate) fn past(
    url: &RegistryUrl,
    options: &Asking,
    new: &SchemaSet,
    mode: Option<Mode>,
) -> Result<Past, Failure> {
    let client = Client::new(url, Duration::from_secs(options.registry_timeout))?;
    let subjects = options.subjects.subjects(new)?;
    let mut past = Past::default();
    let mut files = Vec::new();
    let mut levels = BTreeMap::<Level, Vec<&str>>::new();
    for (id, contract) in new.iter() {
        let mut states = Vec::new();
        for subject in subjects.get(id).into_iter().flatten() {
            let found = states_of(&client, subject)?;
            if let (Some(_), false) = (mode, found.is_empty()) {
                levels
                    .entry(client.level(subject)?)
                    .or_default()
                    .push(subject);
            }
            states.extend(found);
        }
        files.extend(as_files(id, contract, &states, &mut past.named_states));
    }
    let at = url.to_string();
    past.set = SchemaSet::from_files(files).map_err(|error| Failure::schemas(&at, error))?;
    past.keeps_states = true;
    if let Some(mode) = mode {
        past.notes = levels
            .iter()
            .filter_map(|(level, of)| note(level, of, mode))
            .collect();
    }
    if past.set.is_empty() {
        let names: BTreeSet<String> = subjects.into_values().flatten().collect();
        past.none = Some(RegistryFailure::NoSubject {
            url: at,
            subjects: names.into_iter().collect(),
        });
    }
    Ok(past)
}

/// One version of a subject.
struct State {
    /// For people.
    name: String,
    format: Format,
    schema: Value,
}

/// Every version of a subject, the oldest first; none where there is no such subject.
fn states_of(client: &Client, subject: &str) -> Result<Vec<State>, RegistryFailure> {
    let Some(versions) = client.versions(subject)? else {
        return Ok(Vec::new());
    };
    let state = |version: u32| {
        let registered = client.version(subject, version)?;
        let format = match registered.schema_type.as_str() {
            "AVRO" => Format::Avro,
            "JSON" => Format::Json,
            _ => {
                return Err(RegistryFailure::Format {
                    subject: subject.to_owned(),
                    version,
                    format: registered.schema_type,
                });
            }
        };
        Ok(State {
            name: format!("the subject {subject}, version {version}"),
            format,
            schema: resolved(client, registered, format)?,
        })
    };
    versions.into_iter().map(state).collect()
}

/// The files that a schema directory would have, if the registry's versions were what the contract is and was. The number of an earlier
/// state is one that the contract itself has not used, so that a finding tells which of the two it means.
fn as_files(
    id: &ContractId,
    contract: &RecordedContract,
    states: &[State],
    names: &mut BTreeMap<(ContractId, u32), String>,
) -> Vec<(String, Vec<u8>)> {
    if states.is_empty() {
        return Vec::new();
    }
    let ContractId { name, version } = id;
    let bytes = |schema: &Value| schema.to_string().into_bytes();
    let latest: BTreeMap<Format, usize> = states
        .iter()
        .enumerate()
        .map(|(index, state)| (state.format, index))
        .collect();
    let mut files = Vec::new();
    let mut number = contract.earlier.keys().next_back().copied().unwrap_or(0);
    for (index, state) in states.iter().enumerate() {
        let ending = state.format.ending();
        if latest.get(&state.format) == Some(&index) {
            files.push((format!("{name}/v{version}.{ending}"), bytes(&state.schema)));
            continue;
        }
        number += 1;
        files.push((
            format!("{name}/v{version}.earlier/{number}.{ending}"),
            bytes(&state.schema),
        ));
        names.insert((id.clone(), number), state.name.clone());
    }
    // What the registry does not have of the contract is compared with itself: a subject holds one format, and the other one is no news.
    let has_json = latest.contains_key(&Format::Json);
    let has_avro = latest.contains_key(&Format::Avro);
    for (ending, schema) in contract.schemas() {
        let is_there = if ending == "avsc" { has_avro } else { has_json };
        if !is_there {
            files.push((format!("{name}/v{version}.{ending}"), bytes(schema)));
        }
    }
    files
}

/// What to say where the registry asks for something else than this check does.
fn note(level: &Level, subjects: &[&str], mode: Mode) -> Option<String> {
    let of = match subjects {
        [] => return None,
        [one] => (*one).to_owned(),
        [one, rest @ ..] => format!("{one} and {} more", rest.len()),
    };
    let wanted = match level {
        Level::Untold(why) => {
            return Some(format!(
                "the registry does not tell how compatible it wants {of} to be ({why}): it may ask for something else than {mode}"
            ));
        }
        Level::None => {
            return Some(format!(
                "the registry accepts anything for {of} (NONE), and this check asks for {mode}: what it refuses may be registered all the same"
            ));
        }
        Level::Mode(name) if *name == mode.to_string() => return None,
        Level::Mode(name) => name,
    };
    let is_covered = Level::mode(wanted).is_some_and(|wanted| {
        let directions = wanted.directions().iter();
        directions
            .into_iter()
            .all(|direction: &Direction| mode.directions().contains(direction))
            && (mode.is_transitive() || !wanted.is_transitive())
    });
    Some(if is_covered {
        format!(
            "the registry asks for {wanted} of {of}, and this check for {mode}, which is more: what it refuses may be registered all the same"
        )
    } else {
        format!(
            "the registry asks for {wanted} of {of}, and this check for {mode}: what passes here may be refused there; `--mode {}` asks the same",
            wanted.to_lowercase().replace('_', "-")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_mode_is_told_with_what_it_means() {
        let level = |name: &str| Level::Mode(name.to_owned());
        assert_eq!(note(&level("FULL"), &["a"], Mode::Full), None);
        let told = note(&level("BACKWARD"), &["a"], Mode::FullTransitive).unwrap();
        assert!(told.contains("which is more"), "{told}");
        for (wanted, mode) in [
            ("FORWARD", Mode::Backward),
            ("FULL", Mode::Backward),
            ("BACKWARD_TRANSITIVE", Mode::Full),
        ] {
            let told = note(&level(wanted), &["a", "b"], mode).unwrap();
            let advice = format!("--mode {}", wanted.to_lowercase().replace('_', "-"));
            assert!(told.contains("a and 1 more"), "{told}");
            assert!(
                told.contains("may be refused there") && told.contains(&advice),
                "{told}"
            );
        }
        assert!(
            note(&Level::None, &["a"], Mode::Full)
                .unwrap()
                .contains("NONE")
        );
    }
}
