//! AMQP 0-9-1: declare a queue, publish into it, get the message back.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail, ensure};

use super::url::Url;
use super::{connect, unique};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xCE;

/// (class, method)
type Method = (u16, u16);
const CONNECTION_START: Method = (10, 10);
const CONNECTION_TUNE: Method = (10, 30);
const CONNECTION_OPEN_OK: Method = (10, 41);
const CONNECTION_CLOSE: Method = (10, 50);
const CHANNEL_OPEN_OK: Method = (20, 11);
const CHANNEL_CLOSE: Method = (20, 40);
const QUEUE_DECLARE_OK: Method = (50, 11);
const BASIC_GET_OK: Method = (60, 71);

/// Sends a message through a queue of its own; answers with the server's product and version.
pub(crate) fn round_trip(url: &str) -> Result<String> {
    let url = Url::parse(url, 5672)?;
    url.require_scheme(&["amqp"])?;
    let (host, port) = url.host();
    let mut connection = Connection {
        stream: connect(host, port)?,
    };
    let server = connection.open(&url)?;
    connection.send(1, (20, 10), &[0])?;
    connection.expect(CHANNEL_OPEN_OK)?;

    let (queue, payload) = (unique("xtask.round-trip"), unique("payload"));
    // Exclusive and auto-deleted: it goes with this connection.
    let declare = [&[0, 0][..], &short(&queue)?, &[0b0000_1100], &[0; 4]].concat();
    connection.send(1, (50, 10), &declare)?;
    connection.expect(QUEUE_DECLARE_OK)?;

    connection.send(
        1,
        (60, 40),
        &[&[0, 0][..], &short("")?, &short(&queue)?, &[1]].concat(),
    )?;
    let size = u64::try_from(payload.len())?.to_be_bytes();
    connection.frame(HEADER, 1, &[&[0, 60, 0, 0][..], &size, &[0, 0]].concat())?;
    connection.frame(BODY, 1, payload.as_bytes())?;

    connection.send(1, (60, 70), &[&[0, 0][..], &short(&queue)?, &[1]].concat())?;
    connection
        .expect(BASIC_GET_OK)
        .context("a message just published did not come back")?;
    let (kind, _) = connection.receive()?;
    ensure!(kind == HEADER, "a message came back without its header");
    let (kind, body) = connection.receive()?;
    ensure!(
        kind == BODY && body == payload.as_bytes(),
        "a message just published came back changed"
    );
    connection.send(
        0,
        CONNECTION_CLOSE,
        &[&[0, 200][..], &short("done")?, &[0; 4]].concat(),
    )?;
    Ok(server)
}

struct Connection {
    stream: TcpStream,
}

impl Connection {
    fn open(&mut self, url: &Url) -> Result<String> {
        self.stream.write_all(b"AMQP\0\0\x09\x01")?;
        let start = self.expect(CONNECTION_START)?;
        let product = property(&start, "product").unwrap_or_else(|| "AMQP server".to_owned());
        let version = property(&start, "version").unwrap_or_else(|| "(no version told)".to_owned());
        let (user, password) = (
            url.user.as_deref().unwrap_or("guest"),
            url.password.as_deref().unwrap_or("guest"),
        );
        let response = format!("\0{user}\0{password}");
        let response = [
            &u32::try_from(response.len())?.to_be_bytes(),
            response.as_bytes(),
        ]
        .concat();
        self.send(
            0,
            (10, 11),
            &[&[0; 4][..], &short("PLAIN")?, &response, &short("en_US")?].concat(),
        )?;
        // A server that refuses the password may just close the connection.
        let tune = self
            .expect(CONNECTION_TUNE)
            .context("the server did not accept the user and password")?;
        let limits = tune.get(..6).context("a method is cut short")?;
        self.send(0, (10, 31), &[limits, &[0, 0]].concat())?;
        let virtual_host = if url.path.is_empty() {
            "/"
        } else {
            url.path.as_str()
        };
        self.send(0, (10, 40), &[&short(virtual_host)?[..], &[0, 0]].concat())?;
        self.expect(CONNECTION_OPEN_OK)
            .with_context(|| format!("the virtual host {virtual_host:?} was not opened"))?;
        Ok(format!("{product} {version}"))
    }

    fn send(&mut self, channel: u16, (class, method): Method, arguments: &[u8]) -> Result<()> {
        let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
        self.frame(METHOD, channel, &payload)
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Result<()> {
        let size = u32::try_from(payload.len())?.to_be_bytes();
        let frame = [
            &[kind][..],
            &channel.to_be_bytes(),
            &size,
            payload,
            &[FRAME_END],
        ]
        .concat();
        Ok(self.stream.write_all(&frame)?)
    }

    fn expect(&mut self, expected: Method) -> Result<Vec<u8>> {
        let (kind, payload) = self.receive()?;
        ensure!(
            kind == METHOD && payload.len() >= 4,
            "a method was expected"
        );
        let method = (
            u16::from_be_bytes([payload[0], payload[1]]),
            u16::from_be_bytes([payload[2], payload[3]]),
        );
        let arguments = payload[4..].to_vec();
        if method == CONNECTION_CLOSE || method == CHANNEL_CLOSE {
            let length = usize::from(arguments.get(2).copied().unwrap_or_default());
            let text = arguments.get(3..3 + length).unwrap_or_default();
            bail!("the server said: {}", String::from_utf8_lossy(text));
        }
        ensure!(
            method == expected,
            "method {method:?} came where {expected:?} was expected"
        );
        Ok(arguments)
    }

    fn receive(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            let mut head = [0; 7];
            self.stream
                .read_exact(&mut head)
                .context("the connection ended")?;
            let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
            ensure!(
                head[0] <= HEARTBEAT && size < 1 << 24,
                "the server answered with something else than AMQP 0-9-1"
            );
            let mut payload = vec![0; size + 1];
            self.stream
                .read_exact(&mut payload)
                .context("the connection ended")?;
            ensure!(
                payload.pop() == Some(FRAME_END),
                "a frame does not end where it should"
            );
            if head[0] != HEARTBEAT {
                return Ok((head[0], payload));
            }
        }
    }
}

fn short(text: &str) -> Result<Vec<u8>> {
    let length =
        u8::try_from(text.len()).with_context(|| format!("{text:?} is too long for AMQP"))?;
    Ok([&[length], text.as_bytes()].concat())
}

/// The text of one server property: a short name, `S`, a length of four bytes, the text.
fn property(start: &[u8], name: &str) -> Option<String> {
    let pattern = [&[u8::try_from(name.len()).ok()?], name.as_bytes(), b"S"].concat();
    let value = start
        .windows(pattern.len())
        .position(|window| window == pattern)?
        + pattern.len();
    let length: [u8; 4] = start.get(value..value + 4)?.try_into().ok()?;
    let text = start.get(value + 4..value + 4 + u32::from_be_bytes(length) as usize)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_properties_are_found() {
        let start = b"\0\x09\0\0\0\x22\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x073.10.8\n";
        assert_eq!(property(start, "product").as_deref(), Some("RabbitMQ"));
        assert_eq!(property(start, "version").as_deref(), Some("3.10.8\n"));
        assert_eq!(property(start, "platform"), None);
    }

    #[test]
    fn short_strings_have_a_limit() {
        assert_eq!(short("ab").unwrap(), [2, b'a', b'b']);
        assert!(short(&"a".repeat(256)).is_err());
    }
}
