//! A TCP proxy whose connections can be cut: a broken network without breaking the server.

use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

/// Forwards connections to a server until they are cut.
pub(crate) struct Proxy {
    port: u16,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    refusing: Arc<Mutex<bool>>,
    acceptor: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of the loopback interface.
    pub(crate) async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let refusing: Arc<Mutex<bool>> = Arc::default();
        let acceptor = tokio::spawn({
            let (connections, refusing) = (Arc::clone(&connections), Arc::clone(&refusing));
            async move {
                while let Ok((mut client, _)) = listener.accept().await {
                    if *refusing.lock().unwrap() {
                        continue;
                    }
                    let server = server.clone();
                    let connection = tokio::spawn(async move {
                        let mut upstream = TcpStream::connect(server).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
                    });
                    connections.lock().unwrap().push(connection.abort_handle());
                }
            }
        });
        Self {
            port,
            connections,
            refusing,
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
        *self.refusing.lock().unwrap() = refuse;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.cut();
    }
}
