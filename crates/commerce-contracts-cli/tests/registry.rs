//! `--against registry:URL`, and every answer that a registry may give: the program is run, and a server plays the registry.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::matchers::{header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn placed() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "OrderPlaced",
        "x-contract": {"topic": "orders", "key": "order_id"},
        "type": "object",
        "properties": {"order_id": {"type": "string"}, "quantity": {"type": "integer", "minimum": 1}},
        "required": ["order_id", "quantity"],
    })
}

fn paid(fields: &[Value]) -> Value {
    json!({"type": "record", "name": "OrderPaid", "namespace": "shop", "fields": fields})
}

fn id() -> Value {
    json!({"name": "id", "type": "string"})
}

/// A directory of schemas, and a registry.
struct Shop {
    directory: TempDir,
    registry: MockServer,
    variables: Vec<(&'static str, &'static str)>,
}

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Shop {
    async fn open() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            registry: MockServer::start().await,
            variables: Vec::new(),
        }
    }

    /// One contract with a JSON Schema, which the registry does not know.
    async fn with_placed() -> Self {
        let shop = Self::open().await;
        shop.write("orders.order.placed/v1.json", &placed());
        shop
    }

    fn write(&self, file: &str, schema: &Value) {
        let path = self.directory.path().join("schemas").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, schema.to_string()).unwrap();
    }

    async fn answers(&self, at: &str, answer: ResponseTemplate) {
        let mock = Mock::given(method("GET")).and(path(at));
        let mock = mock.and(query_param_is_missing("deleted"));
        mock.respond_with(answer).mount(&self.registry).await;
    }

    /// A subject with these versions, all of one format, and the level of compatibility that is asked of them.
    async fn subject(&self, subject: &str, format: &str, schemas: &[Value], level: &str) {
        let numbers: Vec<usize> = (1..=schemas.len()).collect();
        let versions = format!("/subjects/{subject}/versions");
        self.answers(&versions, ok(&json!(numbers))).await;
        for (number, schema) in numbers.iter().zip(schemas) {
            let registered = json!({"subject": subject, "version": number, "id": 7, "schema": schema.to_string(), "schemaType": format});
            self.answers(&format!("{versions}/{number}"), ok(&registered))
                .await;
        }
        let level = ok(&json!({"compatibilityLevel": level}));
        self.answers(&format!("/config/{subject}"), level).await;
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.run_against(&self.registry.uri(), arguments)
    }

    fn run_against(&self, url: &str, arguments: &[&str]) -> Run {
        let against = format!("registry:{url}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_contracts"));
        command.current_dir(self.directory.path());
        command
            .args(&arguments[..1])
            .args(["--against", &against])
            .args(&arguments[1..]);
        // Of what is set where the tests run nothing may count.
        for name in [
            "CONTRACTS_REGISTRY_USER",
            "CONTRACTS_REGISTRY_PASSWORD",
            "CONTRACTS_REGISTRY_TOKEN",
            "HTTP_PROXY",
            "http_proxy",
            "HTTPS_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(name);
        }
        let output = command
            .envs(self.variables.iter().copied())
            .output()
            .unwrap();
        Run {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The question cannot be answered, and the error says this.
    fn refused(&self, arguments: &[&str], said: &[&str]) {
        let run = self.run(arguments);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{}", run.err);
        for said in said {
            assert!(run.err.contains(said), "{said:?} is not in: {}", run.err);
        }
    }
}

fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_raw(body.to_string(), "application/vnd.schemaregistry.v1+json")
}

fn complaint(status: u16, code: u32, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"error_code": code, "message": message}))
}

const PLACED: &str = "/subjects/OrderPlaced/versions";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_registered_is_compatible_with_itself() {
    let shop = Shop::with_placed().await;
    shop.write("orders.order.paid/v1.avsc", &paid(&[id()]));
    shop.subject("OrderPlaced", "JSON", &[placed()], "FULL_TRANSITIVE")
        .await;
    shop.subject(
        "shop.OrderPaid",
        "AVRO",
        &[paid(&[id()])],
        "FULL_TRANSITIVE",
    )
    .await;
    let run = shop.run(&["check"]);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{}", run.out);
    let url = shop.registry.uri();
    assert_eq!(
        run.out,
        format!("2 compatible, 0 not, against registry:{url}\n")
    );
    let run = shop.run(&["diff"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""), "{}", run.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_registered_version_is_told() {
    let shop = Shop::open().await;
    let mut schema = placed();
    schema["properties"]["quantity"]["minimum"] = json!(5);
    shop.write("orders.order.placed/v1.json", &schema);
    shop.subject("OrderPlaced", "JSON", &[placed()], "FULL")
        .await;
    let run = shop.run(&["check", "--mode", "full"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(
        run.out
            .contains("`quantity` (JSON Schema, MINIMUM_INCREASED)\n"),
        "{}",
        run.out
    );
    let run = shop.run(&["diff", "--format", "json"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(
        run.out.contains("/properties/quantity/minimum"),
        "{}",
        run.out
    );
}

/// A field came, went, and came back as something else: only the oldest version breaks.
#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_the_subject_counts() {
    let shop = Shop::open().await;
    let coupon = |kind: &str| json!({"name": "coupon", "type": kind, "default": if kind == "int" { json!(0) } else { json!("") }});
    shop.write("orders.order.paid/v1.avsc", &paid(&[id(), coupon("int")]));
    // The state that the directory keeps has a number too.
    shop.write("orders.order.paid/v1.earlier/1.avsc", &paid(&[id()]));
    let versions = [paid(&[id(), coupon("string")]), paid(&[id()])];
    shop.subject("shop.OrderPaid", "AVRO", &versions, "BACKWARD_TRANSITIVE")
        .await;
    let run = shop.run(&["check"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(
        run.out.contains(
            "TYPE_MISMATCH), by what version 1 was in the subject shop.OrderPaid, version 1\n"
        ),
        "{}",
        run.out
    );
    // The registry keeps what was, so that nobody has to.
    assert!(!run.out.contains("EARLIER_STATE_LOST"), "{}", run.out);
    assert!(
        run.out
            .contains("note: the registry asks for BACKWARD_TRANSITIVE of shop.OrderPaid"),
        "{}",
        run.out
    );
    let run = shop.run(&["check", "--mode", "full"]);
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    assert!(
        run.out
            .contains("`--mode backward-transitive` asks the same"),
        "{}",
        run.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_holds_one_of_two_formats() {
    let shop = Shop::with_placed().await;
    let avro = json!({"type": "record", "name": "OrderPlaced", "fields": [id()]});
    shop.write("orders.order.placed/v1.avsc", &avro);
    shop.subject("OrderPlaced", "AVRO", &[avro], "NONE").await;
    let run = shop.run(&["check"]);
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    assert!(run.out.contains("1 compatible, 0 not"), "{}", run.out);
    assert!(
        run.out.contains("accepts anything for OrderPlaced (NONE)"),
        "{}",
        run.out
    );
    // What the registry has and the directory does not is gone.
    fs::remove_file(
        shop.directory
            .path()
            .join("schemas/orders.order.placed/v1.avsc"),
    )
    .unwrap();
    let run = shop.run(&["check"]);
    assert_eq!(run.code, Some(1), "{}{}", run.out, run.err);
    assert!(run.out.contains("SCHEMA_REMOVED"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_followed() {
    let shop = Shop::open().await;
    let money = json!({"type": "record", "name": "Money", "namespace": "shop", "fields": [{"name": "amount", "type": "long"}]});
    let total = |kind: Value| json!({"name": "total", "type": kind});
    let mut narrow = money.clone();
    narrow["fields"][0]["type"] = json!("int");
    shop.write("orders.order.paid/v1.avsc", &paid(&[total(narrow)]));
    let registered = json!({"subject": "shop.OrderPaid", "version": 1, "schema": paid(&[total(json!("Money"))]).to_string(),
        "references": [{"name": "shop.Money", "subject": "money", "version": 3}]});
    shop.answers("/subjects/shop.OrderPaid/versions", ok(&json!([1])))
        .await;
    shop.answers("/subjects/shop.OrderPaid/versions/1", ok(&registered))
        .await;
    shop.answers("/config/shop.OrderPaid", complaint(403, 40301, "no"))
        .await;
    let at = "/subjects/money/versions/3";
    shop.answers(
        at,
        ok(&json!({"subject": "money", "version": 3, "schema": money.to_string()})),
    )
    .await;
    let run = shop.run(&["check"]);
    assert_eq!(run.code, Some(1), "{}{}", run.out, run.err);
    assert!(
        run.out.contains("`total.amount` (Avro, TYPE_MISMATCH)"),
        "{}",
        run.out
    );
    assert!(
        run.out
            .contains("does not tell how compatible it wants shop.OrderPaid to be (403)"),
        "{}",
        run.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn references_in_a_circle_and_to_nothing_are_refused() {
    let shop = Shop::with_placed().await;
    let registered = |to: u32| {
        json!({"subject": "OrderPlaced", "version": 1, "schemaType": "JSON", "schema": placed().to_string(),
        "references": [{"name": "x.json", "subject": "OrderPlaced", "version": to}]})
    };
    shop.answers(PLACED, ok(&json!([1]))).await;
    let circle = Mock::given(path(format!("{PLACED}/1"))).respond_with(ok(&registered(1)));
    let circle = circle.mount_as_scoped(&shop.registry).await;
    shop.refused(
        &["check"],
        &["refers to more than 256 others, or to itself"],
    );
    drop(circle);
    shop.answers(&format!("{PLACED}/1"), ok(&registered(2)))
        .await;
    shop.answers(
        &format!("{PLACED}/2"),
        complaint(404, 40402, "Version not found."),
    )
    .await;
    shop.refused(
        &["check"],
        &["version 2 of the subject OrderPlaced is not there any more"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn subjects_are_named_as_asked_for() {
    let shop = Shop::with_placed().await;
    for (naming, subject) in [
        ("topic", "orders-value"),
        ("topic-record", "orders-OrderPlaced"),
        ("contract", "orders.order.placed.v1"),
    ] {
        shop.subject(subject, "JSON", &[placed()], "FULL_TRANSITIVE")
            .await;
        let run = shop.run(&["check", "--subjects", naming]);
        assert_eq!(run.code, Some(0), "{naming}: {}{}", run.out, run.err);
        assert!(run.out.starts_with("1 compatible"), "{naming}: {}", run.out);
        shop.registry.reset().await;
    }
    shop.write("orders.order.paid/v1.json", &placed());
    shop.refused(
        &["check"],
        &["orders.order.paid.v1 and orders.order.placed.v1 would both be the subject OrderPlaced"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_subject_at_all_is_no_pass() {
    let shop = Shop::with_placed().await;
    let missing = complaint(404, 40401, "Subject 'OrderPlaced' not found.");
    Mock::given(path(PLACED))
        .respond_with(missing)
        .mount(&shop.registry)
        .await;
    shop.refused(
        &["check"],
        &[
            "has none of the subjects OrderPlaced",
            "--subjects",
            "--first",
        ],
    );
    let run = shop.run(&["check", "--first"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(
        run.out.contains("orders.order.placed.v1: new\n"),
        "{}",
        run.out
    );
    shop.registry.reset().await;
    shop.subject("OrderPlaced", "JSON", &[placed()], "FULL_TRANSITIVE")
        .await;
    shop.refused(&["check", "--first"], &["leave it out"]);
    shop.refused(
        &["check", "--record"],
        &["a registry keeps every version by itself"],
    );
    shop.refused(
        &["check", "--old-schemas", "x"],
        &["a registry is named by `--against` itself"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_subject_is_not_a_new_one() {
    let shop = Shop::with_placed().await;
    shop.answers(
        PLACED,
        complaint(404, 40401, "Subject 'OrderPlaced' not found."),
    )
    .await;
    Mock::given(path(PLACED))
        .and(query_param("deleted", "true"))
        .respond_with(ok(&json!([1, 2])))
        .mount(&shop.registry)
        .await;
    shop.refused(
        &["check"],
        &["the subject OrderPlaced was deleted", "permanent=true"],
    );
    shop.refused(
        &["check", "--first"],
        &["the subject OrderPlaced was deleted"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_cannot_be_compared_and_a_schema_that_is_none() {
    let shop = Shop::with_placed().await;
    shop.subject("OrderPlaced", "PROTOBUF", &[json!("syntax")], "FULL")
        .await;
    shop.refused(
        &["check"],
        &[
            "version 1 of the subject OrderPlaced is PROTOBUF",
            "`--subjects`",
        ],
    );
    shop.registry.reset().await;
    shop.answers(PLACED, ok(&json!([1]))).await;
    let broken =
        json!({"subject": "OrderPlaced", "version": 1, "schemaType": "JSON", "schema": "{"});
    shop.answers(&format!("{PLACED}/1"), ok(&broken)).await;
    shop.refused(
        &["check"],
        &[
            "version 1 of the subject OrderPlaced is no schema",
            "Register it again",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_answer_say_what_to_do() {
    let page = ResponseTemplate::new(200).set_body_raw("<html>", "text/html");
    let elsewhere =
        ResponseTemplate::new(307).insert_header("Location", "https://registry.example.com/");
    let long =
        ResponseTemplate::new(200).set_body_raw(" ".repeat(17 * 1024 * 1024), "application/json");
    for (answer, said) in [
        (
            page,
            &[
                "does not answer as a schema registry does",
                "/apis/ccompat/v7",
            ][..],
        ),
        (
            ResponseTemplate::new(404),
            &["does not answer as a schema registry does", "(404)"],
        ),
        (
            long,
            &["does not answer as a schema registry does", "longer than"],
        ),
        (
            elsewhere,
            &["it is elsewhere, at https://registry.example.com/: name that address"],
        ),
        (
            ResponseTemplate::new(401),
            &["(401): set CONTRACTS_REGISTRY_USER"],
        ),
        (
            complaint(403, 40301, "denied"),
            &["(403): ask for the right to read"],
        ),
        (
            complaint(503, 50301, "no\nleader"),
            &["cannot answer now (503: no leader)"],
        ),
        (ResponseTemplate::new(429), &["cannot answer now (429)"]),
        (
            complaint(422, 42201, "bad"),
            &["refuses the question (422: bad)"],
        ),
    ] {
        let shop = Shop::with_placed().await;
        shop.answers(PLACED, answer).await;
        shop.refused(&["check"], said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_slow_or_not_there_or_speaks_no_tls() {
    let shop = Shop::with_placed().await;
    let slow = ok(&json!([1])).set_delay(Duration::from_secs(30));
    shop.answers(PLACED, slow).await;
    shop.refused(
        &["check", "--registry-timeout", "1"],
        &["did not answer within 1 s", "`--registry-timeout 2`"],
    );
    let address = shop.registry.address().to_string();
    let run = shop.run_against(&format!("https://{address}"), &["check"]);
    assert_eq!(run.code, Some(2), "{}", run.out);
    assert!(
        run.err.contains("does not speak TLS as it should"),
        "{}",
        run.err
    );
    drop(shop.registry);
    let shop = Shop {
        registry: MockServer::start().await,
        ..shop
    };
    // A port that nobody listens on: it was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let run = shop.run_against(&format!("http://{free}"), &["check"]);
    assert_eq!(run.code, Some(2), "{}", run.out);
    assert!(run.err.contains("cannot be reached: "), "{}", run.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_the_environment_and_are_never_printed() {
    let mut shop = Shop::with_placed().await;
    let versions = |authorization: &'static str| {
        Mock::given(path(PLACED))
            .and(header("Authorization", authorization))
            .respond_with(complaint(404, 40401, "not found"))
    };
    // "key:secret", in base64.
    versions("Basic a2V5OnNlY3JldA==")
        .mount(&shop.registry)
        .await;
    versions("Bearer token-secret").mount(&shop.registry).await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(401))
        .mount(&shop.registry)
        .await;
    for variables in [
        vec![
            ("CONTRACTS_REGISTRY_USER", "key"),
            ("CONTRACTS_REGISTRY_PASSWORD", "secret"),
        ],
        vec![("CONTRACTS_REGISTRY_TOKEN", "token-secret")],
    ] {
        shop.variables = variables;
        let run = shop.run(&["check", "--first"]);
        assert_eq!(run.code, Some(0), "{}", run.err);
    }
    let quiet = |shop: &Shop, url: &str, said: &str| {
        let run = shop.run_against(url, &["check"]);
        assert_eq!(run.code, Some(2), "{}", run.out);
        assert!(run.err.contains(said), "{said:?} is not in: {}", run.err);
        assert!(!run.err.contains("secret"), "{}", run.err);
    };
    let url = shop.registry.uri();
    shop.variables = vec![("CONTRACTS_REGISTRY_TOKEN", "another-secret")];
    quiet(&shop, &url, "does not accept the token (401)");
    quiet(
        &shop,
        "http://registry.example.com:8081",
        "without encryption: use https",
    );
    shop.variables = vec![("CONTRACTS_REGISTRY_TOKEN", "a\nsecret")];
    quiet(&shop, &url, "CONTRACTS_REGISTRY_TOKEN holds a character");
    shop.variables = vec![
        ("CONTRACTS_REGISTRY_USER", "key"),
        ("CONTRACTS_REGISTRY_PASSWORD", "wrong-secret"),
    ];
    quiet(&shop, &url, "does not accept the user and password (401)");
    shop.variables.push(("CONTRACTS_REGISTRY_TOKEN", "secret"));
    quiet(&shop, &url, "unset what the registry does not want");
    shop.variables = vec![("CONTRACTS_REGISTRY_PASSWORD", "secret")];
    quiet(&shop, &url, "CONTRACTS_REGISTRY_USER is not: set both");
    shop.variables.clear();
    quiet(
        &shop,
        "https://key:secret@registry.example.com",
        "holds no user and no password",
    );
    quiet(
        &shop,
        "https://registry.example.com/?token=secret",
        "more than a host and a path",
    );
    quiet(
        &shop,
        "ftp://registry.example.com",
        "neither http:// nor https://",
    );
    quiet(&shop, "https://", "is no address of a registry");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_before_the_api_and_characters_of_subjects() {
    let shop = Shop::open().await;
    let mut schema = placed();
    schema["title"] = json!("Order/Placed ü");
    shop.write("orders.order.placed/v1.json", &schema);
    let under = "/apis/ccompat/v7";
    let subject = "Order%2FPlaced%20%C3%BC";
    let registered = json!({"subject": "Order/Placed ü", "version": 1, "schemaType": "JSON", "schema": schema.to_string()});
    shop.answers(
        &format!("{under}/subjects/{subject}/versions"),
        ok(&json!([1])),
    )
    .await;
    shop.answers(
        &format!("{under}/subjects/{subject}/versions/1"),
        ok(&registered),
    )
    .await;
    // Where defaults are told instead, as before version 7 of the API.
    shop.answers(
        &format!("{under}/config/{subject}"),
        ok(&json!({"compatibility": "FULL_TRANSITIVE"})),
    )
    .await;
    let run = shop.run_against(
        &format!("{}{under}/", shop.registry.uri()),
        &["check", "--format", "json"],
    );
    assert_eq!(run.code, Some(0), "{}", run.err);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["contracts"][0]["outcome"], "unchanged", "{report}");
    assert_eq!(report.get("notes"), None, "{report}");
}
