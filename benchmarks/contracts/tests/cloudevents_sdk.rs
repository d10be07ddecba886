//! What cloudevents-sdk does with bytes that touch a rule of CloudEvents 1.0.2, beside what we do. Decision record 0003 has the
//! table; a line here that fails means that the SDK has changed, and the record with it.

use bytes::Bytes;
use commerce_contracts::{CloudEvent, binding};
use http::{HeaderMap, HeaderName, HeaderValue};

/// An event with these members, by the SDK and by us, as each writes it again; None where it is refused.
fn json(members: &str) -> (Option<String>, Option<String>) {
    let id = if members.contains(r#""id""#) { "" } else { r#","id":"1""# };
    let json = format!(r#"{{"specversion":"1.0","source":"/s","type":"t"{members}{id}}}"#);
    let theirs = serde_json::from_str::<cloudevents::Event>(&json).ok();
    let ours = CloudEvent::from_json(json.as_bytes()).ok();
    (
        theirs.map(|event| serde_json::to_string(&event).unwrap()),
        ours.map(|event| String::from_utf8(event.to_json()).unwrap()),
    )
}

/// The subject of an event in binary mode; None where it is refused.
fn subject(value: &[u8]) -> (Option<String>, Option<String>) {
    let headers: [(&str, &[u8]); 5] = [
        ("ce-specversion", b"1.0"),
        ("ce-id", b"1"),
        ("ce-source", b"/s"),
        ("ce-type", b"t"),
        ("ce-subject", value),
    ];
    let map: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()))
        .collect();
    let theirs = cloudevents::binding::http::to_event(&map, Vec::new()).ok();
    let ours = binding::http::read(headers, Bytes::new()).ok();
    let subject = |event: &cloudevents::Event| {
        cloudevents::AttributesReader::subject(event).map(str::to_owned)
    };
    (
        theirs.as_ref().and_then(subject),
        ours.and_then(|event| event.subject().map(str::to_owned)),
    )
}

#[test]
fn it_reads_what_the_specification_forbids() {
    for (rule, members) in [
        ("id is not empty", r#","id":"""#),
        ("names are lower-case letters and digits", r#","Bad-Name!":"x""#),
        ("integers are 32 bits", r#","x":9007199254740993"#),
        ("text has no control characters", r#","subject":"a\u0000b""#),
    ] {
        let (theirs, ours) = json(members);
        assert!(theirs.is_some() && ours.is_none(), "{rule}: {theirs:?}, {ours:?}");
    }
}

#[test]
fn it_refuses_what_the_specification_allows() {
    for (rule, members) in [
        ("media types have no case", r#","datacontenttype":"APPLICATION/JSON","data":{}"#),
        ("media types have parameters", r#","datacontenttype":"application/x+json; charset=utf-8","data":{}"#),
        ("null is unset, data_base64 too", r#","data":1,"data_base64":null"#),
    ] {
        let (theirs, ours) = json(members);
        assert!(theirs.is_none() && ours.is_some(), "{rule}: {theirs:?}, {ours:?}");
    }
}

#[test]
fn it_writes_other_data_than_it_read() {
    let data = r#""data":{"b":1.50,"a":1}"#;
    let (theirs, ours) = json(&format!(",{data}"));
    assert!(!theirs.unwrap().contains(data), "a signature over the data no longer fits");
    assert!(ours.unwrap().contains(data));
}

#[test]
fn it_does_not_decode_headers_of_http() {
    let euro = Some("Euro €".to_owned());
    assert_eq!(
        subject(b"Euro%20%E2%82%AC"),
        (Some("Euro%20%E2%82%AC".to_owned()), euro)
    );
    assert_eq!(
        subject(b"\"a b\""),
        (Some("\"a b\"".to_owned()), Some("a b".to_owned()))
    );
    assert_eq!(subject(b"%C0%A0"), (Some("%C0%A0".to_owned()), None), "invalid UTF-8");
}
