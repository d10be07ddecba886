//! RabbitMQ's management API, as far as the tests need it. Its numbers are some seconds old.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::servers::server;

/// The management API of the test server.
pub(crate) struct Management {
    place: String,
    authorization: String,
}

impl Management {
    /// Where `AMQP_MANAGEMENT_URL` says.
    pub(crate) fn find() -> Option<Self> {
        let url = url::Url::parse(&server("AMQP_MANAGEMENT_URL")?).unwrap();
        let credentials = format!("{}:{}", url.username(), url.password().unwrap_or_default());
        Some(Self {
            place: format!(
                "{}:{}",
                url.host_str().unwrap(),
                url.port().unwrap_or(15672)
            ),
            authorization: format!("Basic {}", base64(credentials.as_bytes())),
        })
    }

    async fn request(&self, method: &str, path: &str) -> (u16, String) {
        self.request_with(method, path, "").await
    }

    async fn request_with(&self, method: &str, path: &str, json: &str) -> (u16, String) {
        let talk = async {
            let mut stream = TcpStream::connect(&self.place).await.unwrap();
            let request = format!(
                "{method} /api/{path} HTTP/1.0\r\nHost: {}\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n{json}",
                self.place,
                self.authorization,
                json.len()
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = timeout(Duration::from_secs(10), talk).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, body.to_owned())
    }

    /// All messages of a queue in the default vhost, also those that are on their way out of it.
    pub(crate) async fn messages(&self, queue: &str) -> Option<u64> {
        let (status, body) = self.request("GET", &format!("queues/%2F/{queue}")).await;
        let queue: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status == 200)
            .then(|| queue["messages"].as_u64())
            .flatten()
    }

    /// Lets a queue in the default vhost refuse publishes when it holds more than this.
    pub(crate) async fn limit(&self, queue: &str, most: u32) {
        let policy = serde_json::json!({
            "pattern": format!("^{}$", queue.replace('.', "\\.")),
            "definition": { "max-length": most },
            "apply-to": "queues",
        });
        let path = format!("policies/%2F/{queue}");
        let (status, body) = self.request_with("PUT", &path, &policy.to_string()).await;
        assert!(status < 300, "{status} {body}");
    }

    /// Takes back what [`limit`](Self::limit) said.
    pub(crate) async fn unlimit(&self, queue: &str) {
        let path = format!("policies/%2F/{queue}");
        let (status, body) = self.request("DELETE", &path).await;
        assert!(status < 300, "{status} {body}");
    }

    /// Makes a user who may declare, write to and read only what the pattern matches, in the default vhost.
    pub(crate) async fn allow(&self, user: &str, password: &str, pattern: &str) {
        let login = serde_json::json!({ "password": password, "tags": "" });
        let path = format!("users/{user}");
        let (status, body) = self.request_with("PUT", &path, &login.to_string()).await;
        assert!(status < 300, "{status} {body}");
        let may = serde_json::json!({ "configure": pattern, "write": pattern, "read": pattern });
        let path = format!("permissions/%2F/{user}");
        let (status, body) = self.request_with("PUT", &path, &may.to_string()).await;
        assert!(status < 300, "{status} {body}");
    }

    /// Deletes a user.
    pub(crate) async fn forget(&self, user: &str) {
        let (status, body) = self.request("DELETE", &format!("users/{user}")).await;
        assert!(status < 300, "{status} {body}");
    }

    /// Closes the connections of this name; gives how many.
    pub(crate) async fn close_connections(&self, name: &str) -> usize {
        let (_, body) = self.request("GET", "connections").await;
        let connections: serde_json::Value = serde_json::from_str(&body).unwrap();
        let mut closed = 0;
        for connection in connections.as_array().unwrap() {
            if connection["user_provided_name"] == name {
                let id = connection["name"].as_str().unwrap();
                let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
                let path = format!("connections/{}", id.replace('+', "%20"));
                closed += usize::from(self.request("DELETE", &path).await.0 == 204);
            }
        }
        closed
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes(group);
        for digit in 0..4_usize {
            let at = (number >> (18 - 6 * digit)) & 63;
            let filled = digit <= chunk.len();
            text.push(if filled {
                char::from(DIGITS[at as usize])
            } else {
                '='
            });
        }
    }
    text
}
