//! `--against registry:URL`, with a schema registry that is one.
//!
//! Not part of `cargo test`: it needs a registry. `cargo xtask test schema-registry` starts one for it, and runs it.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Where the registry is, with the path of its API.
fn registry() -> String {
    std::env::var("SCHEMA_REGISTRY_URL")
        .expect("`cargo xtask test schema-registry` says where it is")
}

fn register(subject: &str, body: &Value) {
    let agent = ureq::agent();
    let url = format!("{}/subjects/{subject}/versions", registry());
    agent
        .post(url)
        .header("Content-Type", "application/vnd.schemaregistry.v1+json")
        .send(body.to_string())
        .unwrap();
}

fn delete(subject: &str) {
    let url = format!("{}/subjects/{subject}", registry());
    ureq::delete(url).call().unwrap();
}

fn contracts(directory: &TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let against = format!("registry:{}", registry());
    let output: Output = Command::new(env!("CARGO_BIN_EXE_contracts"))
        .current_dir(directory.path())
        .args(["check", "--against", &against])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn write(directory: &TempDir, file: &str, schema: &Value) {
    let path = directory.path().join("schemas").join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, schema.to_string()).unwrap();
}

fn money(amount: &str) -> Value {
    json!({"type": "record", "name": "Money", "namespace": "shop", "fields": [{"name": "amount", "type": amount}]})
}

fn paid(total: Value) -> Value {
    json!({"type": "record", "name": "OrderPaid", "namespace": "shop", "fields": [{"name": "total", "type": total}]})
}

fn placed(least: u32) -> Value {
    json!({"title": "OrderPlaced", "type": "object", "properties": {"quantity": {"type": "integer", "minimum": least}}, "required": ["quantity"]})
}

/// One test: what it registers, each step changes.
#[test]
fn versions_references_and_deleted_subjects_of_a_real_registry() {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "orders.order.placed/v1.json", &placed(1));
    let (code, out, err) = contracts(&directory, &[]);
    assert_eq!(code, Some(2), "{out}");
    assert!(
        err.contains("has none of the subjects OrderPlaced"),
        "{err}"
    );

    register(
        "OrderPlaced",
        &json!({"schemaType": "JSON", "schema": placed(1).to_string()}),
    );
    let (code, out, err) = contracts(&directory, &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("1 compatible, 0 not"), "{out}");
    assert!(
        out.contains("note: the registry accepts anything for OrderPlaced (NONE)"),
        "{out}"
    );

    // A second version, which the first one does not break by; the directory's breaks both.
    register(
        "OrderPlaced",
        &json!({"schemaType": "JSON", "schema": placed(0).to_string()}),
    );
    write(&directory, "orders.order.placed/v1.json", &placed(5));
    let (code, out, _) = contracts(&directory, &["--mode", "backward-transitive"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("`quantity` (JSON Schema, MINIMUM_INCREASED)"),
        "{out}"
    );
    write(&directory, "orders.order.placed/v1.json", &placed(0));

    register("shop.money", &json!({"schema": money("long").to_string()}));
    let references = json!([{"name": "shop.Money", "subject": "shop.money", "version": 1}]);
    register(
        "shop.OrderPaid",
        &json!({"schema": paid(json!("shop.Money")).to_string(), "references": references}),
    );
    write(
        &directory,
        "orders.order.paid/v1.avsc",
        &paid(money("long")),
    );
    let backward = ["--mode", "backward"];
    let (code, out, err) = contracts(&directory, &backward);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    write(&directory, "orders.order.paid/v1.avsc", &paid(money("int")));
    let (code, out, _) = contracts(&directory, &backward);
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("`total.amount` (Avro, TYPE_MISMATCH)"),
        "{out}"
    );

    delete("OrderPlaced");
    let (code, out, err) = contracts(&directory, &backward);
    assert_eq!(code, Some(2), "{out}");
    assert!(err.contains("the subject OrderPlaced was deleted"), "{err}");

    // The same server under a path that has no such API.
    let elsewhere = registry().replace("/apis/ccompat/v7", "/apis");
    let output = Command::new(env!("CARGO_BIN_EXE_contracts"))
        .current_dir(directory.path())
        .args(["check", "--against", &format!("registry:{elsewhere}")])
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(
        err.contains("does not answer as a schema registry does"),
        "{err}"
    );
}
