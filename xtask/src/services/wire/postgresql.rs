//! PostgreSQL: simple queries over protocol 3.0.
//!
//! Servers started here trust loopback connections, so only `trust` and clear-text passwords are spoken; a server that
//! wants SCRAM is asked through `psql`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::url::Url;
use super::{connect, unique};
use crate::workspace::on_path;

/// Stores a row and reads it back; answers with the server's version.
pub(crate) fn round_trip(url: &str) -> Result<String> {
    let value = unique("value");
    let script = format!(
        "CREATE TEMP TABLE round_trip (v text); INSERT INTO round_trip VALUES ('{value}'); SELECT v FROM round_trip"
    );
    let stored = query(url, &script)?;
    ensure!(
        stored.lines().next_back() == Some(value.as_str()),
        "a row just stored was read back as {stored:?}"
    );
    let version = query(url, "SHOW server_version")?;
    Ok(format!(
        "PostgreSQL {}",
        version
            .split_whitespace()
            .next()
            .unwrap_or("(no version told)")
    ))
}

/// Creates a database unless it exists.
pub(crate) fn create_database(url: &str, name: &str) -> Result<()> {
    if query(
        url,
        &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"),
    )?
    .is_empty()
    {
        query(url, &format!("CREATE DATABASE \"{name}\""))?;
    }
    Ok(())
}

/// Runs statements and returns the first column of every row, one per line.
pub(crate) fn query(url: &str, sql: &str) -> Result<String> {
    let parsed = Url::parse(url, 5432)?;
    parsed.require_scheme(&["postgres", "postgresql"])?;
    match Connection::open(&parsed)? {
        Some(mut connection) => connection.query(sql),
        None => through_psql(url, sql),
    }
}

fn through_psql(url: &str, sql: &str) -> Result<String> {
    let psql = on_path("psql").context("the server wants a password by SCRAM or MD5; verifying that takes psql, which is not on PATH")?;
    let mut command = Command::new(psql);
    command.args([
        "-X",
        "-q",
        "-A",
        "-t",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        sql,
        url,
    ]);
    let output = command.output().context("psql could not be run")?;
    ensure!(
        output.status.success(),
        "psql: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// None: the server wants a kind of password that is not spoken here.
    fn open(url: &Url) -> Result<Option<Self>> {
        let (host, port) = url.host();
        let mut connection = Self {
            stream: connect(host, port)?,
        };
        let user = url.user.as_deref().unwrap_or("postgres");
        let database = if url.path.is_empty() {
            user
        } else {
            url.path.as_str()
        };
        let mut startup = 196_608_u32.to_be_bytes().to_vec();
        for word in [
            "user",
            user,
            "database",
            database,
            "application_name",
            "xtask",
        ] {
            startup.extend_from_slice(word.as_bytes());
            startup.push(0);
        }
        startup.push(0);
        connection.stream.write_all(&length(&startup)?)?;
        connection.stream.write_all(&startup)?;
        loop {
            let (kind, body) = connection.message()?;
            match (kind, body.get(..4)) {
                (b'R', Some([0, 0, 0, 0])) | (b'S' | b'K' | b'N', _) => {}
                (b'R', Some([0, 0, 0, 3])) => {
                    let password = url
                        .password
                        .as_deref()
                        .context("the server wants a password and the address has none")?;
                    connection.send(b'p', password)?;
                }
                (b'R', _) => return Ok(None),
                (b'Z', _) => return Ok(Some(connection)),
                (b'E', _) => bail!("the server said: {}", error_text(&body)),
                _ => bail!("the server answered with something else than the PostgreSQL protocol"),
            }
        }
    }

    fn query(&mut self, sql: &str) -> Result<String> {
        self.send(b'Q', sql)?;
        let (mut rows, mut failure) = (Vec::new(), None);
        loop {
            let (kind, body) = self.message()?;
            match kind {
                b'D' => rows.push(first_column(&body)?),
                b'E' => failure = Some(error_text(&body)),
                b'Z' => break,
                _ => {}
            }
        }
        match failure {
            Some(text) => bail!("the server said: {text}"),
            None => Ok(rows.join("\n")),
        }
    }

    fn send(&mut self, kind: u8, text: &str) -> Result<()> {
        let body = [text.as_bytes(), &[0]].concat();
        let message = [&[kind][..], &length(&body)?, &body].concat();
        Ok(self.stream.write_all(&message)?)
    }

    fn message(&mut self) -> Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream
            .read_exact(&mut head)
            .context("the connection ended")?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        ensure!(
            (4..1 << 24).contains(&length),
            "the server answered with something else than the PostgreSQL protocol"
        );
        let mut body = vec![0; length - 4];
        self.stream
            .read_exact(&mut body)
            .context("the connection ended")?;
        Ok((head[0], body))
    }
}

fn length(body: &[u8]) -> Result<[u8; 4]> {
    Ok(u32::try_from(body.len() + 4)?.to_be_bytes())
}

/// The `M` field of an error.
fn error_text(body: &[u8]) -> String {
    let field = body
        .split(|byte| *byte == 0)
        .find(|field| field.first() == Some(&b'M'));
    String::from_utf8_lossy(field.map_or(b"(no message)", |field| &field[1..])).into_owned()
}

fn first_column(body: &[u8]) -> Result<String> {
    let size = body.get(2..6).context("a row is cut short")?;
    let size = i32::from_be_bytes([size[0], size[1], size[2], size[3]]);
    let Ok(size) = usize::try_from(size) else {
        return Ok(String::new());
    };
    let text = body.get(6..6 + size).context("a row is cut short")?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_errors_are_read() {
        assert_eq!(first_column(b"\0\x01\0\0\0\x03abc").unwrap(), "abc");
        assert_eq!(first_column(b"\0\x01\xff\xff\xff\xff").unwrap(), "");
        assert!(first_column(b"\0\x01\0\0\0\x09abc").is_err());
        assert_eq!(
            error_text(b"SERROR\0C3D000\0Mno such database\0\0"),
            "no such database"
        );
    }
}
