//! The real process, killed at any moment.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use commerce_consumer_framework::storage::Database;
use commerce_contracts::commerce::{OrderId, OrganizationId};
use commerce_event_bus::EventBus;

use crate::shop::{announced, mails, message, received, until};

const ORDERS: usize = 300;

/// SIGKILL in the middle of the work, several times: at the end every customer was told once.
#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_tells_every_customer_once() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("bus.db").display());
    let bus = EventBus::connect(&url).await.unwrap();
    let mailbox = directory.path().join("mailbox.mbox");
    let organization = OrganizationId::new();
    let orders: Vec<_> = (0..ORDERS).map(|_| OrderId::new()).collect();
    for order in &orders {
        bus.publish(message(&received(organization, *order)))
            .await
            .unwrap();
    }

    for kill in 1..=4 {
        let mut process = start(directory.path());
        let enough = kill * ORDERS / 6;
        until("some e-mails are written", || {
            mails(&mailbox).len() >= enough || ended(&mut process)
        })
        .await;
        assert!(!ended(&mut process), "the service ended by itself");
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let mut process = start(directory.path());
    let announced = announced(&bus, ORDERS).await;
    stop(&mut process);

    let mut told: Vec<_> = announced.iter().map(|(event, _)| event.order_id).collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), ORDERS);
    let mails = mails(&mailbox);
    for order in &orders {
        let subject = format!("Subject: Pedido {order}");
        let of_order = mails
            .iter()
            .filter(|mail| mail.contains(&order.to_string()))
            .count();
        assert_eq!(of_order, 1, "{subject}");
    }
    assert_eq!(mails.len(), ORDERS);
    let store = format!("sqlite:{}", directory.path().display());
    let database = Database::connect_in(&store, "notifications").await.unwrap();
    let (rows,): (i64,) = database
        .query("SELECT COUNT(*) FROM notifications")
        .fetch_one()
        .await
        .unwrap();
    assert_eq!(rows, i64::try_from(ORDERS).unwrap());
}

/// One of the exit codes that are promised: a clean drain.
fn stop(process: &mut Child) {
    let interrupted = Command::new("kill")
        .args(["-INT", &process.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

fn ended(process: &mut Child) -> bool {
    process.try_wait().unwrap().is_some()
}

fn start(directory: &Path) -> Child {
    // The port is free, or was a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    Command::new(env!("CARGO_BIN_EXE_commerce-notifications"))
        .env("COMMERCE_LISTEN", format!("127.0.0.1:{port}"))
        .env("COMMERCE_DATA", directory)
        .env("COMMERCE_NOTIFICATIONS_CONCURRENCY", "8")
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn wrong_settings_are_told_all_at_once_and_nothing_starts() {
    let output = Command::new(env!("CARGO_BIN_EXE_commerce-notifications"))
        .env("COMMERCE_LISTEN", "nowhere")
        .env("COMMERCE_NOTIFICATIONS_TRANSPORT", "pigeon:")
        .env("COMMERCE_NOTIFICATIONS_TRANSPROT", "mailbox:x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("3 mistakes in the settings:"), "{text}");
    assert!(
        text.contains("right would be `transport`: did you mean it?"),
        "{text}"
    );
}
