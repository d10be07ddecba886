//! SMTP, with a small server that speaks it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use commerce_contracts::commerce::{OrderId, OrganizationId};
use commerce_event_bus::{SubscriptionName, TopicName};
use commerce_host::testing::Scratch;
use commerce_notifications::{Letter, Notice, Sender, TransportUrl};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::shop::{Shop, announced, message, received, until};

/// A mail server that answers the end of each message with the next of the given replies, and with 250 after that.
struct MailServer {
    port: u16,
    accepted: Arc<Mutex<Vec<String>>>,
    replies: Arc<Mutex<VecDeque<&'static str>>>,
    serving: JoinHandle<()>,
}

impl MailServer {
    async fn start(replies: &[&'static str]) -> Self {
        Self::on(0, replies).await
    }

    async fn on(port: u16, replies: &[&'static str]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(Mutex::new(Vec::new()));
        let replies = Arc::new(Mutex::new(replies.iter().copied().collect::<VecDeque<_>>()));
        let (storing, answering) = (accepted.clone(), replies.clone());
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, storing.clone(), answering.clone()));
            }
        });
        Self {
            port,
            accepted,
            replies,
            serving,
        }
    }

    fn url(&self) -> TransportUrl {
        TransportUrl::parse(&format!("smtp://127.0.0.1:{}", self.port)).unwrap()
    }

    fn accepted(&self) -> Vec<String> {
        self.accepted.lock().unwrap().clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn converse(
    stream: TcpStream,
    accepted: Arc<Mutex<Vec<String>>>,
    replies: Arc<Mutex<VecDeque<&'static str>>>,
) -> Option<()> {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"220 mail.test ESMTP\r\n").await.ok()?;
    loop {
        let line = lines.next_line().await.ok()??;
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => "250-mail.test\r\n250 8BITMIME".to_owned(),
            "MAIL" | "RCPT" | "RSET" | "NOOP" => "250 ok".to_owned(),
            "DATA" => {
                writing.write_all(b"354 go on\r\n").await.ok()?;
                let mut text = String::new();
                loop {
                    let line = lines.next_line().await.ok()??;
                    if line == "." {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push('\n');
                }
                let reply = replies.lock().unwrap().pop_front().unwrap_or("250 queued");
                if reply.starts_with('2') {
                    accepted.lock().unwrap().push(text);
                }
                reply.to_owned()
            }
            "QUIT" => {
                writing.write_all(b"221 bye\r\n").await.ok()?;
                return Some(());
            }
            _ => "502 what?".to_owned(),
        };
        writing
            .write_all(format!("{reply}\r\n").as_bytes())
            .await
            .ok()?;
    }
}

#[tokio::test]
async fn an_e_mail_that_is_put_off_is_sent_later() {
    let server = MailServer::start(&["451 greylisted, try again", "452 mailbox is full"]).await;
    let shop = Shop::start(Scratch::sqlite().unwrap(), "memory:", Some(server.url())).await;
    let order = OrderId::new();
    let event = received(OrganizationId::new(), order);
    shop.publish(message(&event)).await;
    assert_eq!(announced(&shop.bus, 1).await[0].0.order_id, order);

    let accepted = server.accepted();
    assert_eq!(accepted.len(), 1, "{accepted:#?}");
    let letter = Letter::write(&Notice::from(event), &Sender::default()).unwrap();
    assert!(
        accepted[0].contains(&format!("Message-ID: {}", letter.message_id())),
        "{}",
        accepted[0]
    );
    assert!(
        accepted[0].contains("joao@cliente.example"),
        "{}",
        accepted[0]
    );
    assert!(accepted[0].is_ascii(), "{}", accepted[0]);
    assert!(server.replies.lock().unwrap().is_empty());
    let stats = shop.running.consumers().next().unwrap().1;
    assert_eq!(
        (stats.retries(), stats.handled(), stats.dead_lettered()),
        (2, 1, 0)
    );
}

#[tokio::test]
async fn an_e_mail_that_is_refused_for_good_is_put_aside() {
    let server = MailServer::start(&["550 no such customer"]).await;
    let shop = Shop::start(Scratch::sqlite().unwrap(), "memory:", Some(server.url())).await;
    let organization = OrganizationId::new();
    shop.publish(message(&received(organization, OrderId::new())))
        .await;
    shop.settled(1).await;
    shop.publish(message(&received(organization, OrderId::new())))
        .await;
    shop.settled(2).await;
    assert_eq!(server.accepted().len(), 1);
    let (orders, name) = (
        TopicName::new("orders").unwrap(),
        SubscriptionName::new("notifications").unwrap(),
    );
    let letters = shop.bus.dead_letters(&orders, &name, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0].reason().contains("refused"),
        "{}",
        letters[0].reason()
    );
}

/// Nobody listens: nothing is given up, nothing is locked, and it goes on when the server is back.
#[tokio::test]
async fn an_outage_loses_nothing_and_holds_no_lock() {
    let server = MailServer::start(&[]).await;
    let (port, url) = (server.port, server.url());
    drop(server);
    let shop = Shop::start(Scratch::sqlite().unwrap(), "memory:", Some(url)).await;
    let stats = shop.running.consumers().next().unwrap().1;
    shop.publish(message(&received(OrganizationId::new(), OrderId::new())))
        .await;
    until("the outage is noticed", || stats.deferrals() > 0).await;

    // SQLite has one writer: a handler that held its transaction would keep this one waiting.
    let database = shop
        .running
        .resources()
        .database("notifications")
        .await
        .unwrap();
    let transaction =
        tokio::time::timeout(std::time::Duration::from_secs(2), database.begin()).await;
    transaction
        .expect("nobody holds the lock")
        .unwrap()
        .rollback()
        .await
        .unwrap();

    let server = MailServer::on(port, &[]).await;
    announced(&shop.bus, 1).await;
    assert_eq!(server.accepted().len(), 1);
    assert_eq!((stats.retries(), stats.dead_lettered()), (0, 0));
}
