//! `GET /orders`, a page at a time.

use commerce_host::testing::Scratch;
use serde_json::Value;

use crate::shop::{Shop, problem};

async fn pages(scratch: Scratch) {
    let shop = Shop::open_on(scratch, "memory:").await;
    let mut ids = Vec::new();
    for number in 0..7 {
        let order = shop.order().await;
        if number % 3 == 0 {
            assert_eq!(shop.follow(&order, "cancel").await.status(), 200);
        }
        ids.push(order["order_id"].clone());
    }
    ids.reverse();
    assert_eq!(walk(&shop, "/orders?limit=3", &[3, 3, 1]).await, ids);
    assert_eq!(walk(&shop, "/orders", &[7]).await, ids);
    let cancelled = [&ids[0], &ids[3], &ids[6]].map(Clone::clone);
    assert_eq!(
        walk(&shop, "/orders?limit=2&state=CANCELLED", &[2, 1]).await,
        cancelled
    );
    assert_eq!(
        walk(&shop, "/orders?state=RECEIVED", &[0]).await,
        Vec::<Value>::new()
    );

    // What is created meanwhile moves nothing: the next page goes on where this one ended.
    let first: Value = shop.get("/orders?limit=4").await.json().await.unwrap();
    shop.order().await;
    assert_eq!(
        walk(
            &shop,
            first["_links"]["next"]["href"].as_str().unwrap(),
            &[3]
        )
        .await,
        ids[4..]
    );
    shop.close().await;
}

/// Follows `next` to the end.
async fn walk(shop: &Shop, start: &str, sizes: &[usize]) -> Vec<Value> {
    let (mut next, mut found, mut counts) = (Some(start.to_owned()), Vec::new(), Vec::new());
    while let Some(path) = next {
        let response = shop.get(&path).await;
        assert_eq!(response.status(), 200, "{path}");
        let page: Value = response.json().await.unwrap();
        let orders = page["_embedded"]["orders"].as_array().unwrap();
        assert_eq!(page["count"], orders.len());
        counts.push(orders.len());
        for order in orders {
            assert_eq!(
                &shop.read(order).await,
                order,
                "an order in a list is the order itself"
            );
            found.push(order["order_id"].clone());
        }
        next = page["_links"]["next"]["href"].as_str().map(str::to_owned);
    }
    assert_eq!(counts, sizes, "{start}");
    found
}

#[tokio::test]
async fn pages_follow_each_other_on_sqlite() {
    pages(Scratch::sqlite().unwrap()).await;
}

#[tokio::test]
async fn pages_follow_each_other_on_postgresql() {
    let Some(scratch) = Scratch::postgres().await.unwrap() else {
        return;
    };
    pages(scratch).await;
}

#[tokio::test]
async fn wrong_questions_are_told_what_would_be_right() {
    let shop = Shop::open().await;
    for query in [
        "limit=0",
        "limit=501",
        "limit=-1",
        "limit=many",
        "state=PAID",
        "state=created",
        "cursor=",
        "cursor=next",
        "cursor=zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        "cursor=%00",
        "page=2",
    ] {
        let problem = problem(shop.get(&format!("/orders?{query}")).await, 400).await;
        assert!(problem["detail"].is_string(), "{query}: {problem}");
    }
    shop.close().await;
}
