//! A TCP proxy whose connections can be cut, and whose answers can be held back: a broken network without breaking the
//! server.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use commerce_event_bus::conformance::Interruption;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::sleep;

/// Forwards connections to a server until they are cut.
pub(crate) struct Proxy {
    port: u16,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    way: Arc<Way>,
    acceptor: JoinHandle<()>,
}

/// What becomes of connections and answers.
struct Way {
    server: String,
    refusing: AtomicBool,
    holding_answers: AtomicBool,
    rewriting: Option<Rewriting>,
}

/// Bytes in answers that are replaced by others of the same length.
struct Rewriting {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Proxy {
    /// Listens on a free port of the loopback interface.
    pub(crate) async fn start(server: String) -> Self {
        Self::listen(server, |_, _| None).await
    }

    /// In front of the one broker of a Kafka cluster. A broker tells its clients where it is; this tells them that it is
    /// here: the advertised host and port, as every answer has them, followed by one another, with the port changed.
    pub(crate) async fn of_kafka(broker: String) -> Self {
        Self::listen(broker, |server, here| {
            let (host, port) = server.rsplit_once(':').unwrap();
            let address = |port: u16| {
                let mut bytes = host.as_bytes().to_vec();
                bytes.extend(i32::from(port).to_be_bytes());
                bytes
            };
            Some(Rewriting {
                from: address(port.parse().unwrap()),
                to: address(here),
            })
        })
        .await
    }

    async fn listen(server: String, rewriting: fn(&str, u16) -> Option<Rewriting>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Arc::new(Way {
            rewriting: rewriting(&server, port),
            server,
            refusing: AtomicBool::new(false),
            holding_answers: AtomicBool::new(false),
        });
        let connections: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let acceptor = tokio::spawn({
            let (connections, way) = (Arc::clone(&connections), Arc::clone(&way));
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    if way.refusing.load(Ordering::Relaxed) {
                        continue;
                    }
                    let way = Arc::clone(&way);
                    let connection = tokio::spawn(async move {
                        // Whichever side ends ends both.
                        let _ = way.carry(client).await;
                    });
                    connections.lock().unwrap().push(connection.abort_handle());
                }
            }
        });
        Self {
            port,
            connections,
            way,
            acceptor,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Cuts every connection; says how many were alive.
    pub(crate) fn cut(&self) -> usize {
        let connections = std::mem::take(&mut *self.connections.lock().unwrap());
        let alive = connections
            .iter()
            .filter(|connection| !connection.is_finished())
            .count();
        connections.iter().for_each(AbortHandle::abort);
        alive
    }

    /// Whether new connections are closed at once.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.way.refusing.store(refuse, Ordering::Relaxed);
    }

    /// Whether answers go nowhere. What was held back is lost, so cut the connections before this ends.
    fn hold(&self, hold: bool) {
        self.way.holding_answers.store(hold, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.cut();
    }
}

#[async_trait]
impl Interruption for Proxy {
    async fn interrupt(&self) {
        self.refuse(true);
        self.cut();
        self.hold(false);
        sleep(Duration::from_secs(1)).await;
        self.refuse(false);
    }

    async fn hold_answers(&self) -> bool {
        self.hold(true);
        true
    }
}

impl Way {
    async fn carry(&self, client: TcpStream) -> io::Result<()> {
        let upstream = TcpStream::connect(&self.server).await?;
        let (mut from_client, to_client) = client.into_split();
        let (from_server, mut to_server) = upstream.into_split();
        tokio::select! {
            copied = tokio::io::copy(&mut from_client, &mut to_server) => copied.map(drop),
            answered = self.answer(from_server, to_client) => answered,
        }
    }

    async fn answer(
        &self,
        mut server: impl AsyncRead + Unpin,
        mut client: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut answer = Vec::new();
        while server.read_buf(&mut answer).await? > 0 {
            if self.holding_answers.load(Ordering::Relaxed) {
                answer.clear();
                continue;
            }
            let ready = match &self.rewriting {
                None => answer.len(),
                Some(rewriting) => rewriting.apply(&mut answer),
            };
            client.write_all(&answer[..ready]).await?;
            answer.drain(..ready);
        }
        client.write_all(&answer).await
    }
}

impl Rewriting {
    /// Replaces; gives how much is ready to go on. What may be the beginning of more to replace is not.
    fn apply(&self, answer: &mut [u8]) -> usize {
        let length = self.from.len();
        let mut at = 0;
        while at + length <= answer.len() {
            if answer[at..].starts_with(&self.from) {
                answer[at..at + length].copy_from_slice(&self.to);
                at += length;
            } else {
                at += 1;
            }
        }
        let begun = |at: &usize| self.from.starts_with(&answer[*at..]);
        (at..answer.len()).find(begun).unwrap_or(answer.len())
    }
}

#[test]
fn an_address_is_replaced_wherever_answers_are_split() {
    let rewriting = Rewriting {
        from: b"host\x00\x01".to_vec(),
        to: b"host\x00\x02".to_vec(),
    };
    let whole = b"..host\x00\x01host\x00\x01ho.host\x00\x03ho";
    for split in 0..whole.len() {
        let (mut answer, mut sent) = (whole[..split].to_vec(), Vec::new());
        let ready = rewriting.apply(&mut answer);
        sent.extend(answer.drain(..ready));
        answer.extend(&whole[split..]);
        let ready = rewriting.apply(&mut answer);
        sent.extend(&answer[..ready]);
        assert_eq!(
            sent, b"..host\x00\x02host\x00\x02ho.host\x00\x03",
            "{split}"
        );
    }
}
