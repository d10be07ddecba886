//! `POST …/checkout` and `POST …/cancel`.

use commerce_contracts::commerce::{
    Currency, Money, OrderCancelled, OrderCreated, PaymentMethod, PaymentRequested,
};
use commerce_host::testing::Scratch;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::shop::{Shop, TOTAL, created, new_order, problem};

#[tokio::test]
async fn a_checkout_asks_for_the_payment() {
    let mut shop = Shop::open().await;
    let order = shop.order().await;
    shop.hear_of::<OrderCreated>().await;
    let path = order["_links"]["checkout"]["href"].as_str().unwrap();
    let request = shop
        .request(Method::POST, path)
        .header("x-request-id", "request-2")
        .header("x-transaction-id", "purchase-2");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let order: serde_json::Value = response.json().await.unwrap();
    assert_eq!(
        (&order["state"], &order["attempt"]),
        (&json!("CHECKOUT"), &json!(1))
    );
    assert_eq!(shop.read(&order).await, order);
    assert!(
        order["_links"].get("checkout").is_none() && order["_links"].get("cancel").is_none(),
        "{order}"
    );

    let (event, requested) = shop.hear_of::<PaymentRequested>().await;
    assert_eq!(
        (event.transaction_id(), event.causation_id()),
        (Some("purchase-2"), Some("request-2"))
    );
    assert_eq!(event.key(), order["order_id"].as_str());
    assert_eq!(
        (requested.attempt, requested.amount),
        (1, Money::new(TOTAL, Currency::BRL))
    );
    assert_eq!(
        (requested.method, requested.installments),
        (PaymentMethod::CreditCard, 3)
    );

    let history = shop.history(&order).await;
    assert_eq!(history.len(), 2);
    assert_eq!(
        (&history[1]["from"], &history[1]["to"]),
        (&json!("CREATED"), &json!("CHECKOUT"))
    );
    assert_eq!(
        (&history[1]["cause"], &history[1]["transaction_id"]),
        (&json!("request-2"), &json!("purchase-2"))
    );
    assert_eq!(history[1]["at"], order["updated_at"]);
    shop.close().await;
}

#[tokio::test]
async fn what_the_state_does_not_allow_is_a_conflict_and_changes_nothing() {
    let mut shop = Shop::open().await;
    let order = shop.order().await;
    shop.follow(&order, "checkout").await;
    let before = shop.read(&order).await;
    // The links are those of the order as it was first.
    let again = problem(shop.follow(&order, "checkout").await, 409).await;
    assert_eq!(
        again["detail"],
        "an order that is CHECKOUT cannot be checked out"
    );
    let cancel = problem(shop.follow(&order, "cancel").await, 409).await;
    assert_eq!(
        cancel["detail"],
        "an order that is CHECKOUT cannot be cancelled"
    );
    assert_eq!(shop.read(&order).await, before);
    // Before there is another order: events of two orders come in any order.
    shop.hear_of::<OrderCreated>().await;
    shop.hear_of::<PaymentRequested>().await;

    let mut draft = new_order(Uuid::now_v7());
    draft["items"] = json!([]);
    let draft = created(shop.post("/orders", &draft).await).await;
    let path = format!("/orders/{}/checkout", draft["order_id"].as_str().unwrap());
    let refused = problem(shop.request(Method::POST, &path).send().await.unwrap(), 409).await;
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("nothing to pay"),
        "{refused}"
    );

    shop.hear_of::<OrderCreated>().await;
    shop.follow(&draft, "cancel").await;
    shop.hear_of::<OrderCancelled>().await;
    shop.close().await;
}

#[tokio::test]
async fn a_cancelled_order_says_why_and_is_final() {
    let mut shop = Shop::open().await;
    let order = shop.order().await;
    shop.hear_of::<OrderCreated>().await;
    let path = order["_links"]["cancel"]["href"].as_str().unwrap();
    let response = shop
        .post(path, &json!({ "reason": "changed her mind" }))
        .await;
    assert_eq!(response.status(), 200);
    let order: serde_json::Value = response.json().await.unwrap();
    assert_eq!(order["state"], "CANCELLED");
    let links: Vec<&String> = order["_links"].as_object().unwrap().keys().collect();
    assert_eq!(links, ["collection", "history", "self"]);
    let (_, cancelled) = shop.hear_of::<OrderCancelled>().await;
    assert_eq!(
        (cancelled.reason.as_str(), cancelled.total.amount_minor),
        ("changed her mind", TOTAL)
    );
    assert_eq!(shop.history(&order).await[1]["reason"], "changed her mind");
    problem(shop.post(path, &json!({})).await, 409).await;
    shop.close().await;
}

#[tokio::test]
async fn a_request_that_comes_again_under_its_key_is_done_once() {
    let mut shop = Shop::open().await;
    let order = shop.order().await;
    shop.hear_of::<OrderCreated>().await;
    let path = order["_links"]["checkout"]["href"].as_str().unwrap();
    let mut answers = Vec::new();
    for _ in 0..3 {
        let response = shop
            .request(Method::POST, path)
            .header("idempotency-key", "checkout-1")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        answers.push(response.json::<serde_json::Value>().await.unwrap());
    }
    assert_eq!(answers[0]["attempt"], 1);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let other = shop
        .request(Method::POST, path)
        .header("idempotency-key", "checkout-2")
        .send()
        .await
        .unwrap();
    problem(other, 409).await;
    assert_eq!(shop.history(&order).await.len(), 2);

    shop.hear_of::<PaymentRequested>().await;
    let next = shop.order().await;
    assert_eq!(
        json!(shop.hear_of::<OrderCreated>().await.1.order_id),
        next["order_id"]
    );
    shop.close().await;
}

async fn a_key_is_for_one_request(scratch: Scratch) {
    let mut shop = Shop::open_on(scratch, "memory:").await;
    let id = Uuid::now_v7();
    let request = async |path: &str, key: &str, body: &serde_json::Value| {
        let request = shop.request(Method::POST, path).json(body);
        request.header("idempotency-key", key).send().await.unwrap()
    };
    let order = created(request("/orders", "key-0", &new_order(id)).await).await;
    let (checkout, cancel) = (
        format!("/orders/{id}/checkout"),
        format!("/orders/{id}/cancel"),
    );
    let pix = json!({ "payment": { "method": "pix", "installments": 1 } });
    let done = request(&checkout, "key-1", &pix).await;
    assert_eq!(done.status(), 200);
    let now: serde_json::Value = done.json().await.unwrap();

    let boleto = json!({ "payment": { "method": "boleto", "installments": 1 } });
    for (path, key, body) in [
        // Another operation, another body, the key of the order itself.
        (&cancel, "key-1", &json!({})),
        (&checkout, "key-1", &boleto),
        (&checkout, "key-1", &json!({})),
        (&checkout, "key-0", &pix),
        (&cancel, "key-0", &json!({ "reason": "changed her mind" })),
    ] {
        let refused = problem(request(path, key, body).await, 422).await;
        assert_eq!(
            refused["type"], "/problems/idempotency-key-reused",
            "{path} {body}"
        );
    }
    let again = request(&checkout, "key-1", &pix).await;
    assert_eq!(again.status(), 200);
    assert_eq!(again.json::<serde_json::Value>().await.unwrap(), now);
    assert_eq!(shop.history(&order).await.len(), 2);
    shop.hear_of::<OrderCreated>().await;
    shop.hear_of::<PaymentRequested>().await;
    let next = shop.order().await;
    assert_eq!(
        json!(shop.hear_of::<OrderCreated>().await.1.order_id),
        next["order_id"]
    );
    shop.close().await;
}

#[tokio::test]
async fn a_key_is_for_one_request_on_sqlite() {
    a_key_is_for_one_request(Scratch::sqlite().unwrap()).await;
}

#[tokio::test]
async fn a_key_is_for_one_request_on_postgresql() {
    let Some(scratch) = Scratch::postgres().await.unwrap() else {
        return;
    };
    a_key_is_for_one_request(scratch).await;
}

#[tokio::test]
async fn how_it_is_paid_can_be_said_at_the_checkout() {
    let mut shop = Shop::open().await;
    let mut body = new_order(Uuid::now_v7());
    body.as_object_mut().unwrap().remove("payment");
    let order = created(shop.post("/orders", &body).await).await;
    assert!(order.get("payment").is_none());
    let refused = problem(shop.follow(&order, "checkout").await, 422).await;
    assert_eq!(refused["errors"][0]["pointer"], "/payment");
    assert_eq!(shop.read(&order).await, order);

    let path = order["_links"]["checkout"]["href"].as_str().unwrap();
    let response = shop
        .post(
            path,
            &json!({ "payment": { "method": "pix", "installments": 1 } }),
        )
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(shop.read(&order).await["payment"]["method"], "pix");
    shop.hear_of::<OrderCreated>().await;
    assert_eq!(
        shop.hear_of::<PaymentRequested>().await.1.method,
        PaymentMethod::Pix
    );
    shop.close().await;
}

/// Checkouts and cancellations at the same time: one of them happens.
async fn one_wins(scratch: Scratch) {
    let mut shop = Shop::open_on(scratch, "memory:").await;
    let order = shop.order().await;
    shop.hear_of::<OrderCreated>().await;
    let answers = tokio::join!(
        shop.follow(&order, "checkout"),
        shop.follow(&order, "cancel"),
        shop.follow(&order, "checkout"),
        shop.follow(&order, "cancel"),
        shop.follow(&order, "checkout"),
    );
    let mut statuses: Vec<u16> = [answers.0, answers.1, answers.2, answers.3, answers.4]
        .iter()
        .map(|answer| answer.status().as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409]);
    let event = shop.hear().await;
    let now = shop.read(&order).await;
    let state = if event.decode::<PaymentRequested>().is_ok() {
        "CHECKOUT"
    } else {
        "CANCELLED"
    };
    assert_eq!(now["state"], state);
    assert_eq!(shop.history(&order).await.len(), 2);
    let next = shop.order().await;
    assert_eq!(
        json!(shop.hear_of::<OrderCreated>().await.1.order_id),
        next["order_id"],
        "one event for one change"
    );
    shop.close().await;
}

#[tokio::test]
async fn of_many_at_once_one_wins_on_sqlite() {
    one_wins(Scratch::sqlite().unwrap()).await;
}

#[tokio::test]
async fn of_many_at_once_one_wins_on_postgresql() {
    let Some(scratch) = Scratch::postgres().await.unwrap() else {
        return;
    };
    one_wins(scratch).await;
}
