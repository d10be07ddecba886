//! The tool as its users meet it: the program is run in real directories and git repositories, and what it prints is compared with files.

mod expectation;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use expectation::expect;
use serde_json::{Value, json};
use tempfile::TempDir;

fn placed() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:contract:orders.order.placed:v1",
        "x-contract": {"topic": "orders", "key": "order_id"},
        "title": "OrderPlaced",
        "description": "An order was placed <at a shop> | or a marketplace.",
        "type": "object",
        "properties": {
            "order_id": {"type": "string", "format": "uuid", "description": "The order."},
            "quantity": {"type": "integer", "minimum": 1},
            "customer": {"$ref": "#/$defs/Customer"},
            "channel": {"enum": ["shop", "marketplace"]},
        },
        "required": ["order_id", "quantity", "customer"],
        "$defs": {"Customer": {"type": "object", "description": "Who buys.", "properties": {
            "email": {"type": "string", "format": "email", "x-personal": true},
            "name": {"type": ["string", "null"], "x-personal": true},
        }, "required": ["email", "name"]}},
    })
}

fn avro(default: bool) -> Value {
    let mut coupon = json!({"name": "coupon", "type": "string", "doc": "A code."});
    if default {
        coupon["default"] = json!("");
    }
    json!({"type": "record", "name": "OrderPaid", "doc": "An order was paid.", "fields": [
        {"name": "order_id", "type": "string"},
        coupon,
    ]})
}

struct Shop(TempDir);

impl Shop {
    /// A git repository with one commit, tagged `released`.
    fn released() -> Self {
        let shop = Self(tempfile::tempdir().unwrap());
        shop.write("orders.order.placed/v1.json", &placed());
        shop.write("orders.order.paid/v1.avsc", &avro(true));
        shop.git(&["init", "--quiet", "--initial-branch=main"]);
        shop.commit("released");
        shop
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, file: &str, schema: &Value) {
        let path = self.path().join("schemas").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, schema.to_string()).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        git(self.path(), arguments);
    }

    fn commit(&self, tag: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", tag]);
        self.git(&["tag", tag]);
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(self.path(), arguments)
    }
}

/// Of the user's own settings none may count.
fn git(directory: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .current_dir(directory)
        .args([
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.com",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("these tests need git");
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
}

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(directory: &Path, arguments: &[&str]) -> Run {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_contracts"))
        .current_dir(directory)
        // A repository above the temporary directory is none of theirs.
        .env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap())
        .args(arguments)
        .output()
        .unwrap();
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Changed in every way.
fn changed() -> Shop {
    let shop = Shop::released();
    let mut schema = placed();
    schema["properties"]["quantity"]["minimum"] = json!(5);
    schema["x-contract"]["topic"] = json!("sales");
    shop.write("orders.order.placed/v1.json", &schema);
    shop.write("orders.order.placed/v2.json", &placed());
    let mut fields = avro(true);
    fields["fields"][0]["type"] = json!("long");
    shop.write("orders.order.paid/v1.avsc", &fields);
    shop
}

#[test]
fn an_incompatible_change_in_each_format() {
    let shop = changed();
    for format in ["text", "json", "github"] {
        let run = shop.run(&["check", "--against", "git:released", "--format", format]);
        assert_eq!((run.code, run.err.as_str()), (Some(1), ""), "{}", run.out);
        expect(&format!("output/check.{format}.txt"), &run.out);
        let run = shop.run(&["diff", "--against", "git:released", "--format", format]);
        assert_eq!((run.code, run.err.as_str()), (Some(1), ""), "{}", run.out);
        expect(&format!("output/diff.{format}.txt"), &run.out);
    }
}

#[test]
fn no_change_and_a_compatible_one() {
    let shop = Shop::released();
    let run = shop.run(&["check", "--against", "git:released"]);
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    assert_eq!(run.out, "2 compatible, 0 not, against git:released\n");
    let run = shop.run(&["diff", "--against", "git:released"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""));

    let mut schema = placed();
    schema["properties"]["coupon"] = json!({"type": "string"});
    shop.write("orders.order.placed/v1.json", &schema);
    // What the version was is kept beside it, or the next change is not compared with it.
    let run = shop.run(&["check", "--against", "git:released"]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    expect("output/not_kept.txt", &run.out);
    let run = shop.run(&["check", "--against", "git:released", "--mode", "full"]);
    assert_eq!(run.code, Some(0), "{}", run.out);
    for arguments in [&["--record"][..], &[]] {
        let run = shop.run(&[&["check", "--against", "git:released"], arguments].concat());
        assert_eq!(run.code, Some(0), "{}", run.out);
        assert!(
            run.out
                .starts_with("orders.order.placed.v1: changed, compatible\n")
        );
    }
    let kept = shop
        .path()
        .join("schemas/orders.order.placed/v1.earlier/1.json");
    assert_eq!(
        serde_json::from_slice::<Value>(&fs::read(kept).unwrap()).unwrap()["title"],
        "OrderPlaced"
    );
    // Taken at its word, an open object might hold a coupon of any type already.
    let run = shop.run(&["check", "--against", "git:released", "--policy", "strict"]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.out.contains("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"));
}

#[test]
fn one_direction_is_enough_where_it_is_asked_for() {
    let shop = Shop::released();
    let mut schema = placed();
    schema["properties"]["channel"]["enum"] = json!(["shop", "marketplace", "app"]);
    shop.write("orders.order.placed/v1.json", &schema);
    for (mode, code) in [
        ("backward", 0),
        ("forward", 1),
        ("full", 1),
        ("forward-transitive", 1),
        ("full-transitive", 1),
    ] {
        let run = shop.run(&["check", "--against", "git:released", "--mode", mode]);
        assert_eq!(run.code, Some(code), "{mode}: {}", run.out);
    }
}

/// Removed, released, and added again with another type: each step alone is compatible, and the first and the last are not.
#[test]
fn what_a_version_was_counts_in_a_transitive_mode() {
    let shop = Shop::released();
    let with = |coupon: Value| {
        let mut schema = placed();
        schema["properties"]["coupon"] = coupon;
        schema
    };
    let file = "orders.order.placed/v1.json";
    shop.write(file, &with(json!({"type": "string"})));
    shop.commit("with");
    shop.write(file, &placed());
    let run = shop.run(&["check", "--against", "git:with", "--record"]);
    assert_eq!(run.code, Some(0), "{}", run.out);
    shop.commit("without");
    shop.write(file, &with(json!({"type": "integer"})));
    for (mode, code) in [
        ("full", 0),
        ("backward-transitive", 1),
        ("forward-transitive", 1),
        ("full-transitive", 1),
    ] {
        let arguments = [
            "check",
            "--against",
            "git:without",
            "--record",
            "--mode",
            mode,
        ];
        let run = shop.run(&arguments);
        assert_eq!(run.code, Some(code), "{mode}: {}", run.out);
        assert_eq!(
            run.out
                .contains("TYPE_CHANGED), by what version 1 was in v1.earlier/1"),
            code == 1,
            "{mode}: {}",
            run.out
        );
    }
    // Deleting what it was does not help, for git has it.
    fs::remove_dir_all(shop.path().join("schemas/orders.order.placed/v1.earlier")).unwrap();
    let run = shop.run(&["check", "--against", "git:without"]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.out.contains("TYPE_CHANGED"), "{}", run.out);
    shop.write(file, &placed());
    let run = shop.run(&["check", "--against", "git:without"]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(
        run.out
            .contains("v1.earlier has lost states that the version had"),
        "{}",
        run.out
    );
}

#[test]
fn a_mark_of_personal_data_that_is_lost() {
    let shop = Shop::released();
    let mut schema = placed();
    schema["$defs"]["Customer"]["properties"]["email"]
        .as_object_mut()
        .unwrap()
        .remove("x-personal");
    shop.write("orders.order.placed/v1.json", &schema);
    let check = ["check", "--against", "git:released", "--record"];
    let run = shop.run(&check);
    assert_eq!(run.code, Some(1), "{}", run.out);
    expect("output/personal_mark_lost.txt", &run.out);
    let allow = ["--allow", "orders.order.placed.v1:PERSONAL_MARK_LOST"];
    let run = shop.run(&[&check[..], &allow].concat());
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    shop.write("orders.order.placed/v1.json", &placed());
    let run = shop.run(&[&check[..], &allow].concat());
    assert_eq!(run.code, Some(2), "{}", run.out);
    assert!(run.err.contains("allows nothing"), "{}", run.err);
    let run = shop.run(
        &[
            &check[..],
            &["--allow", "orders.order.placed.v1:TYPE_CHANGED"],
        ]
        .concat(),
    );
    assert_eq!(run.code, Some(2), "{}", run.out);
    assert!(
        run.err.contains("what breaks readers is a new version"),
        "{}",
        run.err
    );

    // Of Avro the same: the field's own mark, or that of what it is in.
    let field = |mark: Value| {
        let mut schema = avro(true);
        schema["fields"][0]["type"] = json!({"type": "record", "name": "Buyer", "fields": [{"name": "email", "type": "string"}]});
        schema["fields"][0]["x-personal"] = mark;
        schema
    };
    shop.write("orders.order.paid/v1.avsc", &field(json!(true)));
    shop.commit("marked");
    shop.write("orders.order.paid/v1.avsc", &field(json!(false)));
    let run = shop.run(&["check", "--against", "git:marked", "--record"]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(
        run.out.contains("`order_id` (Avro, PERSONAL_MARK_LOST)"),
        "{}",
        run.out
    );
    assert!(!run.out.contains("order_id.email"), "{}", run.out);
}

#[test]
fn one_of_two_schemas_that_is_deleted() {
    let shop = Shop::released();
    shop.write("orders.order.placed/v1.avsc", &avro(true));
    shop.commit("both");
    for ending in ["json", "avsc"] {
        let path = shop
            .path()
            .join(format!("schemas/orders.order.placed/v1.{ending}"));
        let text = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let run = shop.run(&["check", "--against", "git:both", "--record"]);
        assert_eq!(run.code, Some(1), "{}", run.out);
        assert!(run.out.contains("SCHEMA_REMOVED"), "{}", run.out);
        fs::write(&path, text).unwrap();
        let _ = fs::remove_dir_all(shop.path().join("schemas/orders.order.placed/v1.earlier"));
    }
}

#[test]
fn a_directory_that_was_moved_has_no_empty_past() {
    let shop = Shop::released();
    fs::rename(shop.path().join("schemas"), shop.path().join("contracts")).unwrap();
    let mut broken = placed();
    broken["properties"]["quantity"]["minimum"] = json!(5);
    fs::write(
        shop.path().join("contracts/orders.order.placed/v1.json"),
        broken.to_string(),
    )
    .unwrap();
    let check = [
        "check",
        "--schemas",
        "contracts",
        "--against",
        "git:released",
    ];
    let run = shop.run(&check);
    assert_eq!((run.code, run.out.as_str()), (Some(2), ""));
    expect("output/empty_baseline.txt", &run.err);
    let run = shop.run(&[&check[..], &["--old-schemas", "schemas"]].concat());
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(run.out.contains("MINIMUM_INCREASED"), "{}", run.out);
    let run = shop.run(&[&check[..], &["--old-schemas", "schemas", "--first"]].concat());
    assert_eq!(run.code, Some(2), "{}", run.out);
    assert!(
        run.err
            .contains("`--first` says that the baseline has no schema"),
        "{}",
        run.err
    );
    let run = shop.run(&[
        "check",
        "--schemas",
        "contracts",
        "--against",
        "contracts",
        "--old-schemas",
        "schemas",
    ]);
    assert_eq!(run.code, Some(2), "{}", run.out);
    assert!(
        run.err.contains("named by `--against` itself"),
        "{}",
        run.err
    );
}

#[test]
fn a_lost_default_of_avro() {
    let shop = Shop::released();
    let mut without = avro(true);
    without["fields"].as_array_mut().unwrap().pop();
    shop.write("orders.order.paid/v1.avsc", &without);
    shop.commit("without");
    shop.write("orders.order.paid/v1.avsc", &avro(false));
    let run = shop.run(&["check", "--against", "git:without"]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    assert!(run.out.contains("READER_FIELD_MISSING_DEFAULT_VALUE"));
}

#[test]
fn a_contract_that_is_gone() {
    let shop = Shop::released();
    fs::remove_dir_all(shop.path().join("schemas/orders.order.paid")).unwrap();
    let run = shop.run(&["check", "--against", "git:released"]);
    assert_eq!(run.code, Some(1));
    expect("output/gone.txt", &run.out);
    let run = shop.run(&[
        "check",
        "--against",
        "git:released",
        "--allow-removed",
        "orders.order.paid.v1",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.out);
    assert!(run.out.contains("orders.order.paid.v1: gone, as allowed"));
}

#[test]
fn against_a_directory_and_from_a_subdirectory() {
    let shop = changed();
    let old = Shop::released();
    let against = old.path().join("schemas").display().to_string();
    let run = shop.run(&["check", "--against", &against]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    // From elsewhere, the directory is the same one.
    let deep = shop.path().join("docs");
    fs::create_dir(&deep).unwrap();
    let there = run_in_deep(&deep);
    assert_eq!(there.code, Some(1), "{}", there.err);
    assert!(there.out.contains("MINIMUM_INCREASED"), "{}", there.out);
}

fn run_in_deep(deep: &Path) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_contracts"))
        .current_dir(deep)
        .args([
            "check",
            "--schemas",
            "../schemas",
            "--against",
            "git:released",
        ])
        .output()
        .unwrap();
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn schemas_that_are_new_since_then_are_all_new() {
    let shop = Shop::released();
    shop.git(&["checkout", "--quiet", "--orphan", "empty"]);
    shop.git(&["rm", "--quiet", "--cached", "-r", "."]);
    fs::write(shop.path().join("README"), "").unwrap();
    shop.git(&["add", "README"]);
    shop.git(&["commit", "--quiet", "--message", "nothing yet"]);
    let run = shop.run(&["check", "--against", "git:empty"]);
    assert_eq!(run.code, Some(2), "{}", run.out);
    let run = shop.run(&["check", "--against", "git:empty", "--first"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(
        run.out.contains("orders.order.placed.v1: new\n"),
        "{}",
        run.out
    );
}

#[test]
fn questions_that_cannot_be_answered() {
    let shop = Shop::released();
    let refused = |arguments: &[&str], problem: &str| {
        let run = shop.run(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.out);
        assert_eq!(run.out, "");
        assert!(run.err.contains(problem), "{arguments:?}: {}", run.err);
    };
    refused(
        &["check", "--against", "git:v9"],
        r#"git knows no commit "v9" here: fetch it"#,
    );
    refused(
        &["check", "--against", "git:--output=x"],
        r#"git knows no commit "--output=x""#,
    );
    refused(&["check", "--against", "registry:"], "needs an address");
    #[cfg(not(feature = "registry"))]
    refused(
        &[
            "check",
            "--against",
            "registry:https://user:secret@registry.example.com",
        ],
        "registry.example.com cannot be asked: this `contracts` was built without the feature `registry`",
    );
    refused(
        &["check", "--against", "nowhere"],
        "there is no directory nowhere",
    );
    refused(
        &["check", "--against", "git:released", "--schemas", "nowhere"],
        "there is no directory nowhere",
    );
    refused(
        &["check", "--against", "git:"],
        "needs a commit, branch or tag",
    );
    refused(&["check"], "--against");
    fs::create_dir(shop.path().join("empty")).unwrap();
    refused(&["list", "--schemas", "empty"], "empty holds no schema");
    fs::write(shop.path().join("schemas/orders.order.placed/v1.json"), "{").unwrap();
    refused(
        &["list"],
        "schemas/orders.order.placed/v1.json: it is not JSON",
    );
    shop.commit("broken");
    shop.write("orders.order.placed/v1.json", &placed());
    refused(
        &["check", "--against", "git:broken"],
        "broken:schemas/orders.order.placed/v1.json: it is not JSON",
    );
}

#[test]
fn outside_of_git_and_beyond_a_shallow_clone() {
    let bare = Shop(tempfile::tempdir().unwrap());
    bare.write("orders.order.placed/v1.json", &placed());
    let run = bare.run(&["check", "--against", "git:main"]);
    assert_eq!(run.code, Some(2), "{}", run.out);
    assert!(
        run.err.contains("is not in a git repository"),
        "{}",
        run.err
    );

    let shop = Shop::released();
    shop.write("orders.order.placed/v2.json", &placed());
    shop.commit("next");
    let clone = tempfile::tempdir().unwrap();
    let url = format!("file://{}", shop.path().display());
    git(
        clone.path(),
        &["clone", "--quiet", "--depth=1", "--no-tags", &url, "clone"],
    );
    let clone = clone.path().join("clone");
    let run = self::run(&clone, &["check", "--against", "git:released"]);
    assert_eq!(run.code, Some(2), "{}", run.out);
    assert!(run.err.contains("this clone is shallow"), "{}", run.err);
    let run = self::run(&clone, &["check", "--against", "git:HEAD"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
}

#[test]
fn lists_and_pages() {
    let shop = Shop::released();
    shop.write("orders.order.placed/v2.json", &{
        let mut schema = placed();
        schema["deprecated"] = json!(true);
        schema["x-contract"]["deprecated"] =
            json!({"since": "2026-11-01", "replacement": "orders.order.placed.v3"});
        schema
    });
    for (arguments, file) in [
        (&["list"][..], "list.text.txt"),
        (&["list", "--format", "json"], "list.json.txt"),
        (&["docs"], "docs.markdown.txt"),
        (
            &["docs", "--page", "html", "--title", "Shop & friends"],
            "docs.html.txt",
        ),
    ] {
        let run = shop.run(arguments);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{arguments:?}");
        expect(&format!("output/{file}"), &run.out);
    }
    let printed = shop.run(&["docs"]).out;
    let run = shop.run(&["docs", "--output", "page.md"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""));
    assert_eq!(
        fs::read_to_string(shop.path().join("page.md")).unwrap(),
        printed
    );
}

/// The commands of the guide "evolving an event", as they stand there.
#[test]
fn what_the_guide_says_to_type_works() {
    let guide =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../commerce-contracts/docs/evolving.md");
    let guide = fs::read_to_string(guide).unwrap();
    let mut is_shell = false;
    let mut commands = Vec::new();
    for line in guide.lines() {
        match line.strip_prefix("```") {
            Some(language) => is_shell = language == "sh",
            None if is_shell => commands.push(line),
            None => {}
        }
    }
    assert!(commands.len() >= 2, "{commands:?}");
    let shop = Shop::released();
    shop.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    shop.git(&["tag", "v1.4.0"]);
    for command in commands {
        let arguments: Vec<&str> = command.split_whitespace().collect();
        let ["contracts", arguments @ ..] = &arguments[..] else {
            panic!("this is no command of the tool: {command}");
        };
        let gone = arguments.iter().position(|it| *it == "--allow-removed");
        if let Some(gone) = gone {
            let name = arguments[gone + 1].rsplit_once(".v").unwrap().0;
            fs::remove_dir_all(shop.path().join("schemas").join(name)).unwrap();
        }
        let run = shop.run(arguments);
        assert_eq!(run.code, Some(0), "{command}: {}{}", run.out, run.err);
    }
}

#[test]
fn the_help_says_what_exit_codes_mean() {
    let run = run(&std::env::temp_dir(), &["--help"]);
    assert_eq!(run.code, Some(0));
    assert!(
        run.out.contains("Exit codes: 0 compatible, 1 incompatible"),
        "{}",
        run.out
    );
}
