//! What the gate refuses, and the text that a person then reads: one committed expectation for each.
#![cfg(all(feature = "gate", feature = "derive"))]

mod expectation;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use commerce_contracts::compatibility::Mode;
use commerce_contracts::gate::{
    Allowance, Change, Gate, GateError, Outcome, Rules, SchemaSet, compare,
};
use commerce_contracts::{Contract, Event};
use expectation::expect;
use tempfile::TempDir;

/// Declares an event: the same name and version as all others here, and these fields.
macro_rules! placed {
    ($module:ident { $($fields:tt)* }) => { placed!($module, "orders", "order_id" { $($fields)* }); };
    ($module:ident, $topic:literal, $key:literal { $($fields:tt)* }) => {
        mod $module {
            use super::*;
            use schemars::JsonSchema;
            use serde::{Deserialize, Serialize};

            #[derive(Event, Serialize, Deserialize, JsonSchema)]
            #[event(name = "orders.order.placed", version = 1, topic = $topic, key = $key)]
            pub(super) struct OrderPlaced { $($fields)* }
        }
    };
}

/// Enums are types of their own.
mod channel {
    use commerce_contracts::avro::AvroSchema;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, JsonSchema, AvroSchema)]
    #[serde(rename_all = "snake_case")]
    pub(crate) enum Channel {
        Shop,
        Marketplace,
    }

    pub(crate) mod extended {
        use super::{AvroSchema, Deserialize, JsonSchema, Serialize};

        #[derive(Serialize, Deserialize, JsonSchema, AvroSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum Channel {
            Shop,
            Marketplace,
            App,
        }
    }
}

placed!(recorded {
    order_id: String,
    #[schemars(range(min = 1))]
    total_minor: i64,
    channel: channel::Channel,
    note: Option<String>,
});
placed!(required_field_added {
    order_id: String,
    #[schemars(range(min = 1))]
    total_minor: i64,
    channel: channel::Channel,
    note: Option<String>,
    customer_id: String,
});
placed!(field_removed {
    order_id: String,
    channel: channel::Channel,
    note: Option<String>,
});
placed!(type_changed {
    order_id: String,
    total_minor: String,
    channel: channel::Channel,
    note: Option<String>,
});
placed!(enum_value_added {
    order_id: String,
    #[schemars(range(min = 1))]
    total_minor: i64,
    channel: channel::extended::Channel,
    note: Option<String>,
});
placed!(field_renamed {
    order_id: String,
    #[schemars(range(min = 1))]
    total_cents: i64,
    channel: channel::Channel,
    note: Option<String>,
});
placed!(bound_tightened {
    order_id: String,
    #[schemars(range(min = 100))]
    total_minor: i64,
    channel: channel::Channel,
    note: Option<String>,
});
placed!(topic_and_key_changed, "sales", "note_id" {
    order_id: String,
    #[schemars(range(min = 1))]
    total_minor: i64,
    channel: channel::Channel,
    note: Option<String>,
    #[serde(default)]
    note_id: String,
});
placed!(optional_field_added {
    order_id: String,
    #[schemars(range(min = 1))]
    total_minor: i64,
    channel: channel::Channel,
    note: Option<String>,
    coupon: Option<String>,
});

placed!(note_removed {
    order_id: String,
    #[schemars(range(min = 1))]
    total_minor: i64,
    channel: channel::Channel,
});
placed!(note_of_another_type {
    order_id: String,
    #[schemars(range(min = 1))]
    total_minor: i64,
    channel: channel::Channel,
    note: Option<i64>,
});
placed!(documented {
    order_id: String,
    #[schemars(range(min = 1))]
    total_minor: i64,
    channel: channel::Channel,
    /// What the customer asks for.
    note: Option<String>,
});

/// An event about a person, with the marks and without.
macro_rules! registered {
    ($module:ident, $debug:ident { $($fields:tt)* }) => {
        mod $module {
            #[allow(unused_imports, reason = "one of the derives is Debug")]
            use commerce_contracts::{Event, PersonalData};
            use schemars::JsonSchema;
            use serde::{Deserialize, Serialize};

            #[derive($debug, Event, Serialize, Deserialize, JsonSchema)]
            #[event(name = "shop.customer.registered", version = 1, topic = "shop", key = "customer_id")]
            pub(super) struct Registered { $($fields)* }
        }
    };
}
registered!(marked, PersonalData {
    customer_id: String,
    #[event(personal)]
    email: String,
    nickname: Option<String>,
});
registered!(mark_removed, Debug {
    customer_id: String,
    email: String,
    nickname: Option<String>,
});
registered!(email_is_gone, Debug {
    customer_id: String,
    nickname: Option<String>,
});

/// A crate whose recorded schemas are those of `recorded`.
fn shop() -> TempDir {
    let shop = tempfile::tempdir().unwrap();
    Gate::of([recorded::OrderPlaced::contract()], shop.path())
        .bless()
        .unwrap();
    shop
}

/// Every file, by its path.
fn files(root: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

/// The text of the refusal; blessing refuses as well, and writes nothing.
fn refused(contract: &'static Contract) -> String {
    let shop = shop();
    let before = files(shop.path());
    let gate = Gate::of([contract], shop.path());
    let text = gate.check().unwrap_err().to_string();
    let blessed = gate.bless().unwrap_err().to_string();
    assert!(blessed.contains("Nothing was recorded"), "{blessed}");
    assert_eq!(files(shop.path()), before);
    text
}

#[test]
fn an_edit_that_breaks_somebody() {
    let cases: [(&str, &'static Contract); 7] = [
        (
            "required_field_added",
            required_field_added::OrderPlaced::contract(),
        ),
        ("field_removed", field_removed::OrderPlaced::contract()),
        ("type_changed", type_changed::OrderPlaced::contract()),
        (
            "enum_value_added",
            enum_value_added::OrderPlaced::contract(),
        ),
        ("field_renamed", field_renamed::OrderPlaced::contract()),
        ("bound_tightened", bound_tightened::OrderPlaced::contract()),
        (
            "topic_and_key_changed",
            topic_and_key_changed::OrderPlaced::contract(),
        ),
    ];
    for (name, contract) in cases {
        expect(&format!("gate_refuses/{name}.txt"), &refused(contract));
    }
}

#[test]
fn a_compatible_edit_until_it_is_recorded() {
    let shop = shop();
    let gate = Gate::of([optional_field_added::OrderPlaced::contract()], shop.path());
    expect(
        "gate_refuses/not_recorded.txt",
        &gate.check().unwrap_err().to_string(),
    );
    let changed = gate.bless().unwrap();
    let folder = shop.path().join("schemas/orders.order.placed");
    assert_eq!(
        changed,
        [
            "v1.earlier/1.json",
            "v1.earlier/1.read.json",
            "v1.earlier/1.avsc",
            "v1.json",
            "v1.read.json",
            "v1.avsc",
        ]
        .map(|name| folder.join(name))
    );
    gate.check().unwrap();
    let recorded = files(shop.path());
    assert_eq!(gate.bless().unwrap().len(), 0);
    assert_eq!(files(shop.path()), recorded);
    // What an unfinished write would leave behind is not there.
    assert_eq!(recorded.len(), 6);
}

#[test]
fn a_field_that_was_removed_does_not_come_back_as_another() {
    let shop = shop();
    let gate = |contract| Gate::of([contract], shop.path());
    let folder = shop.path().join("schemas/orders.order.placed");
    let blessed = gate(note_removed::OrderPlaced::contract()).bless().unwrap();
    assert_eq!(
        blessed,
        [
            "v1.earlier/1.json",
            "v1.earlier/1.read.json",
            "v1.earlier/1.avsc",
            "v1.json",
            "v1.avsc",
            "v1.read.json",
        ]
        .map(|name| folder.join(name))
    );
    let before = files(shop.path());
    let again = gate(note_of_another_type::OrderPlaced::contract());
    expect(
        "gate_refuses/field_came_back.txt",
        &again.check().unwrap_err().to_string(),
    );
    assert!(again.bless().is_err());
    assert_eq!(files(shop.path()), before);
    // Who asks for less gets less.
    let last_only = again.mode(Mode::Full);
    let text = last_only.check().unwrap_err().to_string();
    assert!(
        text.contains("the change is compatible, and not recorded"),
        "{text}"
    );
}

#[test]
fn each_state_of_a_version_is_kept_once_and_only_when_it_means_something_else() {
    let shop = shop();
    let earlier = || {
        let names = files(shop.path()).into_keys();
        names
            .filter(|name| {
                name.contains("earlier")
                    && Path::new(name).extension().is_some_and(|it| it == "avsc")
            })
            .count()
    };
    for (contract, states) in [
        (documented::OrderPlaced::contract(), 0),
        (recorded::OrderPlaced::contract(), 0),
        (optional_field_added::OrderPlaced::contract(), 1),
        (recorded::OrderPlaced::contract(), 2),
        (optional_field_added::OrderPlaced::contract(), 2),
        (documented::OrderPlaced::contract(), 2),
    ] {
        let gate = Gate::of([contract], shop.path());
        gate.bless().unwrap();
        gate.check().unwrap();
        assert_eq!(earlier(), states);
    }
    // An earlier state that is no schema file is told of, and so is one without the version itself.
    let folder = shop.path().join("schemas/orders.order.placed");
    let gate = Gate::of([recorded::OrderPlaced::contract()], shop.path());
    fs::write(folder.join("v1.earlier/01.json"), "{}").unwrap();
    let error = gate.check().unwrap_err().to_string();
    assert!(
        error.contains("v1.earlier/01.json: the name of a schema file is"),
        "{error}"
    );
    fs::rename(folder.join("v1.earlier"), folder.join("v2.earlier")).unwrap();
    fs::remove_file(folder.join("v2.earlier/01.json")).unwrap();
    let error = gate.check().unwrap_err().to_string();
    assert!(
        error.contains("no v2.json or v2.avsc that says what it is"),
        "{error}"
    );
}

#[test]
fn a_mark_of_personal_data_that_is_lost() {
    let shop = tempfile::tempdir().unwrap();
    let gate = |contract| Gate::of([contract], shop.path());
    gate(marked::Registered::contract()).bless().unwrap();
    let without = gate(mark_removed::Registered::contract());
    expect(
        "gate_refuses/personal_mark_lost.txt",
        &without.check().unwrap_err().to_string(),
    );
    assert!(without.bless().is_err());
    let allowance = "shop.customer.registered.v1:PERSONAL_MARK_LOST".parse::<Allowance>();
    let allowing = without.clone().allow(allowance);
    allowing.bless().unwrap();
    without.check().unwrap();
    // It was for this one change.
    let error = allowing.check().unwrap_err();
    assert!(matches!(error, GateError::StaleAllowance(_)), "{error}");
    // What breaks readers is not for anybody to allow.
    let error = "shop.customer.registered.v1:TYPE_CHANGED".parse::<Allowance>();
    assert!(
        error
            .unwrap_err()
            .contains("what breaks readers is a new version")
    );
}

#[test]
fn a_mark_is_not_lost_by_removing_the_field_for_a_while() {
    let optional = |mark: &str| {
        let schema = format!(
            r#"{{"type": "object", "properties": {{"id": {{"type": "string"}}, "email": {{"type": "string"{mark}}}}}, "required": ["id"]}}"#
        );
        (
            "shop.customer.registered/v1.json".to_owned(),
            schema.into_bytes(),
        )
    };
    let without =
        br#"{"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}"#;
    let (_, marked) = optional(r#", "x-personal": true"#);
    let old = SchemaSet::from_files([
        (
            "shop.customer.registered/v1.json".to_owned(),
            without.to_vec(),
        ),
        (
            "shop.customer.registered/v1.earlier/1.json".to_owned(),
            marked,
        ),
    ])
    .unwrap();
    let rules = |change: &Change| change.breaks.iter().map(|one| one.rule).collect::<Vec<_>>();
    let new = SchemaSet::from_files([optional("")]).unwrap();
    let change = compare(&old, &new, Rules::default()).remove(0);
    assert!(rules(&change).contains(&"PERSONAL_MARK_LOST"), "{change:?}");
    let new = SchemaSet::from_files([optional(r#", "x-personal": true"#)]).unwrap();
    let change = compare(&old, &new, Rules::default()).remove(0);
    assert_eq!(rules(&change), ["EARLIER_STATE_LOST"]);
}

#[test]
fn a_removed_field_takes_its_mark_along() {
    let shop = tempfile::tempdir().unwrap();
    Gate::of([marked::Registered::contract()], shop.path())
        .bless()
        .unwrap();
    let gone = Gate::of([email_is_gone::Registered::contract()], shop.path());
    let text = gone.check().unwrap_err().to_string();
    assert!(!text.contains("PERSONAL_MARK_LOST"), "{text}");
}

#[test]
fn one_of_two_schemas_that_is_deleted() {
    for (ending, edited) in [
        ("json", enum_value_added::OrderPlaced::contract()),
        ("avsc", recorded::OrderPlaced::contract()),
    ] {
        let shop = shop();
        fs::remove_file(
            shop.path()
                .join(format!("schemas/orders.order.placed/v1.{ending}")),
        )
        .unwrap();
        if ending == "json" {
            fs::remove_file(shop.path().join("schemas/orders.order.placed/v1.read.json")).unwrap();
        }
        let gate = Gate::of([edited], shop.path());
        for text in [
            gate.check().unwrap_err().to_string(),
            gate.bless().unwrap_err().to_string(),
        ] {
            assert!(text.contains("SCHEMA_NOT_RECORDED"), "{text}");
            assert!(
                text.contains(&format!("restore v1.{ending} as it was committed")),
                "{text}"
            );
        }
        let allowance = "orders.order.placed.v1:SCHEMA_NOT_RECORDED".parse::<Allowance>();
        let allowed = gate.allow(allowance).bless();
        // Allowing that does not allow what the other schema shows.
        assert_eq!(allowed.is_ok(), ending == "avsc", "{allowed:?}");
    }
}

#[test]
fn an_event_that_was_never_recorded_and_a_record_without_an_event() {
    let shop = shop();
    let schemas = shop.path().join("schemas");
    fs::rename(
        schemas.join("orders.order.placed"),
        schemas.join("orders.order.lost"),
    )
    .unwrap();
    let gate = Gate::of([recorded::OrderPlaced::contract()], shop.path());
    expect(
        "gate_refuses/new_and_lost.txt",
        &gate.check().unwrap_err().to_string(),
    );
    let blessed = gate.bless().unwrap_err().to_string();
    assert!(
        blessed.contains("orders.order.lost.v1 is recorded"),
        "{blessed}"
    );
    assert!(!schemas.join("orders.order.placed").exists());
}

#[test]
fn nothing_to_compare() {
    let shop = shop();
    let error = Gate::of([], shop.path()).check().unwrap_err();
    assert!(matches!(error, GateError::NoContracts), "{error}");
    let gate = Gate::of_package("no-such-package", &shop.path().display().to_string());
    expect(
        "gate_refuses/no_events.txt",
        &gate.check().unwrap_err().to_string(),
    );
}

#[test]
fn one_contract_by_two_types_and_exceptions_of_nothing() {
    let shop = shop();
    let both = [
        recorded::OrderPlaced::contract(),
        optional_field_added::OrderPlaced::contract(),
    ];
    let error = Gate::of(both, shop.path()).check().unwrap_err();
    assert!(matches!(error, GateError::Twice { .. }), "{error}");
    // The derive has announced all of these types, so the package as a whole has them many times.
    let package = Gate::of_package(env!("CARGO_PKG_NAME"), &shop.path().display().to_string());
    let Err(GateError::Twice { one, other, .. }) = package.check() else {
        panic!("several types of one contract were accepted");
    };
    assert_eq!(one, "gate_refuses::bound_tightened::OrderPlaced");
    assert_eq!(other, "gate_refuses::documented::OrderPlaced");
    let error = package.except(["shop::Gone"]).check().unwrap_err();
    assert!(matches!(error, GateError::StaleException(path) if path == "shop::Gone"));
}

#[test]
fn files_that_are_no_schemas() {
    for (name, bytes, problem) in [
        (
            "v1.json",
            "{",
            "orders.order.placed/v1.json: it is not JSON",
        ),
        (
            "v01.json",
            "{}",
            "orders.order.placed/v01.json: the name of a schema file is",
        ),
        (
            "v0.avsc",
            "{}",
            "orders.order.placed/v0.avsc: the name of a schema file is",
        ),
        ("v2.read.json", "{}", "no v2.json that says what is written"),
    ] {
        let shop = shop();
        let folder = shop.path().join("schemas/orders.order.placed");
        fs::write(folder.join(name), bytes).unwrap();
        let gate = Gate::of([recorded::OrderPlaced::contract()], shop.path());
        let error = gate.check().unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn what_lies_beside_schemas_and_how_lines_end_is_no_matter() {
    let shop = shop();
    let folder = shop.path().join("schemas/orders.order.placed");
    fs::write(shop.path().join("schemas/README.md"), "").unwrap();
    fs::write(folder.join(".DS_Store"), "").unwrap();
    let file = folder.join("v1.json");
    let text = fs::read_to_string(&file).unwrap().replace('\n', "\r\n");
    fs::write(&file, text).unwrap();
    let gate = Gate::of([recorded::OrderPlaced::contract()], shop.path());
    gate.check().unwrap();
}

#[test]
fn avro_that_lost_a_default() {
    let set = |field: &str| {
        let schema = format!(
            r#"{{"type": "record", "name": "OrderPlaced", "fields": [{{"name": "order_id", "type": "string"}}, {field}]}}"#
        );
        let file = (
            "orders.order.placed/v1.avsc".to_owned(),
            schema.into_bytes(),
        );
        SchemaSet::from_files([file]).unwrap()
    };
    let with = set(r#"{"name": "coupon", "type": "string", "default": ""}"#);
    let without = SchemaSet::from_files([(
        "orders.order.placed/v1.avsc".to_owned(),
        br#"{"type": "record", "name": "OrderPlaced", "fields": [{"name": "order_id", "type": "string"}]}"#.to_vec(),
    )])
    .unwrap();
    let lost = set(r#"{"name": "coupon", "type": "string"}"#);
    // Two states alone, without what was before.
    let mut rules = Rules::default();
    rules.mode = Mode::Full;
    assert_eq!(
        compare(&without, &with, rules)[0].outcome,
        Outcome::Compatible
    );
    let change = compare(&without, &lost, rules).remove(0);
    assert_eq!(change.outcome, Outcome::Incompatible);
    expect("gate_refuses/avro_without_default.txt", &change.explain());
}
