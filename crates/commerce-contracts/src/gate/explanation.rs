//! How a change is told to people.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde_json::Value;

use super::comparison::{Break, Change, FileEdits};
use super::edit::Edit;
use super::schema_set::ContractId;
use crate::compatibility::Verdict;

impl Change {
    /// The report about an incompatible change, or the edits of a compatible one, for people.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let ContractId { name, version } = &self.contract;
        if !self.edits.is_empty() {
            writeln!(text, "  What changed (- recorded, + now):")?;
        }
        let mut files = self.edits.iter().peekable();
        while let Some(FileEdits { ending, edits }) = files.next() {
            write!(text, "    {name}/v{version}.{ending}")?;
            // What is read mostly changes as what is written does.
            if let Some(other) = files.next_if(|other| other.edits == *edits) {
                write!(text, ", v{version}.{}", other.ending)?;
            }
            writeln!(text)?;
            for edit in edits {
                writeln!(text, "      {edit}")?;
            }
        }
        if self.breaks.is_empty() {
            return Ok(());
        }
        writeln!(text, "  Whom it breaks:")?;
        for one in &self.breaks {
            let subject = if one.field.is_empty() {
                "the event".to_owned()
            } else {
                format!("`{}`", one.field)
            };
            let unsure = if one.verdict == Verdict::Unknown {
                ", not certain"
            } else {
                ""
            };
            write!(text, "    {subject} ({}, {}{unsure})", one.part, one.rule)?;
            match &one.state {
                Some(state) => writeln!(text, ", by what version {version} was in {state}")?,
                None => writeln!(text)?,
            }
            writeln!(text, "      {}", one.who)?;
            writeln!(text, "      {}", one.why)?;
            if let Some(instance) = &one.counterexample {
                writeln!(text, "      For example: {instance}")?;
            }
        }
        writeln!(text, "  What to do:")?;
        let mut told = BTreeSet::new();
        for advice in self.advice() {
            if told.insert(advice.clone()) {
                writeln!(text, "    - {advice}")?;
            }
        }
        for rule in self.allowable() {
            writeln!(
                text,
                "    - to allow it: `{}:{rule}`, in CONTRACTS_ALLOW beside CONTRACTS_BLESS=1 for the gate, or as `contracts check … --allow`",
                self.contract
            )?;
        }
        if self.breaks.iter().all(Break::is_allowable) {
            // A new version would not help.
            return Ok(());
        }
        let otherwise = if told.is_empty() { "" } else { "or " };
        writeln!(
            text,
            "    - {otherwise}leave version {version} as it was recorded, and publish version {}: a new type with an upcast from this one",
            version.saturating_add(1)
        )
    }

    /// The rules among its breaks that may be allowed.
    fn allowable(&self) -> BTreeSet<&'static str> {
        let allowable = self.breaks.iter().filter(|one| one.is_allowable());
        allowable.map(|one| one.rule).collect()
    }

    fn advice(&self) -> impl Iterator<Item = String> {
        let renamed = renamed(&self.edits).map(|(old, new)| {
            format!("when `{new}` is `{old}` under another name in Rust, keep the name on the wire: `#[serde(rename = \"{old}\")]`")
        });
        let of_breaks = self.breaks.iter().filter_map(|one| {
            let remedy = one.remedy.as_ref()?;
            Some(if one.field.is_empty() {
                remedy.clone()
            } else {
                format!("`{}`: {remedy}", one.field)
            })
        });
        renamed.chain(of_breaks).collect::<Vec<_>>().into_iter()
    }
}

/// Properties that came and went in the same object with the same schema.
fn renamed(files: &[FileEdits]) -> impl Iterator<Item = (String, String)> {
    let written = files.iter().filter(|file| file.ending == "json");
    let place = |edit: &Edit| {
        let (parent, name) = edit.pointer.rsplit_once('/')?;
        parent.ends_with("/properties").then(|| {
            (
                parent.to_owned(),
                name.replace("~1", "/").replace("~0", "~"),
            )
        })
    };
    let said = |schema: &Value| {
        let mut schema = schema.clone();
        if let Value::Object(members) = &mut schema {
            members.remove("description");
            members.remove("title");
        }
        schema
    };
    let mut pairs = Vec::new();
    for FileEdits { edits, .. } in written {
        for went in edits.iter().filter(|edit| edit.new.is_none()) {
            for came in edits.iter().filter(|edit| edit.old.is_none()) {
                let (Some((old_parent, old)), Some((new_parent, new))) = (place(went), place(came))
                else {
                    continue;
                };
                if old_parent == new_parent
                    && went.old.as_ref().map(said) == came.new.as_ref().map(said)
                {
                    pairs.push((old, new));
                }
            }
        }
    }
    pairs.into_iter()
}
