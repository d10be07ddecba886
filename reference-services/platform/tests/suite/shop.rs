//! A platform for one test, on ports that the system chooses, and a shop that uses it.

use std::time::Duration;

use commerce_host::Drained;
use commerce_platform::assembly::{Platform, Surroundings};
use commerce_platform::configuration;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

/// Longer than anything takes; what takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const SECRET: &str = "a-secret-of-the-administrator-in-tests";

/// A running platform, and a shop that is registered with it.
pub(crate) struct Shop {
    platform: Platform,
    client: Client,
    token: String,
    _data: TempDir,
}

impl Shop {
    /// Starts the platform as the program does, and registers the shop over HTTP.
    pub(crate) async fn open() -> Self {
        let data = tempfile::tempdir().unwrap();
        let variables = [
            ("COMMERCE_DATA", data.path().to_str().unwrap()),
            ("COMMERCE_LISTEN", "127.0.0.1:0"),
            ("COMMERCE_PLATFORM_SANDBOX_LISTEN", "127.0.0.1:0"),
            ("COMMERCE_IDENTITY_ADMIN_CLIENT_SECRET", SECRET),
            // Nobody asks the provider during a test: what is settled was told by a webhook.
            ("COMMERCE_PAYMENTS_RECONCILE_AFTER", "1h"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let assembly = configuration::read(None, variables).unwrap();
        let platform = assembly.start(Surroundings::default()).await.unwrap();
        let mut shop = Self {
            platform,
            client: Client::new(),
            token: String::new(),
            _data: data,
        };
        shop.token = shop.register().await;
        shop
    }

    /// A token for a new organization's client of role `shop`.
    pub(crate) async fn register(&self) -> String {
        let administrator = self.token("admin", SECRET).await;
        let post = async |path: &str, body: Value| -> Value {
            let request = self
                .anonymous(Method::POST, path)
                .bearer_auth(&administrator);
            let response = request.json(&body).send().await.unwrap();
            assert_eq!(response.status(), 201, "{path}");
            response.json().await.unwrap()
        };
        let id = Uuid::now_v7();
        post(
            "/organizations",
            json!({ "organization_id": id, "name": "Loja" }),
        )
        .await;
        let client = post(
            &format!("/organizations/{id}/clients"),
            json!({ "name": "importer", "roles": ["shop"] }),
        )
        .await;
        let text = |name: &str| client[name].as_str().unwrap().to_owned();
        self.token(&text("client_id"), &text("client_secret")).await
    }

    async fn token(&self, id: &str, secret: &str) -> String {
        let response = self
            .anonymous(Method::POST, "/oauth/token")
            .basic_auth(id, Some(secret))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let token: Value = response.json().await.unwrap();
        token["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.platform.services.url());
        self.client.request(method, url)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// What is to be had without a token.
    pub(crate) async fn text(&self, path: &str) -> String {
        let response = self.anonymous(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }

    /// Reads until it is as wanted.
    pub(crate) async fn eventually(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let reading = async {
            loop {
                let response = self.request(Method::GET, path).send().await.unwrap();
                let value = response.json().await.unwrap();
                if wanted(&value) {
                    return value;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {path}"))
    }

    /// Everything ends, and in order.
    pub(crate) async fn close(self) {
        assert_eq!(self.platform.shutdown().await, Drained::Clean);
    }
}

/// The body of a problem, which every error has.
pub(crate) async fn problem(response: Response, status: u16) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string(), "{problem}");
    problem
}

/// A lamp for 49.90 and its delivery for 10.00.
pub(crate) fn new_order(order_id: Uuid) -> Value {
    let brl = |amount_minor: i64| json!({ "amount_minor": amount_minor, "currency": "BRL" });
    json!({
        "order_id": order_id,
        "customer": { "customer_id": Uuid::now_v7(), "name": "Ana Souza", "email": "ana@shop.example" },
        "items": [{ "sku": "LAMP-1", "name": "Lamp", "quantity": 1, "unit_price": brl(4990) }],
        "freight": brl(1000),
        "payment": { "method": "pix", "installments": 1 },
    })
}

pub(crate) const TOTAL: i64 = 5_990;
