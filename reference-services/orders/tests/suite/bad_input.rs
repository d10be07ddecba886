//! What is wrong is answered with a problem that says so, and has no effect.

use commerce_contracts::commerce::OrderCreated;
use commerce_host::testing::Tokens;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shop::{Shop, brl, new_order, problem};

/// No order exists and none was announced: the first event is of the order that is created now.
async fn had_no_effect(mut shop: Shop) {
    let list: Value = shop.get("/orders").await.json().await.unwrap();
    assert_eq!(list["count"], 0);
    let order = shop.order().await;
    assert_eq!(
        json!(shop.hear_of::<OrderCreated>().await.1.order_id),
        order["order_id"]
    );
    shop.close().await;
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let shop = Shop::open().await;
    let post = |content_type: &'static str, body: String| {
        shop.request(Method::POST, "/orders")
            .header("content-type", content_type)
            .body(body)
            .send()
    };
    let good = new_order(Uuid::now_v7()).to_string();
    for body in [
        "",
        "{",
        "order",
        &good[..good.len() - 1],
        &format!("{good}{good}"),
        "\u{0}",
    ] {
        problem(
            post("application/json", body.to_owned()).await.unwrap(),
            400,
        )
        .await;
    }
    problem(post("text/plain", good.clone()).await.unwrap(), 415).await;
    problem(
        shop.request(Method::POST, "/orders").send().await.unwrap(),
        415,
    )
    .await;
    problem(
        post(
            "application/json",
            format!("{good}{}", " ".repeat(1024 * 1024)),
        )
        .await
        .unwrap(),
        413,
    )
    .await;
    had_no_effect(shop).await;
}

#[tokio::test]
async fn wrong_types_and_unknown_fields_are_named() {
    let shop = Shop::open().await;
    let change = |pointer: &str, value: Value| {
        let mut body = new_order(Uuid::now_v7());
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[field] = value;
        body
    };
    for (pointer, value) in [
        ("/order_id", json!("1001")),
        ("/reference", json!(7)),
        ("/customer/customer_id", json!(null)),
        ("/customer/phone", json!("55 11 1234")),
        ("/items", json!({})),
        ("/freight/amount_minor", json!(15.5)),
        ("/freight/amount_minor", json!("1550")),
        ("/payment/method", json!("cash")),
        ("/payment/installments", json!(-1)),
        ("/total", brl(1)),
        ("/organization_id", json!(Uuid::now_v7())),
    ] {
        let problem = problem(
            shop.post("/orders", &change(pointer, value.clone())).await,
            422,
        )
        .await;
        assert_eq!(
            problem["errors"][0]["pointer"], pointer,
            "{value}: {problem}"
        );
    }
    let mut missing = new_order(Uuid::now_v7());
    missing["items"][1]
        .as_object_mut()
        .unwrap()
        .remove("quantity");
    let problem = problem(shop.post("/orders", &missing).await, 422).await;
    assert_eq!(
        problem["errors"][0],
        json!({ "pointer": "/items/1", "detail": "missing field `quantity`" })
    );
    had_no_effect(shop).await;
}

#[tokio::test]
async fn every_mistake_is_told_at_once() {
    let shop = Shop::open().await;
    let mut body = new_order(Uuid::now_v7());
    body["reference"] = json!("");
    body["customer"]["name"] = json!("Ana\r\nBcc: everybody@shop.example");
    body["customer"]["email"] = json!("ana..b@shop.example");
    body["items"] = json!([
        { "sku": " ", "name": "", "quantity": 0, "unit_price": { "amount_minor": -1, "currency": "USD" } },
        { "sku": "LAMP-1", "name": "Lamp", "quantity": 1, "unit_price": { "amount_minor": 1, "currency": "R$" } },
    ]);
    body["payment"]["installments"] = json!(0);
    let problem = problem(shop.post("/orders", &body).await, 422).await;
    let mut pointers: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/customer/email",
            "/customer/name",
            "/items/0/name",
            "/items/0/quantity",
            "/items/0/sku",
            "/items/0/unit_price/amount_minor",
            "/items/0/unit_price/currency",
            "/items/1/unit_price/currency",
            "/payment/installments",
            "/reference",
        ]
    );
    assert!(
        !problem.to_string().contains("everybody"),
        "values are not repeated: {problem}"
    );
    had_no_effect(shop).await;
}

#[tokio::test]
async fn orders_that_are_too_large_are_refused() {
    let shop = Shop::open().await;
    let mut body = new_order(Uuid::now_v7());
    body["items"][0]["unit_price"] = brl(i64::MAX);
    let too_much = problem(shop.post("/orders", &body).await, 422).await;
    assert_eq!(
        too_much["errors"][0],
        json!({ "pointer": "/items", "detail": "the total is too large" })
    );
    let mut body = new_order(Uuid::now_v7());
    let line = body["items"][0].clone();
    body["items"] = Value::Array(vec![line; 501]);
    let too_many = problem(shop.post("/orders", &body).await, 422).await;
    assert_eq!(
        too_many["errors"][0],
        json!({ "pointer": "/items", "detail": "an order has 500 lines at most" })
    );
    had_no_effect(shop).await;
}

#[tokio::test]
async fn who_is_not_known_or_not_allowed_does_nothing() {
    let shop = Shop::open().await;
    let body = new_order(Uuid::now_v7());
    let create = "orders.order.create";
    let post = |token: String| {
        shop.anonymous(Method::POST, "/orders")
            .bearer_auth(token)
            .json(&body)
            .send()
    };
    let mut expired = Tokens::claims(Some(shop.organization), &[create]);
    expired["exp"] = json!(1_700_000_000);
    let mut elsewhere = Tokens::claims(Some(shop.organization), &[create]);
    elsewhere["aud"] = json!("another-platform");
    let good = shop.tokens.token(shop.organization, &[create]).unwrap();
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    for (token, what) in [
        (shop.tokens.sign(&expired).unwrap(), "expired"),
        (
            shop.tokens.sign(&elsewhere).unwrap(),
            "for another audience",
        ),
        (
            Tokens::new()
                .unwrap()
                .token(shop.organization, &[create])
                .unwrap(),
            "forged with another key",
        ),
        (format!("{unsigned}."), "without its signature"),
        ("token".to_owned(), "no token at all"),
    ] {
        let response = post(token).await.unwrap();
        assert!(
            response.headers().contains_key("www-authenticate"),
            "{what}"
        );
        problem(response, 401).await;
    }
    let missing = shop
        .anonymous(Method::POST, "/orders")
        .json(&body)
        .send()
        .await
        .unwrap();
    problem(missing, 401).await;

    let other = ["orders.order.read", "orders.order.checkout"];
    let forbidden = problem(
        post(shop.tokens.token(shop.organization, &other).unwrap())
            .await
            .unwrap(),
        403,
    )
    .await;
    assert!(
        forbidden["detail"].as_str().unwrap().contains(create),
        "{forbidden}"
    );
    let nobodys = shop.tokens.sign(&Tokens::claims(None, &[create])).unwrap();
    problem(post(nobodys).await.unwrap(), 403).await;
    had_no_effect(shop).await;
}

#[tokio::test]
async fn every_operation_asks_for_its_own_permission() {
    let mut shop = Shop::open().await;
    let order = shop.order().await;
    let path = order["_links"]["self"]["href"].as_str().unwrap().to_owned();
    let none = shop.tokens.token(shop.organization, &[]).unwrap();
    for (method, path, permission) in [
        (Method::GET, "/orders".to_owned(), "orders.order.read"),
        (Method::GET, path.clone(), "orders.order.read"),
        (Method::GET, format!("{path}/history"), "orders.order.read"),
        (
            Method::POST,
            format!("{path}/checkout"),
            "orders.order.checkout",
        ),
        (
            Method::POST,
            format!("{path}/cancel"),
            "orders.order.cancel",
        ),
    ] {
        let response = shop
            .anonymous(method, &path)
            .bearer_auth(&none)
            .send()
            .await
            .unwrap();
        let forbidden = problem(response, 403).await;
        assert!(
            forbidden["detail"].as_str().unwrap().contains(permission),
            "{path}: {forbidden}"
        );
    }
    assert_eq!(shop.read(&order).await, order);
    shop.hear_of::<OrderCreated>().await;
    shop.order().await;
    shop.hear_of::<OrderCreated>().await;
    shop.close().await;
}

#[tokio::test]
async fn bodies_and_keys_of_transitions_are_checked() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let path = order["_links"]["self"]["href"].as_str().unwrap();
    for (transition, body) in [
        (
            "checkout",
            json!({ "payment": { "method": "pix", "installments": 100 } }),
        ),
        ("checkout", json!({ "payment": { "method": "pix" } })),
        ("checkout", json!({ "method": "pix" })),
        ("cancel", json!({ "reason": "" })),
        ("cancel", json!({ "reason": "a\nb" })),
        ("cancel", json!({ "reason": 1 })),
        ("cancel", json!({ "because": "…" })),
    ] {
        problem(shop.post(&format!("{path}/{transition}"), &body).await, 422).await;
    }
    // A body that nobody has said to be JSON, whole or cut off, is not taken for none.
    for body in [
        r#"{"payment":{"method":"pix","installments":1}}"#,
        r#"{"pay"#,
    ] {
        let request = shop.request(Method::POST, &format!("{path}/checkout"));
        problem(request.body(body).send().await.unwrap(), 415).await;
    }
    let long = "k".repeat(256);
    for key in ["", "\u{e4}", &long] {
        let request = shop
            .request(Method::POST, &format!("{path}/checkout"))
            .header("idempotency-key", key.as_bytes());
        problem(request.send().await.unwrap(), 400).await;
    }
    for id in [
        "1",
        "not-a-uuid",
        "%00",
        "0192f0c1-5f00-7000-8000-00000000000g",
    ] {
        problem(
            shop.request(Method::POST, &format!("/orders/{id}/checkout"))
                .send()
                .await
                .unwrap(),
            404,
        )
        .await;
        problem(shop.get(&format!("/orders/{id}")).await, 404).await;
    }
    problem(
        shop.request(Method::DELETE, path).send().await.unwrap(),
        405,
    )
    .await;
    assert_eq!(shop.read(&order).await, order);
    shop.close().await;
}
