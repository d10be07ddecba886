//! The program: what it refuses, what it leaves on disk, how it ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_commerce-platform"))
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Waits for the end of a process; one that does not end must not hold up everything after it.
fn ended(mut process: Child) -> ExitStatus {
    for _ in 0..600 {
        if let Some(status) = process.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    panic!("it did not end within a minute");
}

/// Everything in the folder is its owner's alone. Returns the names of the files.
fn only_the_owner_reads(folder: &Path) -> Vec<String> {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        assert!(entry.file_type().unwrap().is_file(), "{entry:?}");
        assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names
}

#[test]
fn wrong_settings_end_it_before_anything_starts() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    // A port that is taken: who would open it would say so, with another exit code.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    for arguments in [&["serve", "--check"][..], &["serve"], &[]] {
        let output = program()
            .args(arguments)
            .env("COMMERCE_DATA", &data)
            .env("COMMERCE_LISTEN", taken.local_addr().unwrap().to_string())
            .env("COMMERCE_IDENTITY_ADMIN_CLIENT_SECRET", "hunter2")
            .env("COMMERCE_PAYMENTS_WEBHOOK_SECRET", "hunter3")
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(
            told.contains("COMMERCE_IDENTITY_ADMIN_CLIENT_SECRET"),
            "{told}"
        );
        assert!(told.contains("COMMERCE_PAYMENTS_WEBHOOK_SECRET"), "{told}");
        assert!(!told.contains("hunter"), "{told}");
        assert!(!data.exists(), "a file was made");
    }
}

#[test]
fn it_serves_until_sigterm_and_its_files_are_its_owners() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    let address = free_address();
    let mut process = program()
        .env("COMMERCE_DATA", &data)
        .env("COMMERCE_LISTEN", &address)
        .env("COMMERCE_PLATFORM_SANDBOX_LISTEN", "127.0.0.1:0")
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(process.stdout.take().unwrap());
    lines.read_line(&mut said).unwrap();
    assert!(
        said.contains("the platform is at http://127.0.0.1:"),
        "{said}"
    );
    let files = only_the_owner_reads(&data);
    for file in ["identity.db", "identity-admin.json", "bus.db"] {
        assert!(files.iter().any(|name| name == file), "{file}: {files:?}");
    }
    // Somebody who never finishes a request does not make the drain miss its deadline, which would be exit code 3.
    let mut half = TcpStream::connect(&address).unwrap();
    half.write_all(b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-le")
        .unwrap();
    let id = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(ended(process).code(), Some(0));
}

#[test]
fn the_files_of_the_demo_are_its_owners() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    let output = program()
        .args(["demo", "--orders", "5", "--faults", "off", "--data"])
        .arg(&data)
        .env("RUST_LOG", "warn")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let files = only_the_owner_reads(&data);
    for file in ["demo.json", "identity.db", "mailbox.mbox"] {
        assert!(files.iter().any(|name| name == file), "{file}: {files:?}");
    }
}
