//! Redis: PING, SET, GET, DEL.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail, ensure};

use super::url::Url;
use super::{connect, unique};

/// Stores a value and reads it back; answers with the server's version.
pub(crate) fn round_trip(url: &str) -> Result<String> {
    let url = Url::parse(url, 6379)?;
    url.require_scheme(&["redis"])?;
    let (host, port) = url.host();
    let mut connection = Connection {
        stream: BufReader::new(connect(host, port)?),
    };
    match (
        url.user.as_deref().filter(|user| !user.is_empty()),
        url.password.as_deref(),
    ) {
        (Some(user), Some(password)) => drop(connection.command(&["AUTH", user, password])?),
        (None, Some(password)) => drop(connection.command(&["AUTH", password])?),
        (_, None) => {}
    }
    ensure!(
        connection.command(&["PING"])?.as_deref() == Some("PONG"),
        "PING was not answered with PONG"
    );
    let (key, value) = (unique("xtask:round-trip"), unique("value"));
    connection.command(&["SET", &key, &value, "EX", "60"])?;
    let stored = connection.command(&["GET", &key])?;
    connection.command(&["DEL", &key])?;
    ensure!(
        stored.as_deref() == Some(value.as_str()),
        "a value just stored was read back as {stored:?}"
    );
    let server = connection.command(&["INFO", "server"])?.unwrap_or_default();
    let version = server
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"))
        .unwrap_or("(no version told)");
    Ok(format!("Redis {version}"))
}

struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    fn command(&mut self, words: &[&str]) -> Result<Option<String>> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            write!(request, "${}\r\n{word}\r\n", word.len())?;
        }
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.reply().with_context(|| format!("{} failed", words[0]))
    }

    fn reply(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let line = line.trim_end();
        let (kind, rest) = line
            .split_at_checked(1)
            .context("the connection was closed")?;
        match kind {
            "+" | ":" => Ok(Some(rest.to_owned())),
            "-" => bail!("the server said: {rest}"),
            "$" if rest == "-1" => Ok(None),
            "$" => {
                let mut text = vec![0; rest.parse::<usize>()? + 2];
                self.stream.read_exact(&mut text)?;
                text.truncate(text.len() - 2);
                Ok(Some(String::from_utf8_lossy(&text).into_owned()))
            }
            _ => bail!("the server answered with something else than RESP: {line:?}"),
        }
    }
}
