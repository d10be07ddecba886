//! The mailbox file: once, whole, and repaired after an accident.

use std::fs::OpenOptions;
use std::io::Write as _;

use commerce_contracts::commerce::{OrderId, OrganizationId};
use commerce_notifications::{Delivered, Letter, Mailbox, Notice, Sender};
use tokio::task::JoinSet;

use crate::shop::{Shop, pending};
use crate::shop::{mails, message, received};

fn letter() -> Letter {
    let notice = Notice::from(received(OrganizationId::new(), OrderId::new()));
    Letter::write(&notice, &Sender::default()).unwrap()
}

#[tokio::test]
async fn a_person_can_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("new/mailbox.mbox");
    let letter = letter();
    Mailbox::open(&file)
        .await
        .unwrap()
        .deliver(&letter)
        .await
        .unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("From MAILER-DAEMON "), "{text}");
    assert!(
        text.contains("To: João da Silva") || text.contains("To: =?utf-8?"),
        "{text}"
    );
    assert!(text.contains("Olá, João da Silva!\n"), "{text}");
    assert!(
        text.contains(&format!("Message-ID: {}\n", letter.message_id())),
        "{text}"
    );
    assert!(!text.contains('\r'), "{text}");
}

#[tokio::test]
async fn the_same_e_mail_is_written_once_however_often_and_by_whomever() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mailbox.mbox");
    let letters: Vec<_> = (0..20).map(|_| letter()).collect();
    let mailbox = Mailbox::open(&file).await.unwrap();
    let mut deliveries = JoinSet::new();
    for letter in letters.iter().cycle().take(100) {
        let (mailbox, letter) = (mailbox.clone(), letter.clone());
        deliveries.spawn(async move { mailbox.deliver(&letter).await.unwrap() });
    }
    let outcomes = deliveries.join_all().await;
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == Delivered::Now)
            .count(),
        20
    );

    drop(mailbox);
    let reopened = reopen(&file).await;
    for letter in &letters {
        assert_eq!(reopened.deliver(letter).await.unwrap(), Delivered::Before);
    }
    assert_eq!(mails(&file).len(), 20);
}

/// The thread of the closed mailbox lets go of the file a moment later.
async fn reopen(file: &std::path::Path) -> Mailbox {
    let deadline = std::time::Instant::now() + crate::shop::PATIENCE;
    loop {
        match Mailbox::open(file).await {
            Ok(mailbox) => return mailbox,
            Err(error) if std::time::Instant::now() > deadline => panic!("{error:#}"),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
}

#[tokio::test]
async fn another_process_cannot_write_at_the_same_time() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mailbox.mbox");
    let _open = Mailbox::open(&file).await.unwrap();
    let error = Mailbox::open(&file).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("another process has it open"),
        "{error:#}"
    );
}

#[tokio::test]
async fn a_torn_end_is_cut_off_kept_beside_and_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mailbox.mbox");
    let (first, second) = (letter(), letter());
    let mailbox = Mailbox::open(&file).await.unwrap();
    mailbox.deliver(&first).await.unwrap();
    let whole = std::fs::metadata(&file).unwrap().len();
    mailbox.deliver(&second).await.unwrap();
    drop(mailbox);
    let bytes = std::fs::read(&file).unwrap();

    // As if the process had died at different places of writing the second message.
    for torn in [1, 3, 30, 60, 200, (bytes.len() as u64 - whole) - 1] {
        drop(reopen(&file).await);
        std::fs::write(&file, &bytes[..usize::try_from(whole + torn).unwrap()]).unwrap();
        let mailbox = reopen(&file).await;
        assert_eq!(
            std::fs::metadata(&file).unwrap().len(),
            whole,
            "torn after {torn} bytes"
        );
        assert_eq!(mailbox.deliver(&first).await.unwrap(), Delivered::Before);
        assert_eq!(mailbox.deliver(&second).await.unwrap(), Delivered::Now);
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }
    let beside = std::fs::read(directory.path().join("mailbox.mbox.torn")).unwrap();
    assert!(beside.starts_with(b"F"));
}

#[tokio::test]
async fn what_others_have_put_at_the_end_is_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mailbox.mbox");
    Mailbox::open(&file)
        .await
        .unwrap()
        .deliver(&letter())
        .await
        .unwrap();
    drop(reopen(&file).await);
    OpenOptions::new()
        .append(true)
        .open(&file)
        .unwrap()
        .write_all(b"a note\n")
        .unwrap();
    drop(reopen(&file).await);
    assert_eq!(mails(&file).len(), 1);
    assert_eq!(
        std::fs::read(directory.path().join("mailbox.mbox.torn")).unwrap(),
        b"a note\n"
    );
}

/// The window between `fsync` and commit: the mailbox has the e-mail, the database knows nothing.
#[tokio::test]
async fn an_e_mail_whose_record_was_lost_is_recorded_and_not_sent_again() {
    let scratch = commerce_host::testing::Scratch::sqlite().unwrap();
    let event = pending(OrganizationId::new(), OrderId::new(), 1);
    let letter = Letter::write(&Notice::from(event.clone()), &Sender::default()).unwrap();
    let file = scratch.directory().join("mailbox.mbox");
    Mailbox::open(&file)
        .await
        .unwrap()
        .deliver(&letter)
        .await
        .unwrap();
    drop(reopen(&file).await);
    wait_for_release(&file).await;

    let shop = Shop::start(scratch, "memory:", None).await;
    shop.publish(message(&event)).await;
    shop.settled(1).await;
    assert_eq!(shop.mails().len(), 1);
    assert_eq!(
        crate::shop::announced(&shop.bus, 1).await[0].0.order_id,
        event.order_id
    );
}

async fn wait_for_release(file: &std::path::Path) {
    let probe = std::fs::File::open(file).unwrap();
    crate::shop::until("the mailbox is released", || probe.try_lock().is_ok()).await;
    probe.unlock().unwrap();
}
