//! The schemas of many contracts: of a directory, of files from elsewhere, or of types.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::canonical;
use crate::{Contract, avro};

/// The keyword beside JSON Schema's own under which a recorded contract says what no schema can: its topic and ordering key.
const CONTRACT: &str = "x-contract";

/// Name and version of a contract. Ordered by both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContractId {
    /// The name: `orders.order.placed`.
    pub name: String,
    /// The version.
    pub version: u32,
}

impl fmt::Display for ContractId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.v{}", self.name, self.version)
    }
}

impl Serialize for ContractId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The recorded schemas of one contract.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RecordedContract {
    /// The JSON Schema of what is written, `v<N>.json`.
    pub on_write: Option<Value>,
    /// The JSON Schema of what is read, `v<N>.read.json`, where it is another.
    pub on_read: Option<Value>,
    /// The Avro schema, `v<N>.avsc`.
    pub avro: Option<Value>,
}

impl RecordedContract {
    /// The topic that the event is published to, when it was recorded.
    pub fn topic(&self) -> Option<&str> {
        self.fact("topic")
    }

    /// The ordering key, when it was recorded.
    pub fn key(&self) -> Option<&str> {
        self.fact("key")
    }

    fn fact(&self, name: &str) -> Option<&str> {
        self.on_write.as_ref()?.get(CONTRACT)?.get(name)?.as_str()
    }

    pub(super) fn of(contract: &Contract) -> Result<Self, avro::SchemaError> {
        let avro = contract.avro_schema().map_err(Clone::clone)?.to_json();
        let mut on_write = canonical::normalized(contract.schema_on_write());
        let on_read = canonical::normalized(contract.schema_on_read());
        let differs = on_read != on_write;
        if let Value::Object(members) = &mut on_write {
            members.insert("$id".to_owned(), json!(contract.data_schema()));
            let mut facts = json!({"topic": contract.topic(), "key": contract.key()});
            if let Some(deprecation) = contract.deprecation() {
                facts["deprecated"] = json!({"since": deprecation.since()});
                if let Some(replacement) = deprecation.replacement() {
                    facts["deprecated"]["replacement"] = json!(replacement);
                }
            }
            members.insert(CONTRACT.to_owned(), facts);
        }
        Ok(Self {
            on_write: Some(on_write),
            on_read: differs.then_some(on_read),
            avro: Some(canonical::normalized(&avro)),
        })
    }

    /// What is written, as a schema that says nothing else.
    pub(super) fn schema_on_write(&self) -> Option<Value> {
        let mut schema = self.on_write.clone()?;
        if let Value::Object(members) = &mut schema {
            members.remove(CONTRACT);
            members.remove("$id");
        }
        Some(schema)
    }

    /// What is read: what is written, unless it was recorded apart.
    pub(super) fn schema_on_read(&self) -> Option<Value> {
        self.on_read.clone().or_else(|| self.schema_on_write())
    }

    /// Each schema with the ending of its file.
    pub fn schemas(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        [
            ("json", &self.on_write),
            ("read.json", &self.on_read),
            ("avsc", &self.avro),
        ]
        .into_iter()
        .filter_map(|(ending, schema)| Some((ending, schema.as_ref()?)))
    }
}

/// Why schemas cannot be read or recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaSetError {
    /// A file or directory cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file is not what its name says.
    #[error("{path}: {problem}")]
    File {
        /// Which.
        path: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl SchemaSetError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.display().to_string(),
            source,
        }
    }

    fn file(path: &str, problem: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}

/// Recorded contracts, as they lie in a schema directory: `<name>/v<N>.json`, `v<N>.read.json`, `v<N>.avsc`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaSet(BTreeMap<ContractId, RecordedContract>);

impl SchemaSet {
    /// Reads a schema directory. One that does not exist is an error; files beside the folders of contracts are none of its business.
    pub fn read(directory: &Path) -> Result<Self, SchemaSetError> {
        let mut files = Vec::new();
        for folder in entries(directory)? {
            if !folder.is_dir() {
                continue;
            }
            for file in entries(&folder)? {
                let bytes = fs::read(&file).map_err(|source| SchemaSetError::io(&file, source))?;
                let path = file.strip_prefix(directory).unwrap_or(&file);
                let path: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
                files.push((path.join("/"), bytes));
            }
        }
        Self::from_files(files)
    }

    /// From the contents of files whose paths are relative to a schema directory: `orders.order.placed/v1.json`.
    /// Hidden files, and files that lie in no folder, are left alone.
    pub fn from_files(
        files: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<Self, SchemaSetError> {
        let mut set = BTreeMap::<ContractId, RecordedContract>::new();
        for (path, bytes) in files {
            let Some((name, file)) = path.rsplit_once('/') else {
                continue;
            };
            if file.starts_with('.') {
                continue;
            }
            let (version, ending) = version_and_ending(file).ok_or_else(|| {
                SchemaSetError::file(
                    &path,
                    "the name of a schema file is v<version>.json, v<version>.read.json or v<version>.avsc: rename the file, or keep it elsewhere",
                )
            })?;
            let schema: Value = serde_json::from_slice(&bytes)
                .map_err(|error| SchemaSetError::file(&path, format!("it is not JSON: {error}")))?;
            let id = ContractId {
                name: name.to_owned(),
                version,
            };
            let contract = set.entry(id).or_default();
            let schema = Some(canonical::normalized(&schema));
            match ending {
                Ending::Write => contract.on_write = schema,
                Ending::Read => contract.on_read = schema,
                Ending::Avro => contract.avro = schema,
            }
        }
        for (id, contract) in &set {
            if contract.on_write.is_none() && contract.on_read.is_some() {
                return Err(SchemaSetError::file(
                    &format!("{}/v{}.read.json", id.name, id.version),
                    format!(
                        "there is what is read, but no v{}.json that says what is written: restore it",
                        id.version
                    ),
                ));
            }
        }
        Ok(Self(set))
    }

    pub(super) fn insert(&mut self, id: ContractId, contract: RecordedContract) {
        self.0.insert(id, contract);
    }

    /// The contracts, by name and version.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ContractId, &RecordedContract)> {
        self.0.iter()
    }

    /// One contract.
    pub fn get(&self, id: &ContractId) -> Option<&RecordedContract> {
        self.0.get(id)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

enum Ending {
    Write,
    Read,
    Avro,
}

fn version_and_ending(file: &str) -> Option<(u32, Ending)> {
    let (version, ending) = file.strip_prefix('v')?.split_once('.')?;
    let ending = match ending {
        "json" => Ending::Write,
        "read.json" => Ending::Read,
        "avsc" => Ending::Avro,
        _ => return None,
    };
    // `v01` and `v+1` would be second names of one version.
    let number: u32 = version.parse().ok()?;
    (number > 0 && number.to_string() == version).then_some((number, ending))
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, SchemaSetError> {
    let failed = |source| SchemaSetError::io(directory, source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Writes the schemas of one contract into the directory: each file whole or not at all. Returns the paths of the files that changed.
pub(super) fn record(
    directory: &Path,
    id: &ContractId,
    contract: &RecordedContract,
) -> Result<Vec<PathBuf>, SchemaSetError> {
    let folder = directory.join(&id.name);
    fs::create_dir_all(&folder).map_err(|source| SchemaSetError::io(&folder, source))?;
    let mut changed = Vec::new();
    for (ending, schema) in contract.schemas() {
        let path = folder.join(format!("v{}.{ending}", id.version));
        let text = canonical::pretty(schema);
        if fs::read(&path).is_ok_and(|known| known == text.as_bytes()) {
            continue;
        }
        // Whoever reads meanwhile, or after a crash, sees the old file or the new one.
        let unfinished = folder.join(format!(".v{}.{ending}.{}", id.version, std::process::id()));
        fs::write(&unfinished, text)
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(|source| SchemaSetError::io(&path, source))?;
        changed.push(path);
    }
    if contract.on_read.is_none() {
        let path = folder.join(format!("v{}.read.json", id.version));
        match fs::remove_file(&path) {
            Ok(()) => changed.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(SchemaSetError::io(&path, source)),
        }
    }
    Ok(changed)
}
