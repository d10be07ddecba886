//! Effects once, whatever is delivered twice, crashes or fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::Utc;
use commerce_consumer_framework::outbox;
use commerce_consumer_framework::storage::Database;
use commerce_consumer_framework::{
    Backoff, Begin, Call, Consumer, Emit, Event, Failure, Metadata, State, Tx,
};
use commerce_event_bus::EventBus;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use crate::runner::Runner;
use crate::shop::{STOCK, Sold, StockLowered, drained, publish, sold, stock, until};

type Handle = BoxCloneSyncService<Call, (), Failure>;

async fn open(place: &crate::databases::Place) -> Database {
    let db = place.open().await;
    db.migrate("stock", STOCK).await.unwrap();
    db
}

async fn write(tx: &mut Tx, event: &Sold) -> Result<(), Failure> {
    tx.query("INSERT INTO stock (item, number) VALUES ($1, $2)")
        .bind(&event.item)
        .bind(event.number)
        .execute()
        .await?;
    Ok(())
}

fn lowered(event: &Sold) -> Result<Emit, Failure> {
    Emit::event(&StockLowered {
        item: event.item.clone(),
        number: event.number,
    })
}

async fn lower(event: Event<Sold>, mut tx: Tx) -> Result<Emit, Failure> {
    write(&mut tx, &event).await?;
    lowered(&event)
}

async fn lower_late(event: Event<Sold>, begin: Begin) -> Result<Emit, Failure> {
    let mut tx = begin.transaction().await?;
    write(&mut tx, &event).await?;
    drop(tx);
    // The same transaction again.
    let (rows,): (i64,) = begin
        .transaction()
        .await?
        .query("SELECT COUNT(*) FROM stock")
        .fetch_one()
        .await?;
    assert!(rows > 0);
    lowered(&event)
}

fn consumer(name: &str, bus: &EventBus, db: &Database) -> Consumer {
    let backoff = Backoff::exponential(Duration::from_millis(5), Duration::from_millis(40));
    Consumer::new(name, bus.clone())
        .inbox(db.clone())
        .retry(backoff)
}

async fn waiting(db: &Database) -> u64 {
    outbox::backlog(db).await.unwrap().waiting
}

on_each_database! {
    async fn duplicates_have_no_effect(place: &Place) {
        let (db, bus) = (open(place).await, EventBus::memory());
        let consumer = consumer("stock", &bus, &db).on(lower);
        let stats = consumer.stats();
        let runner = Runner::start(consumer).await;
        let first = publish(&bus, "pen", 1).await;
        let second = publish(&bus, "cup", 2).await;
        for message in [&first, &second, &first, &first] {
            bus.publish(message.clone()).await.unwrap();
        }
        drained(&bus, "sales", "stock").await;
        assert_eq!(stock(&db).await, [("cup".to_owned(), 2), ("pen".to_owned(), 1)]);
        assert_eq!(waiting(&db).await, 2);
        assert_eq!((stats.handled(), stats.duplicates()), (2, 4));
        runner.stop().await.unwrap();
    }

    async fn two_subscriptions_in_one_database_each_have_their_effects(place: &Place) {
        let (db, bus) = (open(place).await, EventBus::memory());
        let one = Runner::start(consumer("one", &bus, &db).on(lower)).await;
        let two = Runner::start(consumer("two", &bus, &db).on(lower_late)).await;
        publish(&bus, "pen", 1).await;
        for name in ["one", "two"] {
            drained(&bus, "sales", name).await;
        }
        assert_eq!(stock(&db).await.len(), 2);
        one.stop().await.unwrap();
        two.stop().await.unwrap();
    }

    async fn copies_handled_at_the_same_time_have_one_effect(place: &Place) {
        // The copies have different keys, so the bus hands them out together; both pass the first look.
        let (db, bus) = (open(place).await, EventBus::memory());
        let together = Arc::new(tokio::sync::Barrier::new(2));
        let both = async |event: Event<Sold>, State(together): State<Arc<tokio::sync::Barrier>>, begin: Begin| -> Result<Emit, Failure> {
            together.wait().await;
            let mut tx = begin.transaction().await?;
            write(&mut tx, &event).await?;
            Ok(Emit::nothing())
        };
        let consumer = Consumer::new("stock", bus.clone()).state(together).inbox(db.clone()).on(both);
        let stats = consumer.stats();
        let runner = Runner::start(consumer).await;
        let mut message = publish(&bus, "pen", 1).await;
        message.event = message.event.with_key("other").unwrap();
        bus.publish(message).await.unwrap();
        drained(&bus, "sales", "stock").await;
        assert_eq!(stock(&db).await.len(), 1);
        assert_eq!((stats.handled(), stats.duplicates(), stats.retries()), (1, 1, 0));
        runner.stop().await.unwrap();
    }

    async fn a_crash_between_the_writes_and_the_commit_leaves_nothing(place: &Place) {
        for crash in [Crash::Panic, Crash::Dropped] {
            let (db, bus) = (open(place).await, EventBus::memory());
            let written = Arc::new(Notify::new());
            let handler = async |event: Event<Sold>, metadata: Metadata, State(written): State<Arc<Notify>>, mut tx: Tx| -> Result<Emit, Failure> {
                write(&mut tx, &event).await?;
                if metadata.attempt() == 1 {
                    written.notify_one();
                    std::future::pending::<()>().await;
                }
                lowered(&event)
            };
            let layer = tower::layer::layer_fn({
                let written = written.clone();
                move |inner: Handle| crashing(inner, written.clone(), crash)
            });
            let name = format!("stock-{crash:?}").to_lowercase();
            let consumer = Consumer::new(&name, bus.clone())
                .state(written)
                .inbox(db.clone())
                .retry(Backoff::fixed(Duration::from_millis(20)))
                .on(handler)
                .layer(layer);
            let stats = consumer.stats();
            let runner = Runner::start(consumer).await;
            publish(&bus, &name, 1).await;
            until("the crash", async || stats.retries() == 1).await;
            drained(&bus, "sales", &name).await;
            let rows = stock(&db).await.into_iter().filter(|(item, _)| *item == name).count();
            assert_eq!(rows, 1, "{crash:?}: the first attempt left nothing, the second all");
            assert_eq!((stats.handled(), stats.duplicates()), (1, 0));
            assert_eq!(stats.panics(), u64::from(crash == Crash::Panic));
            runner.stop().await.unwrap();
        }
        assert_eq!(waiting(&place.open().await).await, 2);
    }

    async fn a_failing_handler_leaves_nothing_but_its_retries(place: &Place) {
        let (db, bus) = (open(place).await, EventBus::memory());
        let failing = async |event: Event<Sold>, mut tx: Tx| -> Result<(), Failure> {
            write(&mut tx, &event).await?;
            Err(Failure::reject("after the writes"))
        };
        let runner = Runner::start(consumer("stock", &bus, &db).on(failing)).await;
        publish(&bus, "pen", 1).await;
        drained(&bus, "sales", "stock").await;
        assert!(stock(&db).await.is_empty());
        let (marks,): (i64,) = db.query("SELECT COUNT(*) FROM inbox").fetch_one().await.unwrap();
        assert_eq!(marks, 0, "a redriven dead letter is not a duplicate");
        runner.stop().await.unwrap();
    }

    async fn a_handler_without_a_transaction_is_idempotent_as_well(place: &Place) {
        let (db, bus) = (open(place).await, EventBus::memory());
        let calls = Arc::new(AtomicU32::new(0));
        let counting = async |event: Event<Sold>, State(calls): State<Arc<AtomicU32>>| -> Result<Emit, Failure> {
            calls.fetch_add(1, Ordering::Relaxed);
            lowered(&event)
        };
        let consumer = Consumer::new("stock", bus.clone()).state(calls.clone()).inbox(db.clone()).on(counting);
        let runner = Runner::start(consumer).await;
        let message = publish(&bus, "pen", 1).await;
        bus.publish(message).await.unwrap();
        drained(&bus, "sales", "stock").await;
        assert_eq!((calls.load(Ordering::Relaxed), waiting(&db).await), (1, 1));
        runner.stop().await.unwrap();
    }

    async fn a_statement_that_the_database_refused_is_not_swallowed(place: &Place) {
        // PostgreSQL would answer the commit with a silent rollback, and the event would be lost.
        let (db, bus) = (open(place).await, EventBus::memory());
        db.query("CREATE UNIQUE INDEX stock_once ON stock (item)").execute().await.unwrap();
        let swallowing = async |event: Event<Sold>, mut tx: Tx| -> Result<Emit, Failure> {
            let _ = write(&mut tx, &event).await;
            lowered(&event)
        };
        let runner = Runner::start(consumer("stock", &bus, &db).retry(Backoff::fixed(Duration::ZERO).attempts(2)).on(swallowing)).await;
        publish(&bus, "pen", 1).await;
        drained(&bus, "sales", "stock").await;
        publish(&bus, "pen", 2).await;
        drained(&bus, "sales", "stock").await;
        let dead = crate::runner::dead(&bus, "stock").await;
        assert_eq!(dead.len(), 1);
        assert!(dead[0].reason().contains("a statement that the database refused"), "{}", dead[0].reason());
        assert_eq!(waiting(&db).await, 1);
        runner.stop().await.unwrap();
    }

    async fn emitted_events_know_their_cause(place: &Place) {
        let (db, bus) = (open(place).await, EventBus::memory());
        let runner = Runner::start(consumer("stock", &bus, &db).on(lower)).await;
        let mut message = commerce_event_bus::Message::of(&sold("pen", 1)).unwrap();
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        message.event = message.event.with_transaction_id("order-7").unwrap().with_trace_parent(trace).unwrap();
        bus.publish(message.clone()).await.unwrap();
        drained(&bus, "sales", "stock").await;
        let (json,): (String,) = db.query("SELECT event FROM outbox").fetch_one().await.unwrap();
        let event = commerce_contracts::CloudEvent::from_json(json.as_bytes()).unwrap();
        assert_eq!(event.causation_id(), Some(message.event.id()));
        assert_eq!(event.transaction_id(), Some("order-7"));
        assert_eq!(event.trace_parent(), Some(trace));
        assert_eq!(event.decode::<StockLowered>().unwrap(), StockLowered { item: "pen".to_owned(), number: 1 });
        runner.stop().await.unwrap();
    }

    async fn old_marks_are_forgotten_and_young_ones_are_not(place: &Place) {
        let (db, bus) = (open(place).await, EventBus::memory());
        let mut tx = db.begin().await.unwrap();
        for (subscription, id, days) in [("stock", "old", 8), ("stock", "young", 6), ("another", "old", 8)] {
            tx.query("INSERT INTO inbox (subscription, source, event_id, handled_at) VALUES ($1, '/shop', $2, $3)")
                .bind(subscription).bind(id).bind(Utc::now() - chrono::Duration::days(days)).execute().await.unwrap();
        }
        // More than one batch of them.
        let many = "INSERT INTO inbox (subscription, source, event_id, handled_at)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
             SELECT 'stock', '/many', CAST(i AS TEXT), $1 FROM n";
        tx.query(many).bind(Utc::now() - chrono::Duration::days(30)).execute().await.unwrap();
        tx.commit().await.unwrap();
        let runner = Runner::start(consumer("stock", &bus, &db).on(lower)).await;
        until("the old ones are gone", async || {
            let (marks,): (i64,) = db.query("SELECT COUNT(*) FROM inbox").fetch_one().await.unwrap();
            marks == 2
        }).await;
        let left: Vec<(String, String)> = db.query("SELECT subscription, event_id FROM inbox ORDER BY subscription").fetch_all().await.unwrap();
        assert_eq!(left, [("another".to_owned(), "old".to_owned()), ("stock".to_owned(), "young".to_owned())]);
        runner.stop().await.unwrap();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    Panic,
    Dropped,
}

/// A layer that crashes the handler once it has written.
fn crashing(inner: Handle, written: Arc<Notify>, crash: Crash) -> Handle {
    BoxCloneSyncService::new(tower::service_fn(
        move |call: Call| -> BoxFuture<'static, Result<(), Failure>> {
            let (inner, written) = (inner.clone(), written.clone());
            Box::pin(async move {
                let handling = inner.oneshot(call);
                tokio::select! {
                    outcome = handling => outcome,
                    () = written.notified() => match crash {
                        Crash::Panic => panic!("crashed on purpose"),
                        Crash::Dropped => Err(Failure::retry("dropped on purpose")),
                    },
                }
            })
        },
    ))
}
