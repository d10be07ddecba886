//! The schemas of many contracts: of a directory, of files from elsewhere, or of types.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::canonical;
use crate::{Contract, avro, json_schema};

/// The keyword beside JSON Schema's own under which a recorded contract says what no schema can: its topic and ordering key.
const CONTRACT: &str = "x-contract";

/// The ending of the folder that keeps what a version was before.
const EARLIER: &str = ".earlier";

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
    /// What this version was before, by number: `v<N>.earlier/<number>.json` and so on. They have no earlier states themselves.
    pub earlier: BTreeMap<u32, RecordedContract>,
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
            avro: Some(avro),
            earlier: BTreeMap::new(),
        })
    }

    /// Whether both say the same to programs; what is only for people may differ.
    pub(super) fn means_the_same(&self, other: &Self) -> bool {
        let meaning = |contract: &Self| {
            let on_write = contract.schema_on_write();
            let on_read = contract.schema_on_read();
            (
                on_write.as_ref().map(canonical::meaning),
                on_read.as_ref().map(canonical::meaning),
                contract.avro.as_ref().map(canonical::avro_meaning),
            )
        };
        meaning(self) == meaning(other)
    }

    /// Whether this is, or once was, what the other says.
    pub(super) fn has_been(&self, other: &Self) -> bool {
        self.means_the_same(other)
            || self
                .earlier
                .values()
                .any(|state| state.means_the_same(other))
    }

    /// Adds what the version was until now, and before, to what it has been. Returns whether that was news.
    pub(super) fn keep(&mut self, old: &Self) -> bool {
        let mut news = false;
        for state in old.earlier.values().chain([old]) {
            if self.has_been(state) {
                continue;
            }
            let number = self.earlier.keys().next_back().map_or(1, |last| last + 1);
            let mut state = state.clone();
            state.earlier.clear();
            self.earlier.insert(number, state);
            news = true;
        }
        news
    }

    /// What is written, as a schema that says nothing else. Whole numbers have the bounds of their type in Rust also where they were
    /// recorded before contracts said so.
    pub(super) fn schema_on_write(&self) -> Option<Value> {
        let mut schema = self.on_write.clone()?;
        if let Value::Object(members) = &mut schema {
            members.remove(CONTRACT);
            members.remove("$id");
        }
        json_schema::bound_integers(&mut schema);
        Some(schema)
    }

    /// What is read: what is written, unless it was recorded apart.
    pub(super) fn schema_on_read(&self) -> Option<Value> {
        let Some(mut schema) = self.on_read.clone() else {
            return self.schema_on_write();
        };
        json_schema::bound_integers(&mut schema);
        Some(schema)
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

/// Recorded contracts, as they lie in a schema directory: `<name>/v<N>.json`, `v<N>.read.json`, `v<N>.avsc`, and the same under
/// `v<N>.earlier/` for what the version was before.
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
            for entry in entries(&folder)? {
                let earlier = if is_earlier(&entry) {
                    entries(&entry)?
                } else {
                    vec![entry]
                };
                for file in earlier {
                    let bytes =
                        fs::read(&file).map_err(|source| SchemaSetError::io(&file, source))?;
                    let path = file.strip_prefix(directory).unwrap_or(&file);
                    let path: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
                    files.push((path.join("/"), bytes));
                }
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
            let Some((folder, file)) = path.rsplit_once('/') else {
                continue;
            };
            if file.starts_with('.') {
                continue;
            }
            let place = Place::of(folder, file).ok_or_else(|| {
                SchemaSetError::file(
                    &path,
                    "the name of a schema file is v<version>.json, v<version>.read.json or v<version>.avsc, and v<version>.earlier/<number>.json \
                     (and so on) for what the version was before: rename the file, or keep it elsewhere",
                )
            })?;
            let schema: Value = serde_json::from_slice(&bytes)
                .map_err(|error| SchemaSetError::file(&path, format!("it is not JSON: {error}")))?;
            let mut contract = set.entry(place.contract).or_default();
            if let Some(number) = place.earlier {
                contract = contract.earlier.entry(number).or_default();
            }
            match place.ending {
                Ending::Write => contract.on_write = Some(canonical::normalized(&schema)),
                Ending::Read => contract.on_read = Some(canonical::normalized(&schema)),
                Ending::Avro => contract.avro = Some(schema),
            }
        }
        for (id, contract) in &set {
            let ContractId { name, version } = id;
            if contract.schemas().next().is_none() {
                return Err(SchemaSetError::file(
                    &format!("{name}/v{version}.earlier"),
                    format!(
                        "there is what the version was, but no v{version}.json or v{version}.avsc that says what it is: restore it; when \
                         none of these events exists any more, delete v{version}.earlier as well"
                    ),
                ));
            }
            for (written, state) in with_states(*version, contract) {
                if state.on_write.is_none() && state.on_read.is_some() {
                    return Err(SchemaSetError::file(
                        &format!("{name}/{written}.read.json"),
                        format!(
                            "there is what is read, but no {written}.json that says what is written: restore it"
                        ),
                    ));
                }
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

    /// Keeps what the versions of this set were in an older one, and writes that into the directory that the set was read from: for
    /// schemas that no [`Gate`](super::Gate) records. Returns the files that it wrote.
    pub fn keep_earlier(
        &mut self,
        older: &Self,
        directory: &Path,
    ) -> Result<Vec<PathBuf>, SchemaSetError> {
        let mut changed = Vec::new();
        for (id, contract) in &mut self.0 {
            if older.get(id).is_some_and(|old| contract.keep(old)) {
                changed.extend(record_earlier(directory, id, contract)?);
            }
        }
        Ok(changed)
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

/// What a file says, by its path.
struct Place {
    contract: ContractId,
    /// The number of an earlier state.
    earlier: Option<u32>,
    ending: Ending,
}

enum Ending {
    Write,
    Read,
    Avro,
}

impl Place {
    fn of(folder: &str, file: &str) -> Option<Self> {
        let (number, ending) = file.split_once('.')?;
        let ending = match ending {
            "json" => Ending::Write,
            "read.json" => Ending::Read,
            "avsc" => Ending::Avro,
            _ => return None,
        };
        let (name, version, earlier) = match folder
            .strip_suffix(EARLIER)
            .and_then(|folder| folder.rsplit_once('/'))
        {
            Some((name, version)) => (name, version, Some(counted(number)?)),
            None => (folder, number, None),
        };
        Some(Self {
            contract: ContractId {
                name: name.to_owned(),
                version: counted(version.strip_prefix('v')?)?,
            },
            earlier,
            ending,
        })
    }
}

/// `01` and `+1` would be second names of one version.
fn counted(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

fn is_earlier(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with(EARLIER))
        && path.is_dir()
}

/// The version as it is and as it was, each with the path of its files without their ending.
fn with_states(
    version: u32,
    contract: &RecordedContract,
) -> impl Iterator<Item = (String, &RecordedContract)> {
    let earlier = contract
        .earlier
        .iter()
        .map(move |(number, state)| (state_path(version, *number), state));
    std::iter::once((format!("v{version}"), contract)).chain(earlier)
}

/// The path of the files of an earlier state, without their ending.
pub(super) fn state_path(version: u32, number: u32) -> String {
    format!("v{version}{EARLIER}/{number}")
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
    // What was is kept before what is takes its place.
    let mut changed = record_earlier(directory, id, contract)?;
    let folder = directory.join(&id.name);
    for (ending, schema) in contract.schemas() {
        let path = folder.join(format!("v{}.{ending}", id.version));
        changed.extend(write(&path, schema)?);
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

/// Writes what the version was before.
fn record_earlier(
    directory: &Path,
    id: &ContractId,
    contract: &RecordedContract,
) -> Result<Vec<PathBuf>, SchemaSetError> {
    let mut changed = Vec::new();
    for (number, state) in &contract.earlier {
        let stem = state_path(id.version, *number);
        for (ending, schema) in state.schemas() {
            let path = directory.join(&id.name).join(format!("{stem}.{ending}"));
            changed.extend(write(&path, schema)?);
        }
    }
    Ok(changed)
}

/// The path, when the file was not like that already.
fn write(path: &Path, schema: &Value) -> Result<Option<PathBuf>, SchemaSetError> {
    let text = canonical::pretty(schema);
    if fs::read(path).is_ok_and(|known| known == text.as_bytes()) {
        return Ok(None);
    }
    let failed = |source| SchemaSetError::io(path, source);
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Whoever reads meanwhile, or after a crash, sees the old file or the new one.
    let unfinished = folder.join(format!(".{name}.{}", std::process::id()));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&unfinished, text))
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(failed)?;
    Ok(Some(path.to_owned()))
}
