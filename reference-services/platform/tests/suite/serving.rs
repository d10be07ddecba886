//! All services behind one address.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shop::{Shop, TOTAL, new_order, problem};

#[tokio::test]
async fn the_entry_point_leads_to_every_service() {
    let shop = Shop::open().await;
    let entry: Value = serde_json::from_str(&shop.text("/").await).unwrap();
    for relation in [
        "token",
        "organizations",
        "orders",
        "order",
        "payments",
        "payment",
        "notifications",
        "notification",
        "health",
        "metrics",
        "docs",
    ] {
        let href = entry["_links"][relation]["href"].as_str();
        assert!(href.is_some(), "{relation}: {entry}");
    }
    for relation in ["orders", "payments", "notifications"] {
        let href = entry["_links"][relation]["href"].as_str().unwrap();
        let page = shop.get(href.split('{').next().unwrap()).await;
        assert!(page["_links"]["self"]["href"].is_string(), "{page}");
    }

    let docs = shop.text("/docs/swagger-initializer.js").await;
    for (service, path) in [
        ("identity", "/oauth/token"),
        ("orders", "/orders/{order_id}/checkout"),
        ("payments", "/webhooks/payment-provider"),
        ("notifications", "/notifications"),
    ] {
        let document = format!("/openapi/{service}.json");
        assert!(docs.contains(&document), "{docs}");
        let document: Value = serde_json::from_str(&shop.text(&document).await).unwrap();
        assert!(document["paths"][path].is_object(), "{service}: {document}");
    }
    assert!(shop.text("/docs/").await.contains("swagger-ui"));

    assert_eq!(
        shop.anonymous(Method::GET, "/health/live")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let ready = shop
        .eventually("/health/ready", |ready| ready["status"] == "ready")
        .await;
    let checks: Vec<&str> = ready["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    for check in [
        "bus",
        "database identity",
        "database orders",
        "database payments",
        "tokens",
    ] {
        assert!(checks.contains(&check), "{check}: {checks:?}");
    }
    let metrics = shop.text("/metrics").await;
    assert!(metrics.contains("http_route=\"/oauth/token\""), "{metrics}");
    shop.close().await;
}

#[tokio::test]
async fn what_is_wrong_is_a_problem_and_changes_nothing() {
    let shop = Shop::open().await;
    let id = Uuid::now_v7();
    let body = new_order(id).to_string();
    let post = || {
        shop.request(Method::POST, "/orders")
            .header("content-type", "application/json")
    };
    let cut_off = body[..body.len() - 1].to_owned();
    problem(post().body(cut_off).send().await.unwrap(), 400).await;
    let oversize = format!("{body}{}", " ".repeat(1024 * 1024));
    problem(post().body(oversize).send().await.unwrap(), 413).await;
    let mut wrong = new_order(id);
    wrong["freight"] = json!("much");
    let wrong = problem(post().json(&wrong).send().await.unwrap(), 422).await;
    assert_eq!(wrong["errors"][0]["pointer"], "/freight");

    let anonymous = shop.anonymous(Method::POST, "/orders").json(&new_order(id));
    problem(anonymous.send().await.unwrap(), 401).await;
    let forged = shop
        .anonymous(Method::GET, "/payments")
        .bearer_auth("a.b.c");
    problem(forged.send().await.unwrap(), 401).await;
    let webhook = shop.anonymous(Method::POST, "/webhooks/payment-provider");
    problem(webhook.body("{}").send().await.unwrap(), 400).await;
    problem(
        shop.request(Method::GET, "/nothing").send().await.unwrap(),
        404,
    )
    .await;
    problem(
        shop.request(Method::DELETE, "/orders")
            .send()
            .await
            .unwrap(),
        405,
    )
    .await;
    assert_eq!(shop.get("/orders").await["count"], 0);

    // Another organization's order is not there.
    let created = shop.request(Method::POST, "/orders").json(&new_order(id));
    assert_eq!(created.send().await.unwrap().status(), 201);
    let stranger = shop.register().await;
    let path = format!("/orders/{id}");
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::POST, format!("{path}/checkout")),
        (Method::POST, format!("{path}/cancel")),
    ] {
        let request = shop.anonymous(method, &path).bearer_auth(&stranger);
        problem(request.send().await.unwrap(), 404).await;
    }
    assert_eq!(shop.get(&path).await["state"], "CREATED");
    shop.close().await;
}

#[tokio::test]
async fn an_order_is_paid_and_its_customer_told_because_webhooks_find_their_way() {
    let shop = Shop::open().await;
    let id = Uuid::now_v7();
    let created = shop.request(Method::POST, "/orders").json(&new_order(id));
    let created = created.send().await.unwrap();
    assert_eq!(created.status(), 201);
    let order: Value = created.json().await.unwrap();
    let checkout = order["_links"]["checkout"]["href"].as_str().unwrap();
    let checkout = shop.request(Method::POST, checkout).send().await.unwrap();
    assert_eq!(checkout.status(), 200);

    let order = shop
        .eventually(&format!("/orders/{id}"), |order| {
            order["state"] == "RECEIVED"
        })
        .await;
    assert_eq!(order["total"]["amount_minor"], TOTAL);
    let payments = shop.get(&format!("/payments?order_id={id}")).await;
    let payments = payments["_embedded"]["payments"].as_array().unwrap();
    assert_eq!(payments.len(), 1, "{payments:?}");
    assert_eq!(payments[0]["status"], "CONFIRMED");
    assert_eq!(payments[0]["amount"]["amount_minor"], TOTAL);
    let told = shop
        .eventually(&format!("/notifications?order_id={id}"), |page| {
            page["_embedded"]["notifications"]
                .as_array()
                .is_some_and(|told| !told.is_empty())
        })
        .await;
    assert_eq!(
        told["_embedded"]["notifications"].as_array().unwrap().len(),
        1,
        "{told}"
    );
    shop.close().await;
}
