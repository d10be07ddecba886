//! What the tests share: short policies, and servers that misbehave below HTTP.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use commerce_resilient_client::{Client, ClientBuilder, RetryPolicy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

/// A client that does not wait long between attempts.
pub(crate) fn hasty(url: &str) -> ClientBuilder {
    Client::builder(url)
        .unwrap()
        .retry(RetryPolicy::default().backoff(Duration::from_millis(1), Duration::from_millis(5)))
        .timeout(Duration::from_secs(10))
}

/// Answers this method and path.
pub(crate) async fn on(server: &MockServer, method: &str, path: &str, answer: ResponseTemplate) {
    Mock::given(matchers::method(method))
        .and(matchers::path(path))
        .respond_with(answer)
        .mount(server)
        .await;
}

/// Answers this method and path, but only so often; later mocks answer the rest.
pub(crate) async fn first(
    server: &MockServer,
    times: u64,
    method: &str,
    path: &str,
    answer: ResponseTemplate,
) {
    Mock::given(matchers::method(method))
        .and(matchers::path(path))
        .respond_with(answer)
        .up_to_n_times(times)
        .mount(server)
        .await;
}

/// How many requests of this method the server saw.
pub(crate) async fn seen(server: &MockServer, method: &str) -> usize {
    server
        .received_requests()
        .await
        .unwrap()
        .iter()
        .filter(|request| request.method.as_str() == method)
        .count()
}

/// A server that reads each request and then closes the connection (`answer` empty) or never answers.
pub(crate) struct Rude {
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
}

impl Rude {
    /// Reads the request, then hangs up.
    pub(crate) async fn hangs_up() -> Self {
        Self::start(Some(Vec::new())).await
    }

    /// Reads the request, then says nothing.
    pub(crate) async fn stays_silent() -> Self {
        Self::start(None).await
    }

    /// Reads the request, then says this.
    pub(crate) async fn says(answer: &str) -> Self {
        Self::start(Some(answer.as_bytes().to_vec())).await
    }

    async fn start(answer: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = [0; 4096];
                if connection.read(&mut request).await.unwrap_or(0) == 0 {
                    continue;
                }
                counter.fetch_add(1, Ordering::SeqCst);
                match &answer {
                    Some(answer) => connection.write_all(answer).await.unwrap_or_default(),
                    None => silent.push(connection),
                }
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
