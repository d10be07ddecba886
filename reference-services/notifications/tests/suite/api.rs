//! `GET /notifications`.

use commerce_contracts::commerce::{OrderId, OrganizationId};
use commerce_host::testing::Tokens;
use reqwest::{Client, Response};
use serde_json::Value;

use crate::shop::{Shop, cancelled, message, pending, received};

const READ: &str = "notifications.notification.read";

async fn get(shop: &Shop, path: &str, token: &str) -> Response {
    Client::new()
        .get(format!("{}{path}", shop.running.url()))
        .bearer_auth(token)
        .send()
        .await
        .unwrap()
}

async fn page(shop: &Shop, path: &str, token: &str) -> Value {
    let response = get(shop, path, token).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/hal+json");
    response.json().await.unwrap()
}

fn orders(page: &Value) -> Vec<&str> {
    let notifications = page["_embedded"]["notifications"].as_array().unwrap();
    notifications
        .iter()
        .map(|notification| notification["order_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_lead_through_all_newest_first() {
    let shop = Shop::embedded().await;
    let organization = OrganizationId::new();
    let all: Vec<_> = (0..5).map(|_| OrderId::new()).collect();
    for (settled, order) in (1..).zip(&all) {
        shop.publish(message(&received(organization, *order))).await;
        shop.settled(settled).await;
    }
    let token = shop.tokens.token(organization.as_uuid(), &[READ]).unwrap();

    let mut seen = Vec::new();
    let mut next = Some("/notifications?limit=2".to_owned());
    let mut pages = 0;
    while let Some(path) = next {
        let page = page(&shop, &path, &token).await;
        assert_eq!(page["_links"]["self"]["href"], path);
        assert_eq!(
            page["count"]
                .as_u64()
                .and_then(|count| usize::try_from(count).ok())
                .unwrap(),
            orders(&page).len()
        );
        seen.extend(orders(&page).into_iter().map(str::to_owned));
        next = page["_links"]["next"]["href"].as_str().map(str::to_owned);
        pages += 1;
    }
    let newest_first: Vec<_> = all.iter().rev().map(ToString::to_string).collect();
    assert_eq!(seen, newest_first);
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn an_order_s_notifications_and_each_by_itself() {
    let shop = Shop::embedded().await;
    let (organization, order) = (OrganizationId::new(), OrderId::new());
    for event in [
        message(&pending(organization, order, 1)),
        message(&cancelled(organization, order)),
        message(&received(organization, OrderId::new())),
    ] {
        shop.publish(event).await;
    }
    shop.settled(3).await;
    let token = shop.tokens.token(organization.as_uuid(), &[READ]).unwrap();
    let page = page(&shop, &format!("/notifications?order_id={order}"), &token).await;
    let notifications = page["_embedded"]["notifications"].as_array().unwrap();
    let outcomes: Vec<_> = notifications
        .iter()
        .map(|one| (one["outcome"].clone(), one["attempt"].clone()))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("cancelled".into(), 0.into()),
            ("payment_pending".into(), 1.into())
        ]
    );
    assert!(
        !page.to_string().contains('@'),
        "no address is shown: {page}"
    );

    let own = notifications[0]["_links"]["self"]["href"].as_str().unwrap();
    let one: Value = get(&shop, own, &token).await.json().await.unwrap();
    assert_eq!(one, notifications[0]);
    assert_eq!(one["_links"]["order"]["href"], format!("/orders/{order}"));
}

#[tokio::test]
async fn an_organization_sees_its_own_only() {
    let shop = Shop::embedded().await;
    let (organization, order) = (OrganizationId::new(), OrderId::new());
    shop.publish(message(&received(organization, order))).await;
    shop.settled(1).await;
    let own = shop.tokens.token(organization.as_uuid(), &[READ]).unwrap();
    let mine = page(&shop, "/notifications", &own).await;
    let path = mine["_embedded"]["notifications"][0]["_links"]["self"]["href"]
        .as_str()
        .unwrap();

    let stranger = shop
        .tokens
        .token(OrganizationId::new().as_uuid(), &[READ])
        .unwrap();
    assert!(orders(&page(&shop, "/notifications", &stranger).await).is_empty());
    assert!(
        orders(
            &page(
                &shop,
                &format!("/notifications?order_id={order}"),
                &stranger
            )
            .await
        )
        .is_empty()
    );
    assert_eq!(get(&shop, path, &stranger).await.status(), 404);

    let operator = shop.tokens.sign(&Tokens::claims(None, &[READ])).unwrap();
    assert_eq!(
        orders(&page(&shop, "/notifications", &operator).await),
        [order.to_string()]
    );
}

#[tokio::test]
async fn who_may_not_or_asks_wrongly_is_told_so() {
    let shop = Shop::embedded().await;
    let organization = OrganizationId::new().as_uuid();
    let token = shop.tokens.token(organization, &[READ]).unwrap();
    let other = shop
        .tokens
        .token(organization, &["orders.order.read"])
        .unwrap();
    let forged = Tokens::new().unwrap().token(organization, &[READ]).unwrap();
    for (path, token, status) in [
        ("/notifications", &other, 403),
        ("/notifications", &forged, 401),
        ("/notifications?limit=0", &token, 400),
        ("/notifications?limit=201", &token, 400),
        ("/notifications?limit=many", &token, 400),
        ("/notifications?order_id=7", &token, 400),
        ("/notifications?cursor=behind", &token, 400),
        ("/notifications?page=2", &token, 400),
        ("/notifications/7", &token, 400),
        (
            "/notifications/01890000-0000-7000-8000-000000000000",
            &token,
            404,
        ),
    ] {
        let response = get(&shop, path, token).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json",
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_document_describes_both_routes() {
    let shop = Shop::embedded().await;
    let document: Value = get(&shop, "/openapi/notifications.json", "")
        .await
        .json()
        .await
        .unwrap();
    for path in ["/notifications", "/notifications/{notification_id}"] {
        assert!(
            document["paths"][path]["get"]["responses"]["200"].is_object(),
            "{document:#}"
        );
    }
}
