//! The sandbox as a process of its own: its API, its webhooks, and that a crash loses neither charges nor webhooks.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

const KEY: &str = "test-api-key";
const PATIENCE: Duration = Duration::from_secs(30);

struct Sandbox {
    process: Child,
    url: String,
    http: Client,
}

impl Sandbox {
    /// Starts the program on a port that is free now, with its files in `data`.
    async fn start(data: &Path, webhooks: &MockServer) -> Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let settings = data.join("sandbox.toml");
        let webhook_url = format!("{}/webhooks", webhooks.uri());
        let text = format!(
            "listen = \"{listen}\"\ndata = '{}'\nbus = \"memory:\"\n\
             [provider-sandbox]\napi_key = \"{KEY}\"\nwebhook_url = \"{webhook_url}\"\n",
            data.display(),
        );
        fs::write(&settings, text)?;
        let mut process = Command::new(env!("CARGO_BIN_EXE_commerce-provider-sandbox"))
            .arg("--config")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let url = format!("http://{listen}");
        let http = Client::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ready = http.get(format!("{url}/health/ready")).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(Self { process, url, http });
            }
            if process.try_wait()?.is_some() || Instant::now() > deadline {
                let _ = process.kill();
                let errors = process.stderr.take().context("stderr is piped")?;
                let lines: Vec<_> = BufReader::new(errors)
                    .lines()
                    .map_while(Result::ok)
                    .collect();
                anyhow::bail!("the sandbox did not start: {}", lines.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL: nothing is finished, nothing is said.
    fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    async fn charge(&self, key: &str, body: &Value) -> Result<(u16, Value)> {
        let request = self
            .http
            .post(format!("{}/charges", self.url))
            .bearer_auth(KEY);
        let answer = request
            .header("idempotency-key", key)
            .json(body)
            .send()
            .await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let answer = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(KEY)
            .send()
            .await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn faults(&self, faults: &Value) -> Result<u16> {
        let request = self
            .http
            .put(format!("{}/faults", self.url))
            .bearer_auth(KEY);
        Ok(request.json(faults).send().await?.status().as_u16())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn order(reference: &str) -> Value {
    json!({"reference": reference, "amount_minor": 4_990, "currency": "BRL", "method": "pix", "installments": 1})
}

/// A receiver of webhooks that answers with this status.
async fn receiver(status: u16) -> MockServer {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(status);
    Mock::given(matchers::path("/webhooks"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

/// The webhooks so far: id, signature's presence and body, in the order of their arrival.
async fn received(server: &MockServer) -> Vec<(String, Value)> {
    let requests = server.received_requests().await.unwrap_or_default();
    let header = |request: &wiremock::Request, name: &str| {
        request.headers[name]
            .to_str()
            .unwrap_or_default()
            .to_owned()
    };
    requests
        .iter()
        .map(|request| {
            assert!(header(request, "webhook-signature").starts_with("v1,"));
            assert!(header(request, "webhook-timestamp").parse::<i64>().is_ok());
            (
                header(request, "webhook-id"),
                request.body_json().unwrap_or_default(),
            )
        })
        .collect()
}

async fn wait_for(
    server: &MockServer,
    enough: impl Fn(&[(String, Value)]) -> bool,
) -> Result<Vec<(String, Value)>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let webhooks = received(server).await;
        if enough(&webhooks) {
            return Ok(webhooks);
        }
        ensure!(
            Instant::now() < deadline,
            "after {PATIENCE:?} there are these webhooks: {webhooks:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn kinds(webhooks: &[(String, Value)]) -> Vec<&str> {
    webhooks
        .iter()
        .filter_map(|(_, body)| body["type"].as_str())
        .collect()
}

#[tokio::test]
async fn a_crash_loses_neither_charges_nor_webhooks() -> Result<()> {
    let data = TempDir::new()?;
    let deaf = receiver(503).await;
    let sandbox = Sandbox::start(data.path(), &deaf).await?;
    let (status, charge) = sandbox.charge("key-1", &order("order-1")).await?;
    ensure!(
        status == 201 && charge["status"] == "processing",
        "{status} {charge}"
    );
    // Settled, and both webhooks were tried in vain.
    wait_for(&deaf, |webhooks| {
        kinds(webhooks).contains(&"charge.confirmed")
    })
    .await?;
    sandbox.kill()?;

    let listener = receiver(204).await;
    let sandbox = Sandbox::start(data.path(), &listener).await?;
    let webhooks = wait_for(&listener, |webhooks| webhooks.len() >= 2).await?;
    let mut kinds = kinds(&webhooks);
    kinds.sort_unstable();
    ensure!(
        kinds == ["charge.confirmed", "charge.processing"],
        "{kinds:?}"
    );
    ensure!(
        webhooks
            .iter()
            .all(|(_, body)| body["data"]["charge_id"] == charge["charge_id"])
    );

    let (status, again) = sandbox.charge("key-1", &order("order-1")).await?;
    ensure!(
        status == 200
            && again["charge_id"] == charge["charge_id"]
            && again["status"] == "confirmed",
        "{again}"
    );
    let ledger = sandbox.get("/ledger").await?;
    let expected =
        json!([{"reference": "order-1", "charges": 1, "confirmed": 1, "confirmed_minor": 4_990}]);
    ensure!(ledger["entries"] == expected, "{ledger}");
    Ok(())
}

#[tokio::test]
async fn an_error_after_the_charge_leaves_one_charge() -> Result<()> {
    let (data, listener) = (TempDir::new()?, receiver(204).await);
    let sandbox = Sandbox::start(data.path(), &listener).await?;
    ensure!(sandbox.faults(&json!({"error_rate": 1.0})).await? == 200);
    // Half of the errors come after the charge was stored; which ones follows from the seed.
    for _ in 0..20 {
        let (status, _) = sandbox.charge("key-1", &order("order-1")).await?;
        ensure!(status == 500);
    }
    ensure!(sandbox.faults(&json!({})).await? == 200);
    let ledger = sandbox.get("/ledger").await?;
    ensure!(ledger["entries"][0]["charges"] == 1, "{ledger}");
    let (status, _) = sandbox.charge("key-1", &order("order-1")).await?;
    ensure!(status == 200, "the charge was there all along");
    Ok(())
}

#[tokio::test]
async fn webhooks_are_duplicated_and_reordered_on_demand() -> Result<()> {
    let (data, listener) = (TempDir::new()?, receiver(204).await);
    let sandbox = Sandbox::start(data.path(), &listener).await?;
    ensure!(
        sandbox
            .faults(&json!({"duplicate_rate": 1.0, "reorder_rate": 1.0, "reject_rate": 1.0}))
            .await?
            == 200
    );
    sandbox.charge("key-1", &order("order-1")).await?;
    let webhooks = wait_for(&listener, |webhooks| webhooks.len() >= 4).await?;
    let kinds = kinds(&webhooks);
    ensure!(
        kinds
            == [
                "charge.rejected",
                "charge.rejected",
                "charge.processing",
                "charge.processing"
            ],
        "{kinds:?}"
    );
    ensure!(
        webhooks[0].0 == webhooks[1].0,
        "a duplicate is known by its webhook-id"
    );
    ensure!(webhooks[0].1["data"]["reason"] == "refused by the issuer");
    Ok(())
}

#[tokio::test]
async fn an_outage_says_when_to_come_back() -> Result<()> {
    let (data, listener) = (TempDir::new()?, receiver(204).await);
    let sandbox = Sandbox::start(data.path(), &listener).await?;
    ensure!(sandbox.faults(&json!({"outage_ms": 60_000})).await? == 200);
    let request = sandbox
        .http
        .get(format!("{}/charges/1", sandbox.url))
        .bearer_auth(KEY);
    let answer = request.send().await?;
    ensure!(answer.status() == 503);
    let seconds: u64 = answer.headers()["retry-after"].to_str()?.parse()?;
    ensure!((50..=60).contains(&seconds), "{seconds}");
    let left = sandbox.get("/faults").await?["outage_ms"]
        .as_u64()
        .context("no outage_ms")?;
    ensure!(left > 50_000, "{left}");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_a_problem_and_has_no_effect() -> Result<()> {
    let (data, listener) = (TempDir::new()?, receiver(204).await);
    let sandbox = Sandbox::start(data.path(), &listener).await?;
    let changed = |field: &str, value: Value| {
        let mut order = order("order-1");
        order[field] = value;
        order
    };
    for (body, pointer) in [
        (changed("amount_minor", json!(0)), "/amount_minor"),
        (changed("amount_minor", json!("4990")), "/amount_minor"),
        (changed("currency", json!("brl")), "/currency"),
        (changed("method", json!("gold")), "/method"),
        (changed("installments", json!(0)), "/installments"),
        (changed("reference", json!("")), "/reference"),
        (changed("colour", json!("red")), "/colour"),
    ] {
        let (status, problem) = sandbox.charge("key-1", &body).await?;
        ensure!(
            status == 422 && problem["errors"][0]["pointer"] == pointer,
            "{status} {problem}"
        );
    }
    ensure!(sandbox.get("/ledger").await?["entries"] == json!([]));

    sandbox.charge("key-1", &order("order-1")).await?;
    let (status, _) = sandbox.charge("key-1", &order("order-2")).await?;
    ensure!(status == 422, "a key belongs to one charge");
    let without_key = sandbox
        .http
        .post(format!("{}/charges", sandbox.url))
        .bearer_auth(KEY)
        .json(&order("x"));
    ensure!(without_key.send().await?.status() == 400);
    for request in [
        sandbox.http.get(format!("{}/ledger", sandbox.url)),
        sandbox
            .http
            .get(format!("{}/ledger", sandbox.url))
            .bearer_auth("wrong"),
    ] {
        let answer = request.send().await?;
        ensure!(
            answer.status() == 401
                && answer.headers()["content-type"] == "application/problem+json"
        );
    }
    ensure!(sandbox.faults(&json!({"error_rate": 1.5})).await? == 422);
    ensure!(sandbox.faults(&json!({"gremlins": 1})).await? == 422);
    Ok(())
}

#[test]
fn a_secret_that_cannot_sign_is_told_before_anything_starts() -> Result<()> {
    let data = TempDir::new()?;
    let files = data.path().join("files");
    for arguments in [&["--check"][..], &[]] {
        let output = Command::new(env!("CARGO_BIN_EXE_commerce-provider-sandbox"))
            .args(arguments)
            .env("COMMERCE_LISTEN", "127.0.0.1:0")
            .env("COMMERCE_DATA", &files)
            .env("COMMERCE_PROVIDER_SANDBOX_WEBHOOK_SECRET", "hunter2")
            .output()?;
        let told = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(2), "{told}");
        ensure!(
            told.contains("COMMERCE_PROVIDER_SANDBOX_WEBHOOK_SECRET") && !told.contains("hunter2"),
            "{told}"
        );
        ensure!(!files.exists(), "a file was made");
    }
    Ok(())
}

#[tokio::test]
async fn every_fault_that_happened_is_counted() -> Result<()> {
    let (data, webhooks) = (TempDir::new()?, receiver(204).await);
    let sandbox = Sandbox::start(data.path(), &webhooks).await?;
    let counts = async |fault: &str| -> Result<u64> {
        let counts = sandbox.get("/faults/counts").await?;
        counts[fault]
            .as_u64()
            .with_context(|| format!("{fault} in {counts}"))
    };
    let all = [
        "errors",
        "refused_during_outage",
        "webhooks_duplicated",
        "webhooks_reordered",
        "charges_rejected",
    ];
    sandbox.charge("calm", &order("calm")).await?;
    wait_for(&webhooks, |webhooks| webhooks.len() == 2).await?;
    for fault in all {
        ensure!(counts(fault).await? == 0, "{fault} without a cause");
    }

    let faults = json!({"duplicate_rate": 1.0, "reorder_rate": 1.0, "reject_rate": 1.0});
    sandbox.faults(&faults).await?;
    sandbox.charge("r", &order("r")).await?;
    // A repetition is no other charge.
    sandbox.charge("r", &order("r")).await?;
    wait_for(&webhooks, |webhooks| webhooks.len() == 2 + 4).await?;
    sandbox.faults(&json!({"error_rate": 1.0})).await?;
    sandbox.charge("e", &order("e")).await?;
    sandbox.faults(&json!({"outage_ms": 60_000})).await?;
    for _ in 0..3 {
        sandbox.charge("o", &order("o")).await?;
    }
    let mut counted = Vec::new();
    for fault in all {
        counted.push(counts(fault).await?);
    }
    ensure!(counted == [1, 3, 2, 1, 1], "{counted:?}");
    Ok(())
}
