//! JSON event format, structured mode.

use commerce_contracts::{Attribute, CloudEvent};

use crate::{Outcome, Read, Refused, data, event};

const WITHOUT_DATA: fn(&CloudEvent) -> bool = |event| event.data().is_none();

/// Section, rule, members beside the required ones, outcome.
const MEMBERS: &[(&str, &str, Outcome)] = &[
    (
        "2.2 null is unset",
        r#","subject":null,"x":null"#,
        Read(|event| event.subject().is_none() && event.extension("x").is_none()),
    ),
    (
        "2.2 Boolean",
        r#","x":true"#,
        Read(|event| event.extension("x") == Some(&Attribute::from(true))),
    ),
    (
        "2.2 Integer, least",
        r#","x":-2147483648"#,
        Read(|event| event.extension("x") == Some(&Attribute::from(i32::MIN))),
    ),
    (
        "2.2 Integer, most",
        r#","x":2147483647"#,
        Read(|event| event.extension("x") == Some(&Attribute::from(i32::MAX))),
    ),
    (
        "2.2 Integer is 32 bits",
        r#","x":2147483648"#,
        Refused("32 bits"),
    ),
    (
        "2.2 Integer is 32 bits, negative",
        r#","x":-2147483649"#,
        Refused("32 bits"),
    ),
    (
        "2.2 Integer has no fraction",
        r#","x":1.0"#,
        Refused("32 bits"),
    ),
    (
        "2.2 Integer has no exponent",
        r#","x":1e3"#,
        Refused("32 bits"),
    ),
    (
        "2.2 Integer of any length",
        r#","x":123456789012345678901234567890"#,
        Refused("32 bits"),
    ),
    (
        "2.2 attributes are no objects",
        r#","x":{}"#,
        Refused("\"x\""),
    ),
    (
        "2.2 attributes are no arrays",
        r#","x":[1]"#,
        Refused("\"x\""),
    ),
    (
        "2.2 String, escapes",
        r#","x":"\u20ac \ud83d\ude00 \" \\""#,
        Read(|event| event.extension("x") == Some(&Attribute::from("€ 😀 \" \\"))),
    ),
    (
        "2.2 Timestamp",
        r#","time":"2026-11-21T10:00:00.5+02:00""#,
        Read(|event| event.time().unwrap().to_rfc3339() == "2026-11-21T08:00:00.500+00:00"),
    ),
    (
        "2.2 Timestamp is RFC 3339",
        r#","time":"21.11.2026""#,
        Refused("RFC 3339"),
    ),
    (
        "2.2 Timestamp is text",
        r#","time":1795255200"#,
        Refused("not text"),
    ),
    (
        "2.4 required attribute of another type",
        r#","id":1"#,
        Refused("\"id\" is not text"),
    ),
    (
        "2.4 known attribute twice",
        r#","subject":"a","subject":"b""#,
        Refused("twice"),
    ),
    ("2.4 extension twice", r#","x":"a","x":1"#, Refused("twice")),
    (
        "2.4 the same twice says one thing",
        r#","x":"a","x":"a""#,
        Read(|event| event.extension("x") == Some(&Attribute::from("a"))),
    ),
    (
        "context: names are lower-case letters and digits",
        r#","Bad-Name!":"x""#,
        Refused("lower-case"),
    ),
    (
        "context: names are not empty",
        r#","":"x""#,
        Refused("lower-case"),
    ),
    (
        "context: names beyond 20 are discouraged, not forbidden",
        r#","abcdefghijklmnopqrstuvwxyz":"x""#,
        Read(|event| event.extensions().count() == 1),
    ),
    (
        "context: no control characters (C0)",
        r#","x":"\u0000""#,
        Refused("control character"),
    ),
    (
        "context: no control characters (C1)",
        r#","subject":"\u0085""#,
        Refused("control character"),
    ),
    (
        "context: no lone surrogates",
        r#","x":"\ud800""#,
        Refused("\"x\""),
    ),
    (
        "context: no non-characters",
        r#","x":"\uffff""#,
        Refused("control character"),
    ),
    ("context: id is not empty", r#","id":"""#, Refused("\"id\"")),
    (
        "3.1 without datacontenttype, data is JSON and says so",
        r#","data":{"a":1}"#,
        Read(|event| {
            data(event) == br#"{"a":1}"# && event.data_content_type() == Some("application/json")
        }),
    ),
    (
        "3.1 JSON by its subtype, any case, with parameters",
        r#","datacontenttype":"APPLICATION/VND.X+JSON; charset=utf-8","data":{"a":1}"#,
        Read(|event| data(event) == br#"{"a":1}"#),
    ),
    (
        "3.1 a string that is JSON data stays a JSON string",
        r#","datacontenttype":"application/json","data":"{\"a\":1}""#,
        Read(|event| data(event) == br#""{\"a\":1}""#),
    ),
    (
        "3.1 other data is the string's content",
        r#","datacontenttype":"text/xml","data":"<a/>""#,
        Read(|event| data(event) == b"<a/>"),
    ),
    (
        "3.1 escapes of other data",
        r#","datacontenttype":"text/plain","data":"a\nb\u20ac""#,
        Read(|event| data(event) == "a\nb€".as_bytes()),
    ),
    (
        "3.1 lone surrogate in other data",
        r#","datacontenttype":"text/plain","data":"\ud800""#,
        Refused("\"data\""),
    ),
    (
        "3.1 media type after the data",
        r#","data":"<a/>","datacontenttype":"text/xml""#,
        Read(|event| data(event) == b"<a/>"),
    ),
    (
        "3.1.1 data_base64 is the bytes",
        r#","data_base64":"/wA=""#,
        Read(|event| data(event) == b"\xff\x00"),
    ),
    (
        "3.1.1 data_base64 with escapes",
        r#","data_base64":"\/wA=""#,
        Read(|event| data(event) == b"\xff\x00"),
    ),
    (
        "3.1.1 data_base64 is base64",
        r#","data_base64":"/w-_""#,
        Refused("base64"),
    ),
    (
        "3.1.1 data_base64 is text",
        r#","data_base64":[1]"#,
        Refused("base64"),
    ),
    (
        "3.1 data and data_base64 exclude each other",
        r#","data":{},"data_base64":"""#,
        Refused("exclude"),
    ),
    (
        "3.1 data is there once",
        r#","data":1,"data":1"#,
        Refused("twice"),
    ),
    (
        "3.1 data null is data",
        r#","data":null"#,
        Read(|event| data(event) == b"null"),
    ),
    ("3.1 no data", "", Read(WITHOUT_DATA)),
    (
        "3.1 data_base64 null is unset",
        r#","data_base64":null"#,
        Read(WITHOUT_DATA),
    ),
];

#[test]
fn members_of_the_object() {
    for (rule, members, outcome) in MEMBERS {
        // The id is last, so that another one before it counts as well.
        let id = if members.contains(r#""id""#) {
            ""
        } else {
            r#","id":"1""#
        };
        let json = format!(r#"{{"specversion":"1.0","source":"/s","type":"t"{members}{id}}}"#);
        outcome.check(rule, CloudEvent::from_json(json.as_bytes()));
    }
}

/// Rule, the whole, outcome.
const WHOLES: &[(&str, &[u8], Outcome)] = &[
    ("3 an object", b"[]", Refused("not an object")),
    ("3 not a value", b"\"secret\"", Refused("not an object")),
    ("3 nothing", b"", Refused("EOF")),
    ("3 cut off", br#"{"specversion":"1.0","#, Refused("EOF")),
    (
        "3 one object",
        br#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}{}"#,
        Refused("trailing"),
    ),
    (
        "3 UTF-8",
        b"{\"specversion\":\"1.0\",\"id\":\"\xff\",\"source\":\"/s\",\"type\":\"t\"}",
        Refused("byte 27 is not UTF-8"),
    ),
    (
        "context: id is required",
        br#"{"specversion":"1.0","source":"/s","type":"t"}"#,
        Refused("id is missing"),
    ),
    (
        "context: source is required",
        br#"{"specversion":"1.0","id":"1","type":"t"}"#,
        Refused("source is missing"),
    ),
    (
        "context: type is required",
        br#"{"specversion":"1.0","id":"1","source":"/s"}"#,
        Refused("type is missing"),
    ),
    (
        "context: specversion is required",
        br#"{"id":"1","source":"/s","type":"t"}"#,
        Refused("specversion is missing"),
    ),
    (
        "context: specversion is 1.0",
        br#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#,
        Refused("specversion"),
    ),
    (
        "RFC 8259: names with escapes are names",
        br#"{"specversion":"1.0","\u0069d":"1","source":"/s","type":"t"}"#,
        Read(|event| event.id() == "1"),
    ),
    (
        "RFC 8259: space anywhere",
        b" {\n\"specversion\" :\t\"1.0\" , \"id\":\"1\",\"source\":\"/s\",\"type\":\"t\" } ",
        Read(|event| event.id() == "1"),
    ),
];

#[test]
fn the_whole() {
    for (rule, json, outcome) in WHOLES {
        outcome.check(rule, CloudEvent::from_json(json));
    }
}

#[test]
fn what_is_written() {
    let with = |content_type: &str, data: &'static [u8]| {
        let event = event().with_data(content_type, data).unwrap();
        let json = event.to_json();
        assert_eq!(CloudEvent::from_json(&json), Ok(event));
        String::from_utf8(json).unwrap()
    };
    assert!(with("application/json", b"{\"a\": 1}").contains(r#""data":{"a": 1}"#));
    assert!(with("text/plain", b"\xff").contains(r#""data_base64":"/w==""#));
    assert!(
        with("application/json", b"1").contains(r#""datacontenttype":"application/json""#),
        "the media type is said, also where it is the default"
    );
    let json = event().with_extension("x", 7).unwrap().to_json();
    assert!(
        String::from_utf8(json).unwrap().contains(r#""x":7"#),
        "an Integer is a number"
    );
}
