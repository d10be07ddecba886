//! What cloudevents-sdk does with bytes that touch a rule of CloudEvents 1.0.2, beside what we do. Decision record 0003 has the
//! table; a line here that fails means that the SDK has changed, and the record with it.

use commerce_contracts::CloudEvent;

/// An event with these members, by the SDK and by us, as each writes it again; None where it is refused.
fn json(members: &str) -> (Option<String>, Option<String>) {
    let id = if members.contains(r#""id""#) {
        ""
    } else {
        r#","id":"1""#
    };
    let json = format!(r#"{{"specversion":"1.0","source":"/s","type":"t"{members}{id}}}"#);
    let theirs = serde_json::from_str::<cloudevents::Event>(&json).ok();
    let ours = CloudEvent::from_json(json.as_bytes()).ok();
    (
        theirs.map(|event| serde_json::to_string(&event).unwrap()),
        ours.map(|event| String::from_utf8(event.to_json()).unwrap()),
    )
}

#[test]
fn it_reads_what_the_specification_forbids() {
    for (rule, members) in [
        ("id is not empty", r#","id":"""#),
        (
            "names are lower-case letters and digits",
            r#","Bad-Name!":"x""#,
        ),
        ("integers are 32 bits", r#","x":9007199254740993"#),
        ("text has no control characters", r#","subject":"a\u0000b""#),
    ] {
        let (theirs, ours) = json(members);
        assert!(
            theirs.is_some() && ours.is_none(),
            "{rule}: {theirs:?}, {ours:?}"
        );
    }
}

#[test]
fn it_refuses_what_the_specification_allows() {
    for (rule, members) in [
        (
            "media types have no case",
            r#","datacontenttype":"APPLICATION/JSON","data":{}"#,
        ),
        (
            "media types have parameters",
            r#","datacontenttype":"application/x+json; charset=utf-8","data":{}"#,
        ),
        (
            "null is unset, data_base64 too",
            r#","data":1,"data_base64":null"#,
        ),
    ] {
        let (theirs, ours) = json(members);
        assert!(
            theirs.is_none() && ours.is_some(),
            "{rule}: {theirs:?}, {ours:?}"
        );
    }
}

#[test]
fn it_writes_other_data_than_it_read() {
    let data = r#""data":{"b":1.50,"a":1}"#;
    let (theirs, ours) = json(&format!(",{data}"));
    assert!(
        !theirs.unwrap().contains(data),
        "a signature over the data no longer fits"
    );
    assert!(ours.unwrap().contains(data));
}
