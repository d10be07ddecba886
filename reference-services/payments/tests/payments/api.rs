//! The HTTP API: who may read what.

use anyhow::{Context as _, Result, ensure};
use commerce_host::testing::Scratch;
use serde_json::{Value, json};
use uuid::Uuid;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::world::{READ, World, problem, provider_entry};

/// A provider that declines everything, so that payments settle at once.
async fn declining() -> MockServer {
    let server = MockServer::start().await;
    let entry = ResponseTemplate::new(200).set_body_json(provider_entry());
    Mock::given(matchers::path("/"))
        .respond_with(entry)
        .mount(&server)
        .await;
    Mock::given(matchers::path("/charges"))
        .respond_with(ResponseTemplate::new(402))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn payments_are_listed_page_by_page() -> Result<()> {
    let provider = declining().await;
    let scratch = Scratch::sqlite()?;
    let mut world = World::with_provider(&scratch, &provider.uri()).await?;
    for amount in 1..=5 {
        world.request(amount).await?;
        world.outcomes(1).await?;
    }

    let mut next = Some("/payments?limit=2".to_owned());
    let (mut amounts, mut pages) = (Vec::new(), 0);
    while let Some(path) = next {
        let answer = world
            .http
            .get(world.url(&path))
            .bearer_auth(world.token(&[READ])?)
            .send()
            .await?;
        ensure!(answer.headers()["content-type"] == "application/hal+json");
        let page: Value = answer.error_for_status()?.json().await?;
        for payment in page["_embedded"]["payments"]
            .as_array()
            .context("no payments")?
        {
            amounts.push(
                payment["amount"]["amount_minor"]
                    .as_i64()
                    .context("no amount")?,
            );
        }
        pages += 1;
        next = page["_links"]["next"]["href"].as_str().map(str::to_owned);
    }
    ensure!(
        amounts == [1, 2, 3, 4, 5] && pages == 3,
        "{amounts:?} on {pages} pages"
    );
    world.stop().await
}

#[tokio::test]
async fn an_organization_sees_its_own_payments_only() -> Result<()> {
    let provider = declining().await;
    let scratch = Scratch::sqlite()?;
    let mut world = World::with_provider(&scratch, &provider.uri()).await?;
    let order_id = world.request(100).await?;
    world.outcomes(1).await?;
    let payment = world.payment(order_id, "REJECTED").await?;
    let href = payment["_links"]["self"]["href"]
        .as_str()
        .context("no link")?;
    let get = async |path: &str, token: String| {
        world
            .http
            .get(world.url(path))
            .bearer_auth(token)
            .send()
            .await
    };

    let own: Value = get(href, world.token(&[READ])?)
        .await?
        .error_for_status()?
        .json()
        .await?;
    ensure!(
        own["payment_id"] == payment["payment_id"] && own["reason"] == "declined by the provider",
        "{own}"
    );
    let stranger = world.token_of(Uuid::now_v7())?;
    problem(get(href, stranger.clone()).await?, 404).await?;
    for path in [
        "/payments".to_owned(),
        format!("/payments?order_id={order_id}"),
    ] {
        let page: Value = get(&path, stranger.clone())
            .await?
            .error_for_status()?
            .json()
            .await?;
        ensure!(
            page["count"] == 0 && page["_embedded"]["payments"] == json!([]),
            "{page}"
        );
    }
    world.stop().await
}

#[tokio::test]
async fn what_is_not_allowed_or_not_understood_is_a_problem() -> Result<()> {
    let provider = declining().await;
    let scratch = Scratch::sqlite()?;
    let world = World::with_provider(&scratch, &provider.uri()).await?;
    let good = world.token(&[READ])?;
    let weak = world.token(&["payments.payment.refund"])?;
    let forged = format!("{}A", &good[..good.len() - 2]);
    let id = Uuid::now_v7();
    for (path, token, status) in [
        ("/payments", None, 401),
        ("/payments", Some(&forged), 401),
        ("/payments", Some(&weak), 403),
        (&format!("/payments/{id}"), Some(&weak), 403),
        (&format!("/payments/{id}"), Some(&good), 404),
        ("/payments/seven", Some(&good), 404),
        ("/payments?limit=0", Some(&good), 400),
        ("/payments?limit=501", Some(&good), 400),
        ("/payments?limit=many", Some(&good), 400),
        ("/payments?cursor=nonsense", Some(&good), 400),
        ("/payments?order_id=7", Some(&good), 400),
        ("/payments?colour=red", Some(&good), 400),
    ] {
        let request = world.http.get(world.url(path));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        problem(request.send().await?, status)
            .await
            .with_context(|| format!("{path} {status}"))?;
    }
    let post = world
        .http
        .post(world.url("/payments"))
        .bearer_auth(&good)
        .send()
        .await?;
    problem(post, 405).await?;
    world.stop().await
}

#[tokio::test]
async fn the_entry_point_and_the_description_name_the_api() -> Result<()> {
    let provider = declining().await;
    let scratch = Scratch::sqlite()?;
    let world = World::with_provider(&scratch, &provider.uri()).await?;
    let entry: Value = world
        .http
        .get(world.url("/"))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    ensure!(
        entry["_links"]["payments"]["href"] == "/payments{?order_id,cursor,limit}",
        "{entry}"
    );
    let description = world
        .http
        .get(world.url("/openapi/payments.json"))
        .send()
        .await?
        .error_for_status()?;
    let description: Value = description.json().await?;
    for path in ["/payments", "/payments/{id}", "/webhooks/payment-provider"] {
        ensure!(
            description["paths"][path].is_object(),
            "{path} is not described"
        );
    }
    world.stop().await
}
