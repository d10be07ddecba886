//! HTTP protocol binding.

use commerce_contracts::binding::{BATCH_CONTENT_TYPE, STRUCTURED_CONTENT_TYPE, http};
use commerce_contracts::{CloudEvent, EnvelopeError};

use crate::{Outcome, Read, Refused, data, event};

type Header = (&'static str, &'static [u8]);

const REQUIRED: [Header; 4] = [
    ("ce-specversion", b"1.0"),
    ("ce-id", b"1"),
    ("ce-source", b"/s"),
    ("ce-type", b"t"),
];

/// Rule, headers beside the required ones, body, outcome.
const BINARY: &[(&str, &[Header], &[u8], Outcome)] = &[
    (
        "3.1.3.2 percent-encoding",
        &[("ce-subject", b"Euro%20%E2%82%AC%20%F0%9F%98%80")],
        b"",
        Read(|event| event.subject() == Some("Euro € 😀")),
    ),
    (
        "3.1.3.2 lower-case hex",
        &[("ce-subject", b"%e2%82%ac")],
        b"",
        Read(|event| event.subject() == Some("€")),
    ),
    (
        "3.1.3.2 one round",
        &[("ce-subject", b"%2525")],
        b"",
        Read(|event| event.subject() == Some("%25")),
    ),
    (
        "3.1.3.2 what needs none may have it",
        &[("ce-subject", b"%61")],
        b"",
        Read(|event| event.subject() == Some("a")),
    ),
    (
        "3.1.3.2 a quoted string",
        &[("ce-subject", br#""a b""#)],
        b"",
        Read(|event| event.subject() == Some("a b")),
    ),
    (
        "3.1.3.2 escapes in a quoted string",
        &[("ce-subject", br#""say \"hi\" \\ \o""#)],
        b"",
        Read(|event| event.subject() == Some(r#"say "hi" \ o"#)),
    ),
    (
        "3.1.3.2 quotes first, then percent-encoding",
        &[("ce-subject", br#""a%22b""#)],
        b"",
        Read(|event| event.subject() == Some("a\"b")),
    ),
    (
        "3.1.3.2 what only begins with a quote is no quoted string",
        &[("ce-subject", br#""a" and "b""#)],
        b"",
        Read(|event| event.subject() == Some(r#""a" and "b""#)),
    ),
    (
        "3.1.3.2 one quote",
        &[("ce-subject", b"\"")],
        b"",
        Read(|event| event.subject() == Some("\"")),
    ),
    (
        "3.1.3.2 invalid UTF-8, overlong",
        &[("ce-subject", b"%C0%A0")],
        b"",
        Refused("\"subject\" is not UTF-8"),
    ),
    (
        "3.1.3.2 invalid UTF-8, cut off",
        &[("ce-subject", b"%E2%82")],
        b"",
        Refused("\"subject\" is not UTF-8"),
    ),
    (
        "3.1.3.2 invalid UTF-8, a surrogate",
        &[("ce-subject", b"%ED%A0%80")],
        b"",
        Refused("\"subject\" is not UTF-8"),
    ),
    (
        "3.1.3.2 invalid UTF-8 in a quoted string",
        &[("ce-subject", b"\"%FF\"")],
        b"",
        Refused("\"subject\" is not UTF-8"),
    ),
    (
        "3.1.3.2 raw octets are UTF-8",
        &[("ce-subject", "Zoë".as_bytes())],
        b"",
        Read(|event| event.subject() == Some("Zoë")),
    ),
    (
        "3.1.3.2 raw octets that are none",
        &[("ce-subject", b"Zo\xeb")],
        b"",
        Refused("\"subject\" is not UTF-8"),
    ),
    (
        "3.1.3.2 a percent sign alone is itself",
        &[("ce-subject", b"100% of %zz%4")],
        b"",
        Read(|event| event.subject() == Some("100% of %zz%4")),
    ),
    (
        "context: control characters, encoded",
        &[("ce-subject", b"a%0Ab")],
        b"",
        Refused("control character"),
    ),
    (
        "3.1.3.1 names in any case",
        &[("CE-Subject", b"a"), ("Ce-X", b"b")],
        b"",
        Read(|event| event.subject() == Some("a") && event.extension("x").is_some()),
    ),
    (
        "3.1.3.1 only the prefix",
        &[("x-ce-subject", b"a"), ("cesubject", b"a")],
        b"",
        Read(|event| event.subject().is_none() && event.extensions().count() == 0),
    ),
    (
        "3.1.3.1 names are letters and digits",
        &[("ce-a-b", b"x")],
        b"",
        Refused("lower-case"),
    ),
    (
        "3.1.3.1 the prefix alone",
        &[("ce-", b"x")],
        b"",
        Refused("lower-case"),
    ),
    (
        "3.1.1 no ce-datacontenttype",
        &[("ce-datacontenttype", b"text/plain")],
        b"1",
        Refused("it is content-type"),
    ),
    (
        "3.1.1 Content-Type is the data's",
        &[("Content-Type", b"text/plain")],
        b"1",
        Read(|event| event.data_content_type() == Some("text/plain") && data(event) == b"1"),
    ),
    (
        "3.1.1 no Content-Type",
        &[],
        b"1",
        Read(|event| event.data_content_type().is_none() && data(event) == b"1"),
    ),
    (
        "3.1.1 two media types",
        &[
            ("content-type", b"text/plain"),
            ("content-type", b"text/xml"),
        ],
        b"1",
        Refused("twice"),
    ),
    (
        "3.1.1 media type that is no text",
        &[("content-type", b"\xff")],
        b"1",
        Refused("datacontenttype"),
    ),
    (
        "3.1.2 no body and no media type: no data",
        &[],
        b"",
        Read(|event| event.data().is_none()),
    ),
    (
        "3.1.2 no body and a media type: empty data",
        &[("content-type", b"text/plain")],
        b"",
        Read(|event| data(event).is_empty()),
    ),
    (
        "context: id twice",
        &[("ce-id", b"2")],
        b"",
        Refused("twice"),
    ),
    (
        "context: time",
        &[("ce-time", b"2026-11-21T10%3A00%3A00Z")],
        b"",
        Read(|event| event.time().is_some()),
    ),
    (
        "context: time that is none",
        &[("ce-time", b"now")],
        b"",
        Refused("RFC 3339"),
    ),
    (
        "3 another format",
        &[("content-type", b"application/cloudevents+avro")],
        b"",
        Refused("format"),
    ),
    (
        "3.3 a batch is not one event",
        &[("content-type", b"application/cloudevents-batch+json")],
        b"[]",
        Refused("format"),
    ),
];

fn read(extra: &[Header], body: &'static [u8]) -> Result<CloudEvent, EnvelopeError> {
    http::read(REQUIRED.iter().chain(extra).copied(), body)
}

#[test]
fn binary_mode() {
    for (rule, headers, body, outcome) in BINARY {
        outcome.check(rule, read(headers, body));
    }
    for (index, (name, _)) in REQUIRED.iter().enumerate() {
        let others = REQUIRED
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        let error = http::read(others.map(|(_, header)| *header), "").unwrap_err();
        assert!(error.to_string().contains("missing"), "{name}: {error}");
    }
}

#[test]
fn structured_mode() {
    let json = event().with_data("text/plain", "x").unwrap().to_json();
    for media_type in [STRUCTURED_CONTENT_TYPE, "APPLICATION/CLOUDEVENTS+JSON"] {
        // Headers may repeat what the body says, and only the body counts.
        let headers = [
            ("content-type", media_type.as_bytes()),
            ("ce-id", &b"another"[..]),
            ("ce-datacontenttype", b"\xff"),
        ];
        let read = http::read(headers, json.clone()).unwrap();
        assert_eq!((read.id(), data(&read)), ("1", &b"x"[..]));
    }
}

#[test]
fn batch_mode() {
    let events = [event(), event()];
    let message = http::to_batch(&events);
    assert_eq!(
        message.headers,
        [("content-type".to_owned(), BATCH_CONTENT_TYPE.to_owned())]
    );
    let headers = [("Content-Type", BATCH_CONTENT_TYPE.as_bytes())];
    let read = http::read_all(headers, message.body.unwrap()).unwrap();
    assert_eq!(
        read.into_iter().collect::<Result<Vec<_>, _>>().unwrap(),
        events
    );
    // One event is all there is, whichever way it came.
    assert_eq!(http::read_all(REQUIRED, "").unwrap().len(), 1);
    let headers = [("content-type", STRUCTURED_CONTENT_TYPE.as_bytes())];
    assert_eq!(
        http::read_all(headers, event().to_json()).unwrap(),
        [Ok(event())]
    );
}

/// A text that is nothing but one character to encode is encoded as well.
#[test]
fn a_single_character_is_written() {
    for (text, written) in [(" ", "%20"), ("%", "%25"), ("\"", "%22"), ("~", "~")] {
        let event = event().with_subject(text).unwrap();
        let message = http::to_binary(&event).unwrap();
        let subject = message
            .headers
            .iter()
            .find(|(name, _)| name == "ce-subject");
        assert_eq!(subject.map(|(_, value)| value.as_str()), Some(written));
    }
}

#[test]
fn what_is_written() {
    let subject = "Euro € 😀 \"%\" ~!#";
    let event = event()
        .with_subject(subject)
        .and_then(|event| event.with_extension("flag", true))
        .and_then(|event| event.with_data("application/json; x=\"y z\"", "{}"))
        .unwrap();
    let message = http::to_binary(&event).unwrap();
    let header = |name: &str| {
        let mut headers = message.headers.iter();
        headers
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(
        header("ce-subject"),
        Some("Euro%20%E2%82%AC%20%F0%9F%98%80%20%22%25%22%20~!#")
    );
    assert_eq!(header("ce-flag"), Some("true"));
    assert_eq!(
        header("content-type"),
        Some("application/json; x=\"y z\""),
        "it is no attribute's header"
    );
    assert_eq!(header("ce-datacontenttype"), None);
    for (name, value) in &message.headers {
        assert!(
            value.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
            "{name}: {value}"
        );
    }
    let headers = message
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let read = http::read(headers, message.body.clone().unwrap()).unwrap();
    assert_eq!((read.subject(), read.data()), (Some(subject), event.data()));
}

#[test]
fn what_binary_mode_cannot_say_is_not_written() {
    for media_type in [
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "Application/CloudEvents+Avro",
    ] {
        let nested = event().with_data(media_type, "{}").unwrap();
        assert_eq!(
            http::to_binary(&nested),
            Err(EnvelopeError::Nested),
            "{media_type}"
        );
        let message = http::to_structured(&nested);
        let headers = [("content-type", STRUCTURED_CONTENT_TYPE.as_bytes())];
        assert_eq!(http::read(headers, message.body.unwrap()), Ok(nested));
    }
    let foreign = event().with_data("text/plain; x=é", "").unwrap();
    assert!(
        http::to_binary(&foreign)
            .unwrap_err()
            .to_string()
            .contains("HTTP")
    );
}

#[test]
fn debug_shows_no_data() {
    let secret = event().with_data("text/plain", "secret").unwrap();
    let shown = format!("{:?}", http::to_binary(&secret).unwrap());
    assert!(
        shown.contains("body_bytes: Some(6)") && !shown.contains("secret"),
        "{shown}"
    );
}
