//! Schemas: what is one, what is none and why, their canonical forms and fingerprints.

use commerce_contracts::avro::Schema;
use serde_json::json;

fn error(json: &str) -> (String, String) {
    let error = Schema::parse(json).unwrap_err();
    (error.pointer().to_owned(), error.reason().to_owned())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn mistakes_are_told_with_their_place() {
    let record =
        |fields: &str| format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#);
    for (json, pointer, reason) in [
        ("7".to_owned(), "", "a schema is a name"),
        ("{}".to_owned(), "", "an object needs its `type`"),
        (r#""record""#.to_owned(), "", "`record` needs attributes"),
        (r#""Order""#.to_owned(), "", "no type `Order` is defined"),
        (
            r#"["null", ["int"]]"#.to_owned(),
            "/1",
            "a union directly in a union",
        ),
        (
            r#"["int", {"type": "int", "logicalType": "date"}]"#.to_owned(),
            "/1",
            "already has a branch of type int",
        ),
        (r#"{"type": "array"}"#.to_owned(), "", "`items` is missing"),
        (
            r#"{"type": "map", "values": "str"}"#.to_owned(),
            "/values",
            "no type `str`",
        ),
        (
            r#"{"type": "fixed", "name": "F", "size": -1}"#.to_owned(),
            "/size",
            "size in bytes",
        ),
        (
            r#"{"type": "enum", "name": "E", "symbols": ["A", "A"]}"#.to_owned(),
            "/symbols/1",
            "there twice",
        ),
        (
            r#"{"type": "enum", "name": "E", "symbols": ["a-b"]}"#.to_owned(),
            "/symbols/0",
            "not a name",
        ),
        (
            r#"{"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}"#.to_owned(),
            "/default",
            "not one of the symbols",
        ),
        (
            r#"{"type": "record", "name": "1R", "fields": []}"#.to_owned(),
            "/name",
            "not a name",
        ),
        (
            r#"{"type": "record", "name": "int", "fields": []}"#.to_owned(),
            "/name",
            "primitive",
        ),
        (
            r#"{"type": "record", "name": "R"}"#.to_owned(),
            "/fields",
            "list of its fields",
        ),
        (
            record(r#"{"type": "int"}"#),
            "/fields/0",
            "needs its `name`",
        ),
        (
            record(r#"{"name": "a", "type": "int"}, {"name": "a", "type": "int"}"#),
            "/fields/1",
            "already has a field `a`",
        ),
        (
            record(r#"{"name": "a", "type": "int", "default": 1.5}"#),
            "/fields/0/default",
            "32 bits",
        ),
        (
            record(r#"{"name": "a", "type": "int", "default": 3000000000}"#),
            "/fields/0/default",
            "32 bits",
        ),
        (
            record(r#"{"name": "a", "type": ["null", "string"], "default": 3}"#),
            "/fields/0/default",
            "one of its branches",
        ),
        (
            record(r#"{"name": "a", "type": "bytes", "default": "é€"}"#),
            "/fields/0/default",
            "U+0000 to U+00FF",
        ),
        (
            record(
                r#"{"name": "a", "type": {"type": "record", "name": "S", "fields": [{"name": "b", "type": "int"}]}, "default": {}}"#,
            ),
            "/fields/0/default",
            "the field `b` is missing",
        ),
        (
            record(r#"{"name": "a", "type": "R", "default": {}}"#),
            "/fields/0/default",
            "never ends",
        ),
        (
            record(r#"{"name": "a", "type": "int", "order": "up"}"#),
            "/fields/0/order",
            "ascending",
        ),
        (
            record(r#"{"name": "a", "type": {"type": "record", "name": "R", "fields": []}}"#),
            "/fields/0/type/name",
            "already defined",
        ),
    ] {
        let (found_pointer, found_reason) = error(&json);
        assert_eq!(found_pointer, pointer, "{json}: {found_reason}");
        assert!(found_reason.contains(reason), "{json}: {found_reason}");
    }
    assert!(error("{").1.starts_with("not JSON"));
    let deep = format!(
        "{}\"int\"{}",
        r#"{"type":"array","items":"#.repeat(110),
        "}".repeat(110)
    );
    assert!(error(&deep).1.contains("too deeply"));
}

/// From the specification's own test cases (`share/test/data/schema-tests.txt`), with fingerprints of the reference implementation.
#[test]
fn canonical_forms_and_fingerprints_are_those_of_the_specification() {
    for (schema, canonical, fingerprint) in [
        (r#""null""#, r#""null""#, 7_195_948_357_588_979_594_i64),
        (r#"{"type":"null"}"#, r#""null""#, 7_195_948_357_588_979_594),
        (r#""boolean""#, r#""boolean""#, -6_970_731_678_124_411_036),
        (r#""int""#, r#""int""#, 8_247_732_601_305_521_295),
        (r#""long""#, r#""long""#, -3_434_872_931_120_570_953),
        (r#""float""#, r#""float""#, 5_583_340_709_985_441_680),
        (r#""double""#, r#""double""#, -8_181_574_048_448_539_266),
        (r#""bytes""#, r#""bytes""#, 5_746_618_253_357_095_269),
        (r#""string""#, r#""string""#, -8_142_146_995_180_207_161),
        ("[  ]", "[]", -1_241_056_759_729_112_623),
        (r#"[ "int"  ]"#, r#"["int"]"#, -5_232_228_896_498_058_493),
        (
            r#"[ "int" , {"type":"boolean"} ]"#,
            r#"["int","boolean"]"#,
            5_392_556_393_470_105_090,
        ),
        (
            r#"{"fields":[], "type":"record", "name":"foo"}"#,
            r#"{"name":"foo","type":"record","fields":[]}"#,
            -4_824_392_279_771_201_922,
        ),
        (
            r#"{"fields":[], "type":"record", "name":"foo", "namespace":"x.y"}"#,
            r#"{"name":"x.y.foo","type":"record","fields":[]}"#,
            5_916_914_534_497_305_771,
        ),
        (
            r#"{"fields":[], "type":"record", "name":"a.b.foo", "namespace":"x.y"}"#,
            r#"{"name":"a.b.foo","type":"record","fields":[]}"#,
            -4_616_218_487_480_524_110,
        ),
        (
            r#"{ "items":{"type":"null"}, "type":"array"}"#,
            r#"{"type":"array","items":"null"}"#,
            -589_620_603_366_471_059,
        ),
        (
            r#"{ "values":"string", "type":"map"}"#,
            r#"{"type":"map","values":"string"}"#,
            -8_732_877_298_790_414_990,
        ),
        (
            r#"{"name":"PigValue","type":"record", "fields":[{"name":"value","type":["null","int","long","PigValue"]}]}"#,
            r#"{"name":"PigValue","type":"record","fields":[{"name":"value","type":["null","int","long","PigValue"]}]}"#,
            -1_759_257_747_318_642_341,
        ),
        (
            r#"{"fields":[{"type":{"type":"boolean"}, "name":"f1"}], "type":"record", "name":"foo", "doc":"foo", "aliases":["bar"]}"#,
            r#"{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"}]}"#,
            7_843_277_075_252_814_651,
        ),
        (
            r#"{"type":"enum", "name":"foo", "symbols":["A1"]}"#,
            r#"{"name":"foo","type":"enum","symbols":["A1"]}"#,
            -6_342_190_197_741_309_591,
        ),
        (
            r#"{"namespace":"x.y.z", "type":"enum", "name":"foo", "doc":"foo bar", "symbols":["A1", "A2"], "default": "A1"}"#,
            r#"{"name":"x.y.z.foo","type":"enum","symbols":["A1","A2"]}"#,
            -4_448_647_247_586_288_245,
        ),
        (
            r#"{"name":"foo","type":"fixed","size":15}"#,
            r#"{"name":"foo","type":"fixed","size":15}"#,
            1_756_455_273_707_447_556,
        ),
        (
            r#"{"namespace":"x.y.z", "type":"fixed", "name":"foo", "doc":"foo bar", "size":32}"#,
            r#"{"name":"x.y.z.foo","type":"fixed","size":32}"#,
            -3_064_184_465_700_546_786,
        ),
    ] {
        let schema = Schema::parse(schema).unwrap();
        assert_eq!(schema.canonical_form(), canonical);
        assert_eq!(
            schema.fingerprint().cast_signed(),
            fingerprint,
            "{canonical}"
        );
    }
}

#[test]
fn fingerprints_are_those_of_apache_avro() {
    use apache_avro::rabin::Rabin;
    let json = r#"{"type": "record", "name": "shop.Order", "fields": [
        {"name": "price", "type": {"type": "record", "name": "Money", "fields": [{"name": "minor", "type": "long"}]}},
        {"name": "freight", "type": ["null", "Money"]}]}"#;
    let ours = Schema::parse(json).unwrap();
    let theirs = apache_avro::Schema::parse_str(json).unwrap();
    assert_eq!(ours.canonical_form(), theirs.canonical_form());
    let rabin = theirs.fingerprint::<Rabin>();
    assert_eq!(rabin.bytes, ours.fingerprint().to_le_bytes());
    // `printf '"int"' | sha256sum`
    let int = Schema::parse("\"int\"").unwrap().sha256();
    assert_eq!(
        uuid::Uuid::from_slice(&int[..16])
            .unwrap()
            .simple()
            .to_string(),
        "3f2b87a9fe7cc9b13835598c3981cd45"
    );
    assert_eq!(int[16..20], [0xe3, 0xe3, 0x55, 0x30]);
}

#[test]
fn a_schema_survives_its_json() {
    for json in [
        json!("string"),
        json!(["null", {"type": "long", "logicalType": "timestamp-micros"}]),
        json!({"type": "record", "name": "Order", "namespace": "shop", "doc": "A sale.", "aliases": ["shop.Sale", "old.Sale"], "fields": [
            {"name": "price", "doc": "Of one.", "aliases": ["cost"],
             "type": {"type": "record", "name": "Money", "fields": [{"name": "minor", "type": "long", "default": 0}]}},
            {"name": "freight", "type": ["null", "Money"], "default": null},
            {"name": "state", "type": {"type": "enum", "name": "State", "namespace": "", "symbols": ["A", "B"], "default": "B"}},
            {"name": "next", "type": {"type": "map", "values": ["null", "Order"]}},
            {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}, "default": "\u{ff}"},
            {"name": "id", "type": {"type": "fixed", "name": "Id", "size": 16, "logicalType": "uuid"}},
            {"name": "again", "type": {"type": "array", "items": "Id"}},
        ]}),
    ] {
        let schema = Schema::from_json(&json).unwrap();
        let printed = schema.to_json();
        assert_eq!(Schema::from_json(&printed).unwrap().to_json(), printed);
        assert_eq!(Schema::from_json(&printed).unwrap(), schema);
        apache_avro::Schema::parse(&printed).unwrap();
    }
}

#[test]
fn logical_types_that_do_not_fit_are_ignored_as_the_specification_says() {
    for json in [
        json!({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}),
        json!({"type": "bytes", "logicalType": "decimal"}),
        json!({"type": "bytes", "logicalType": "date"}),
        json!({"type": "bytes", "logicalType": "money"}),
    ] {
        assert_eq!(Schema::from_json(&json).unwrap().to_json(), json!("bytes"));
    }
    let fixed =
        json!({"type": "fixed", "name": "F", "size": 2, "logicalType": "decimal", "precision": 5});
    let fixed = Schema::from_json(&fixed).unwrap().to_json();
    assert_eq!(fixed.get("logicalType"), None);
}

#[test]
fn names_are_resolved_in_their_namespace() {
    let schema = |reference: &str| {
        Schema::from_json(&json!({"type": "record", "name": "a.R", "fields": [
            {"name": "x", "type": {"type": "fixed", "name": "b.F", "size": 1}},
            {"name": "y", "type": {"type": "fixed", "name": "G", "size": 1}},
            {"name": "z", "type": reference}]}))
    };
    for good in ["b.F", "G", "a.G", "R"] {
        assert!(schema(good).is_ok(), "{good}");
    }
    for bad in ["F", "b.G", "a.F"] {
        let error = schema(bad).unwrap_err();
        assert_eq!(error.pointer(), "/fields/2/type", "{bad}");
    }
    assert_eq!(
        schema("G")
            .unwrap()
            .name()
            .map(ToString::to_string)
            .as_deref(),
        Some("a.R")
    );
}
