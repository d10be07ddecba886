//! `POST /orders` and what can be seen of the order afterwards.

use commerce_contracts::commerce::{Currency, Money, OrderCancelled, OrderCreated};
use commerce_host::testing::Scratch;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shop::{EVERYTHING, Shop, TOTAL, brl, created, new_order, problem};

#[tokio::test]
async fn a_created_order_is_answered_stored_and_announced() {
    let mut shop = Shop::open().await;
    let id = Uuid::now_v7();
    let request = shop
        .request(Method::POST, "/orders")
        .header("x-request-id", "request-1")
        .header("x-transaction-id", "purchase-1");
    let response = request.json(&new_order(id)).send().await.unwrap();
    assert_eq!(response.headers()["location"], format!("/orders/{id}"));
    assert_eq!(response.headers()["content-type"], "application/hal+json");
    let order = created(response).await;
    assert_eq!(
        (&order["order_id"], &order["state"], &order["attempt"]),
        (&json!(id), &json!("CREATED"), &json!(0))
    );
    assert_eq!(order["total"], brl(TOTAL));
    assert_eq!(
        order["payment"],
        json!({ "method": "credit_card", "installments": 3 })
    );
    assert_eq!(shop.read(&order).await, order);

    let (event, data) = shop.hear_of::<OrderCreated>().await;
    assert_eq!(
        (event.key(), event.source()),
        (Some(id.to_string().as_str()), "/orders")
    );
    assert_eq!(
        (event.transaction_id(), event.causation_id()),
        (Some("purchase-1"), Some("request-1"))
    );
    assert_eq!(
        (data.organization_id.as_uuid(), data.order_id.as_uuid()),
        (shop.organization, id)
    );
    assert_eq!(data.total, Money::new(TOTAL, Currency::BRL));
    assert_eq!(
        (data.items.len(), data.reference.as_deref()),
        (2, Some("S-1001"))
    );
    assert_eq!(json!(data.created_at), order["created_at"]);

    let history = shop.history(&order).await;
    assert_eq!(
        history,
        [
            json!({ "to": "CREATED", "attempt": 0, "at": order["created_at"], "cause": "request-1", "transaction_id": "purchase-1" })
        ]
    );
    shop.close().await;
}

#[tokio::test]
async fn links_offer_what_is_allowed_now() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let id = order["order_id"].as_str().unwrap();
    let links = |order: &Value| {
        order["_links"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        links(&order),
        ["cancel", "checkout", "collection", "history", "self"]
    );
    assert_eq!(
        order["_links"]["checkout"]["href"],
        format!("/orders/{id}/checkout")
    );

    let mut draft = new_order(Uuid::now_v7());
    draft["items"] = json!([]);
    let draft = created(shop.post("/orders", &draft).await).await;
    assert_eq!(draft["total"], brl(1550));
    assert_eq!(links(&draft), ["cancel", "collection", "history", "self"]);

    let mut gift = new_order(Uuid::now_v7());
    gift["items"] = json!([{ "sku": "GIFT", "name": "Gift", "quantity": 1, "unit_price": brl(0) }]);
    gift["freight"] = brl(0);
    let gift = created(shop.post("/orders", &gift).await).await;
    assert_eq!(links(&gift), ["cancel", "collection", "history", "self"]);

    let entry: Value = shop.get("/").await.json().await.unwrap();
    assert_eq!(
        entry["_links"]["orders"],
        json!({ "href": "/orders{?cursor,limit,state}", "templated": true })
    );
    shop.close().await;
}

#[tokio::test]
async fn links_offer_what_the_caller_may_do() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let path = order["_links"]["self"]["href"].as_str().unwrap();
    let links = async |permissions: &[&str], method: Method, path: &str| {
        let token = shop.tokens.token(shop.organization, permissions).unwrap();
        let request = shop.anonymous(method, path).bearer_auth(token);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let order = answer["_embedded"]["orders"].get(0).unwrap_or(&answer);
        order["_links"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let (read, cancel) = ("orders.order.read", "orders.order.cancel");
    for path in [path, "/orders"] {
        assert_eq!(
            links(&[read], Method::GET, path).await,
            ["collection", "history", "self"]
        );
        assert_eq!(
            links(&[read, cancel], Method::GET, path).await,
            ["cancel", "collection", "history", "self"]
        );
    }
    // Who may not read is not sent to read.
    let checkout = format!("{path}/checkout");
    assert_eq!(
        links(&["orders.order.checkout"], Method::POST, &checkout).await,
        ["self"]
    );
    shop.close().await;
}

#[tokio::test]
async fn an_order_posted_twice_is_one_order() {
    let mut shop = Shop::open().await;
    let id = Uuid::now_v7();
    let order = created(shop.post("/orders", &new_order(id)).await).await;
    // It is the same however it is written.
    let spaced = serde_json::to_string_pretty(&new_order(id)).unwrap();
    let spaced = shop
        .request(Method::POST, "/orders")
        .header("content-type", "application/json")
        .body(spaced);
    for again in [
        shop.post("/orders", &new_order(id)).await,
        spaced.send().await.unwrap(),
    ] {
        assert_eq!(again.status(), 303);
        assert_eq!(again.headers()["location"], format!("/orders/{id}"));
    }
    assert_eq!(shop.read(&order).await, order);
    assert_eq!(shop.history(&order).await.len(), 1);

    // Nothing was announced for the second: the next event is of the next order.
    assert_eq!(
        shop.hear_of::<OrderCreated>().await.1.order_id.as_uuid(),
        id
    );
    let next = shop.order().await;
    assert_eq!(
        json!(shop.hear_of::<OrderCreated>().await.1.order_id),
        next["order_id"]
    );
    shop.close().await;
}

#[tokio::test]
async fn another_order_under_the_same_id_is_refused() {
    let mut shop = Shop::open().await;
    let id = Uuid::now_v7();
    let order = created(shop.post("/orders", &new_order(id)).await).await;
    let mut altered = new_order(id);
    altered["freight"] = brl(999_999);
    let mut unpaid = new_order(id);
    unpaid.as_object_mut().unwrap().remove("payment");
    for other in [altered, unpaid] {
        let refused = shop.post("/orders", &other).await;
        assert!(!refused.headers().contains_key("location"));
        let refused = problem(refused, 422).await;
        assert_eq!(refused["errors"][0]["pointer"], "/order_id", "{refused}");
    }
    assert_eq!(shop.read(&order).await, order);
    assert_eq!(shop.history(&order).await.len(), 1);
    shop.hear_of::<OrderCreated>().await;
    let next = shop.order().await;
    assert_eq!(
        json!(shop.hear_of::<OrderCreated>().await.1.order_id),
        next["order_id"]
    );
    shop.close().await;
}

async fn a_key_names_one_request(scratch: Scratch) {
    let mut shop = Shop::open_on(scratch, "memory:").await;
    let post = async |key: &str, body: &Value| {
        let request = shop.request(Method::POST, "/orders").json(body);
        request.header("idempotency-key", key).send().await.unwrap()
    };
    let mut without_id = new_order(Uuid::nil());
    without_id.as_object_mut().unwrap().remove("order_id");
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());

    // With an id, without one: the key counts.
    created(post("cart-1", &new_order(first)).await).await;
    let again = post("cart-1", &new_order(first)).await;
    assert_eq!(again.status(), 303);
    assert_eq!(again.headers()["location"], format!("/orders/{first}"));
    let made = post("cart-2", &without_id).await;
    let location = made.headers()["location"].clone();
    let made = created(made).await;

    let mut altered = without_id.clone();
    altered["freight"] = brl(999_999);
    for (key, other) in [
        ("cart-1", new_order(second)),
        ("cart-1", without_id.clone()),
        ("cart-2", new_order(second)),
        ("cart-2", altered),
    ] {
        let refused = problem(post(key, &other).await, 422).await;
        assert_eq!(refused["type"], "/problems/idempotency-key-reused");
    }
    assert_eq!(
        post("cart-2", &without_id).await.headers()["location"],
        location
    );
    // The id is that of an order, whatever the key.
    assert_eq!(post("cart-3", &new_order(first)).await.status(), 303);
    assert_eq!(shop.read(&made).await, made);
    let list: Value = shop.get("/orders").await.json().await.unwrap();
    assert_eq!(list["count"], 2);
    // The refused id is free.
    let next = created(post("cart-4", &new_order(second)).await).await;
    shop.hear_of::<OrderCreated>().await;
    shop.hear_of::<OrderCreated>().await;
    assert_eq!(
        json!(shop.hear_of::<OrderCreated>().await.1.order_id),
        next["order_id"]
    );

    // Another organization's keys are its own.
    let stranger = shop.tokens.token(Uuid::now_v7(), &EVERYTHING).unwrap();
    let theirs = shop
        .anonymous(Method::POST, "/orders")
        .bearer_auth(&stranger)
        .header("idempotency-key", "cart-1")
        .json(&without_id);
    assert_eq!(theirs.send().await.unwrap().status(), 201);
    shop.close().await;
}

#[tokio::test]
async fn a_key_names_one_request_on_sqlite() {
    a_key_names_one_request(Scratch::sqlite().unwrap()).await;
}

#[tokio::test]
async fn a_key_names_one_request_on_postgresql() {
    let Some(scratch) = Scratch::postgres().await.unwrap() else {
        return;
    };
    a_key_names_one_request(scratch).await;
}

#[tokio::test]
async fn without_an_id_the_idempotency_key_tells_orders_apart() {
    let shop = Shop::open().await;
    let mut body = new_order(Uuid::nil());
    body.as_object_mut().unwrap().remove("order_id");
    let post = |key: Option<&str>| {
        let request = shop.request(Method::POST, "/orders").json(&body);
        match key {
            Some(key) => request.header("idempotency-key", key).send(),
            None => request.send(),
        }
    };
    let first = post(Some("cart-1")).await.unwrap();
    let location = first.headers()["location"].clone();
    created(first).await;
    let again = post(Some("cart-1")).await.unwrap();
    assert_eq!(
        (again.status().as_u16(), again.headers()["location"].clone()),
        (303, location.clone())
    );
    for other in [Some("cart-2"), None, None] {
        let other = post(other).await.unwrap();
        assert_eq!(other.status(), 201);
        assert_ne!(other.headers()["location"], location);
    }
    shop.close().await;
}

async fn many_at_once_create_one(scratch: Scratch) {
    let shop = Shop::open_on(scratch, "memory:").await;
    let body = new_order(Uuid::now_v7());
    let statuses = tokio::join!(
        shop.post("/orders", &body),
        shop.post("/orders", &body),
        shop.post("/orders", &body),
        shop.post("/orders", &body),
        shop.post("/orders", &body),
    );
    let mut statuses: Vec<u16> = [statuses.0, statuses.1, statuses.2, statuses.3, statuses.4]
        .iter()
        .map(|response| response.status().as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 303, 303, 303, 303]);
    shop.close().await;
}

#[tokio::test]
async fn of_many_at_once_one_creates_on_sqlite() {
    many_at_once_create_one(Scratch::sqlite().unwrap()).await;
}

#[tokio::test]
async fn of_many_at_once_one_creates_on_postgresql() {
    let Some(scratch) = Scratch::postgres().await.unwrap() else {
        return;
    };
    many_at_once_create_one(scratch).await;
}

#[tokio::test]
async fn another_organization_sees_nothing_and_changes_nothing() {
    let mut shop = Shop::open().await;
    let order = shop.order().await;
    let id = order["order_id"].as_str().unwrap();
    let stranger = shop.tokens.token(Uuid::now_v7(), &EVERYTHING).unwrap();
    for (method, path) in [
        (Method::GET, format!("/orders/{id}")),
        (Method::GET, format!("/orders/{id}/history")),
        (Method::POST, format!("/orders/{id}/checkout")),
        (Method::POST, format!("/orders/{id}/cancel")),
    ] {
        let response = shop
            .anonymous(method, &path)
            .bearer_auth(&stranger)
            .send()
            .await
            .unwrap();
        let foreign = problem(response, 404).await;
        // Like an order that does not exist at all.
        let missing = problem(shop.get(&format!("/orders/{}", Uuid::now_v7())).await, 404).await;
        assert_eq!(foreign, missing, "{path}");
    }
    let list: Value = shop
        .anonymous(Method::GET, "/orders")
        .bearer_auth(&stranger)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&list["count"], &list["_embedded"]["orders"]),
        (&json!(0), &json!([]))
    );
    let taken = shop
        .anonymous(Method::POST, "/orders")
        .bearer_auth(&stranger);
    let taken = taken
        .json(&new_order(id.parse().unwrap()))
        .send()
        .await
        .unwrap();
    assert!(!taken.headers().contains_key("location"));
    problem(taken, 409).await;

    assert_eq!(shop.read(&order).await, order);
    shop.hear_of::<OrderCreated>().await;
    shop.follow(&order, "cancel").await;
    shop.hear_of::<OrderCancelled>().await;
    shop.close().await;
}

#[tokio::test]
async fn the_api_describes_itself() {
    let shop = Shop::open().await;
    let document: Value = shop.get("/openapi/orders.json").await.json().await.unwrap();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        paths,
        [
            "/orders",
            "/orders/{order_id}",
            "/orders/{order_id}/cancel",
            "/orders/{order_id}/checkout",
            "/orders/{order_id}/history"
        ]
    );
    let body = &document["components"]["schemas"]["NewOrder"]["properties"];
    for property in [
        "order_id",
        "reference",
        "customer",
        "items",
        "freight",
        "payment",
    ] {
        assert!(body[property].is_object(), "{property}: {document}");
    }
    let states = &document["components"]["schemas"]["State"]["enum"];
    assert_eq!(
        states,
        &json!([
            "CREATED",
            "CHECKOUT",
            "RECEIVED",
            "PAYMENT_PENDING",
            "CANCELLED"
        ])
    );
    shop.close().await;
}
