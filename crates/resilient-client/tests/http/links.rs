//! Chains of links, their templates and the entry point.

use std::time::Duration;

use commerce_resilient_client::ErrorKind;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::server::{first, hasty, on, seen};

fn document(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.to_string(), "application/hal+json")
}

#[tokio::test]
async fn a_chain_of_links_with_templates() {
    let server = MockServer::start().await;
    on(
        &server,
        "GET",
        "/",
        document(&json!({"_links": {"shop": {"href": "shop/"}}})),
    )
    .await;
    let orders =
        json!({"_links": {"orders": {"href": "orders{?cursor,limit}", "templated": true}}});
    on(&server, "GET", "/shop/", document(&orders)).await;
    let page = json!({
        "count": 2,
        "links": [{"rel": "next", "href": "?cursor=c"}],
        "_embedded": {"order": [
            {"id": 1, "_links": {"self": {"href": "/shop/orders/1"}}},
            {"id": 2, "_links": {"self": {"href": "/shop/orders/2"}}},
        ]},
    });
    Mock::given(matchers::path("/shop/orders"))
        .and(matchers::query_param("cursor", "a b"))
        .and(matchers::query_param("limit", "2"))
        .respond_with(document(&page).insert_header("link", "</help>; rel=help"))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(matchers::path("/shop/orders"))
        .and(matchers::query_param("cursor", "c"))
        .respond_with(document(&json!({"count": 0})))
        .expect(1)
        .mount(&server)
        .await;
    on(
        &server,
        "GET",
        "/shop/orders/2",
        document(&json!({"state": "PAID"})),
    )
    .await;

    let client = hasty(&server.uri()).build().unwrap();
    let orders = client
        .follow("shop")
        .follow("orders")
        .with("cursor", "a b")
        .with("limit", 2);
    let page = orders.get::<Value>().await.unwrap();
    assert_eq!(page.data()["count"], 2);
    assert!(page.link("help").is_some());
    let next = page.follow("next").get::<Value>().await.unwrap();
    assert_eq!(next.data()["count"], 0);

    let embedded = page.embedded::<Value>("order").unwrap();
    assert_eq!(
        embedded
            .iter()
            .map(|order| order.data()["id"].as_u64())
            .collect::<Vec<_>>(),
        [Some(1), Some(2)]
    );
    let order = embedded[1].follow("self").get::<Value>().await.unwrap();
    assert_eq!(order.data()["state"], "PAID");
    assert!(page.embedded::<Value>("nothing").unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_link_is_told_with_what_is_on_offer() {
    let server = MockServer::start().await;
    on(
        &server,
        "GET",
        "/",
        document(&json!({"_links": {"a": {"href": "/a"}, "b": {"href": "/b"}}})),
    )
    .await;
    let client = hasty(&server.uri()).build().unwrap();

    let error = client
        .follow("cancel")
        .post_empty()
        .send_ignoring_body()
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Link);
    assert!(
        error
            .to_string()
            .ends_with("no link `cancel`; on offer: a, b"),
        "{error}"
    );
    assert_eq!(seen(&server, "POST").await, 0);
}

#[tokio::test]
async fn one_of_several_links_by_name() {
    let server = MockServer::start().await;
    let links =
        json!({"_links": {"doc": [{"href": "/pt", "name": "pt"}, {"href": "/en", "name": "en"}]}});
    on(&server, "GET", "/", document(&links)).await;
    on(&server, "GET", "/en", document(&json!("hello"))).await;
    let client = hasty(&server.uri()).build().unwrap();

    assert_eq!(
        client
            .follow("doc")
            .named("en")
            .get::<String>()
            .await
            .unwrap()
            .into_data(),
        "hello"
    );
    let error = client
        .follow("doc")
        .named("fr")
        .get::<String>()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Link);
}

#[tokio::test]
async fn links_are_seen_from_where_a_redirect_led() {
    let server = MockServer::start().await;
    on(
        &server,
        "GET",
        "/",
        ResponseTemplate::new(308).insert_header("location", "/v2/"),
    )
    .await;
    on(
        &server,
        "GET",
        "/v2/",
        document(&json!({"_links": {"item": {"href": "item"}}})),
    )
    .await;
    on(&server, "GET", "/v2/item", document(&json!(7))).await;
    let client = hasty(&server.uri()).build().unwrap();

    let item = client.follow("item").get::<u32>().await.unwrap();

    assert_eq!(*item.data(), 7);
    assert!(item.url().ends_with("/v2/item"));
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let server = MockServer::start().await;
    on(
        &server,
        "GET",
        "/",
        ResponseTemplate::new(302).insert_header("location", "/"),
    )
    .await;
    let error = hasty(&server.uri())
        .build()
        .unwrap()
        .entry()
        .get::<Value>()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redirect);
}

#[tokio::test]
async fn the_entry_is_kept_and_read_again_when_it_leads_nowhere() {
    let server = MockServer::start().await;
    let entry = |href: &str| document(&json!({"_links": {"item": {"href": href}}}));
    first(&server, 1, "GET", "/", entry("/old")).await;
    on(&server, "GET", "/", entry("/new")).await;
    first(&server, 2, "GET", "/old", document(&json!(1))).await;
    on(&server, "GET", "/new", document(&json!(2))).await;
    let client = hasty(&server.uri())
        .keep_entry_for(Duration::from_mins(1))
        .build()
        .unwrap();
    let item = async || client.follow("item").get::<u32>().await;

    assert_eq!(item().await.unwrap().into_data(), 1);
    assert_eq!(item().await.unwrap().into_data(), 1);
    assert_eq!(
        client.stats().attempts,
        3,
        "one for the entry, two for the item"
    );
    assert_eq!(item().await.unwrap_err().status().unwrap().as_u16(), 404);
    assert_eq!(item().await.unwrap().into_data(), 2);
}

#[tokio::test]
async fn an_unexpected_document_is_a_typed_error() {
    let server = MockServer::start().await;
    on(
        &server,
        "GET",
        "/html",
        ResponseTemplate::new(200).set_body_raw("<p>", "text/html"),
    )
    .await;
    on(
        &server,
        "GET",
        "/long",
        ResponseTemplate::new(200).set_body_string("x".repeat(2_000)),
    )
    .await;
    let client = hasty(&server.uri()).longest_body(1_000).build().unwrap();

    let error = client
        .at("/html?secret=1")
        .get::<Value>()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(
        error.to_string().contains("text/html") && !error.to_string().contains("secret"),
        "{error}"
    );
    let error = client.at("/long").get::<Value>().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::TooLarge, 1));
}
