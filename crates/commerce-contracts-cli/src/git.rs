//! What git has of a directory at a commit, through the program `git`.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use commerce_contracts::gate::SchemaSet;

use crate::failure::Failure;

/// The schemas as they were in `directory` at `reference`. None at all is an answer: there were none, or not there.
pub(crate) fn schemas_at(directory: &Path, reference: &str) -> Result<SchemaSet, Failure> {
    let here = existing(directory);
    let commit = commit(&here, reference)?;
    let place = place(&here, directory)?;
    let files = files(&here, &commit, &place)?;
    SchemaSet::from_files(files)
        .map_err(|error| Failure::schemas(&format!("{reference}:{place}"), error))
}

/// The directory itself may be new, or gone: git is asked from the nearest one that is there.
fn existing(directory: &Path) -> PathBuf {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    absolute
        .ancestors()
        .find(|path| path.is_dir())
        .unwrap_or(Path::new("."))
        .to_owned()
}

fn commit(here: &Path, reference: &str) -> Result<String, Failure> {
    let inside = git(here, ["rev-parse", "--is-inside-work-tree"])?;
    if !inside.status.success() {
        return Err(Failure::NotARepository(here.to_owned()));
    }
    let wanted = format!("{reference}^{{commit}}");
    // After `--end-of-options` a name that begins with a dash is a name.
    let found = git(
        here,
        [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &wanted,
        ],
    )?;
    if found.status.success() {
        return Ok(line(&found));
    }
    let shallow = git(here, ["rev-parse", "--is-shallow-repository"])?;
    Err(if line(&shallow) == "true" {
        Failure::BeyondShallowClone(reference.to_owned())
    } else {
        Failure::UnknownReference(reference.to_owned())
    })
}

/// The path of the directory inside the repository, with slashes; empty for its root.
fn place(here: &Path, directory: &Path) -> Result<String, Failure> {
    // git knows where `here` is, also behind symbolic links; what does not exist below it is added.
    let prefix = line(&checked(here, ["rev-parse", "--show-prefix"])?);
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let rest = absolute.strip_prefix(here).unwrap_or(Path::new(""));
    let steps = prefix
        .split('/')
        .map(str::to_owned)
        .chain(rest.iter().map(|step| step.to_string_lossy().into_owned()));
    let steps: Vec<String> = steps.filter(|step| !step.is_empty()).collect();
    Ok(steps.join("/"))
}

/// Paths relative to the directory, and contents.
fn files(here: &Path, commit: &str, place: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let tree = format!("{commit}:{place}");
    // Not there is one thing, and not readable (a partial clone without network) another.
    if !place.is_empty() {
        let there = checked(here, ["ls-tree", "--full-tree", commit, "--", place])?;
        if there.stdout.is_empty() {
            return Ok(Vec::new());
        }
    }
    // `--full-tree`: otherwise names are taken relative to where this runs.
    let listed = checked(here, ["ls-tree", "-r", "-z", "--full-tree", &tree])?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut names = Vec::new();
    let mut objects = String::new();
    for entry in listed.split('\0').filter(|entry| !entry.is_empty()) {
        // "100644 blob <object>\t<path>"; a submodule is a commit, and holds nothing of ours.
        let Some((meta, path)) = entry.split_once('\t') else {
            continue;
        };
        let mut meta = meta.split(' ').skip(1);
        if let (Some("blob"), Some(object)) = (meta.next(), meta.next()) {
            names.push(path.to_owned());
            objects.push_str(object);
            objects.push('\n');
        }
    }
    let contents = batch(here, &objects)?;
    if contents.len() != names.len() {
        return Err(Failure::Git {
            command: "cat-file --batch".to_owned(),
            message: format!(
                "it gave {} of {} files; a partial clone may be offline",
                contents.len(),
                names.len()
            ),
        });
    }
    Ok(names.into_iter().zip(contents).collect())
}

/// The contents of many objects with one process.
fn batch(here: &Path, objects: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let mut child = command(here)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Failure::NoGit)?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // Both ends at once: with many files, who only writes would wait for a reader that waits too.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(objects.as_bytes())));
        child.wait_with_output().map_err(Failure::NoGit)
    })?;
    let mut contents = Vec::new();
    let mut rest = output.stdout.as_slice();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        // "<object> blob <size>", the contents, a line feed; or "<object> missing".
        let header = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size = header
            .rsplit(' ')
            .next()
            .and_then(|size| size.parse::<usize>().ok());
        let Some((size, body)) = size.and_then(|size| Some((size, rest.get(end + 1..)?))) else {
            break;
        };
        let (Some(content), Some(after)) = (body.get(..size), body.get(size + 1..)) else {
            break;
        };
        contents.push(content.to_vec());
        rest = after;
    }
    Ok(contents)
}

fn command(here: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(here).stdin(Stdio::null());
    // The answer must not depend on the language of who asks.
    command.env("LC_ALL", "C");
    command
}

fn git<'a>(here: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Result<Output, Failure> {
    command(here)
        .args(arguments.into_iter().map(OsStr::new))
        .output()
        .map_err(Failure::NoGit)
}

fn checked<const N: usize>(here: &Path, arguments: [&str; N]) -> Result<Output, Failure> {
    let output = git(here, arguments)?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Failure::Git {
        command: arguments.join(" "),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

fn line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
