//! The service on a host of its own, asked over HTTP.
#![allow(dead_code, reason = "each test program uses a part of it")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use commerce_host::settings::ConnectionUrl;
use commerce_host::testing::Scratch;
use commerce_host::{Host, Resources, Running, Settings};
use commerce_identity::{AdminCredentials, Config};
use commerce_identity_client::Verifier;
use reqwest::{Method, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

/// A running service.
pub(crate) struct Platform {
    pub(crate) url: String,
    pub(crate) scratch: Scratch,
    running: Running,
    http: reqwest::Client,
}

/// A client's id and secret.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::start_with(Scratch::sqlite().unwrap(), Config::default()).await
    }

    pub(crate) async fn start_with(scratch: Scratch, config: Config) -> Self {
        let mut settings = Settings::default();
        settings.listen = "127.0.0.1:0".parse().unwrap();
        settings.data = scratch.directory().to_owned();
        settings.bus = Some(ConnectionUrl::new("memory:"));
        settings.store = Some(ConnectionUrl::new(scratch.store()));
        let resources = Resources::connect(settings).await.unwrap();
        let service = commerce_identity::service(config, &resources)
            .await
            .unwrap();
        let running = Host::new(resources).mount(service).start().await.unwrap();
        let url = running.url().to_owned();
        Self {
            url,
            scratch,
            running,
            http: reqwest::Client::new(),
        }
    }

    /// Stops it and starts it again on the same data.
    pub(crate) async fn restart(self, config: Config) -> Self {
        let Self {
            scratch, running, ..
        } = self;
        running.shutdown().await;
        Self::start_with(scratch, config).await
    }

    pub(crate) async fn stop(self) -> Scratch {
        self.running.shutdown().await;
        self.scratch
    }

    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::discover(&self.url, "commerce").unwrap()
    }

    /// The first client, as the service has written it down.
    pub(crate) fn admin(&self) -> Credentials {
        let admin = AdminCredentials::read(self.scratch.directory()).unwrap();
        Credentials {
            id: admin.client_id,
            secret: admin.client_secret.expose_secret().to_owned(),
        }
    }

    /// Posts a form to the token endpoint.
    pub(crate) async fn form(&self, authorization: Option<&str>, form: &str) -> Response {
        let mut request = self
            .http
            .post(format!("{}/oauth/token", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        request.send().await.unwrap()
    }

    /// A token, by HTTP Basic authentication.
    pub(crate) async fn token(&self, client: &Credentials) -> String {
        let response = self
            .form(Some(&basic(client)), "grant_type=client_credentials")
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        body(response).await["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) async fn admin_token(&self) -> String {
        self.token(&self.admin()).await
    }

    /// A request with this token, or without credentials when it is empty.
    fn request(&self, method: Method, token: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        if token.is_empty() {
            request
        } else {
            request.bearer_auth(token)
        }
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Response {
        self.request(Method::GET, token, path).send().await.unwrap()
    }

    pub(crate) async fn delete(&self, token: &str, path: &str) -> Response {
        self.request(Method::DELETE, token, path)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: Value) -> Response {
        self.post_text(token, path, body.to_string()).await
    }

    pub(crate) async fn post_text(
        &self,
        token: &str,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Response {
        let request = self.request(Method::POST, token, path);
        request
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap()
    }

    /// Adds an organization and gives its path.
    pub(crate) async fn organization(&self, name: &str) -> String {
        let response = self
            .post(
                &self.admin_token().await,
                "/organizations",
                json!({ "name": name }),
            )
            .await;
        assert_eq!(response.status(), StatusCode::CREATED);
        response.headers()["location"].to_str().unwrap().to_owned()
    }

    /// Adds a client to an organization.
    pub(crate) async fn client(&self, organization: &str, role: &str) -> Credentials {
        let new = json!({ "name": "a client", "roles": [role] });
        let response = self
            .post(
                &self.admin_token().await,
                &format!("{organization}/clients"),
                new,
            )
            .await;
        assert_eq!(response.status(), StatusCode::CREATED);
        let client = body(response).await;
        let text = |name: &str| client[name].as_str().unwrap().to_owned();
        Credentials {
            id: text("client_id"),
            secret: text("client_secret"),
        }
    }
}

pub(crate) fn basic(client: &Credentials) -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{}", client.id, client.secret))
    )
}

pub(crate) async fn body(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// Checks that a response is a problem document of this status, and gives it.
pub(crate) async fn problem(response: Response, status: u16) -> Value {
    let shown = format!("{response:?}");
    assert_eq!(response.status().as_u16(), status, "{shown}");
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json",
        "{shown}"
    );
    let problem = body(response).await;
    assert_eq!(problem["status"], status);
    problem
}
