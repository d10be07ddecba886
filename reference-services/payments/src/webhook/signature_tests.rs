//! The rules of Standard Webhooks, one by one.

use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, HeaderValue};
use secrecy::SecretString;

use super::{InvalidSecret, Refused, Verifier};

// The example of the specification's reference implementations.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA==";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const TIMESTAMP: &str = "1614265330";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn verifier(secrets: &[&str]) -> Verifier {
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
    Verifier::new(&secrets).unwrap()
}

fn headers(id: &'static str, timestamp: &'static str, signature: &str) -> HeaderMap {
    HeaderMap::from_iter([
        (
            http::HeaderName::from_static("webhook-id"),
            HeaderValue::from_static(id),
        ),
        (
            http::HeaderName::from_static("webhook-timestamp"),
            HeaderValue::from_static(timestamp),
        ),
        (
            http::HeaderName::from_static("webhook-signature"),
            HeaderValue::from_str(signature).unwrap(),
        ),
    ])
}

fn sent() -> DateTime<Utc> {
    DateTime::from_timestamp(1_614_265_330, 0).unwrap()
}

#[test]
fn the_reference_example_is_believed() {
    assert_eq!(
        verifier(&[SECRET]).verify(&headers(ID, TIMESTAMP, SIGNATURE), BODY, sent()),
        Ok(ID)
    );
}

#[test]
fn one_good_signature_among_several_is_enough() {
    let several = format!(
        "v1,AAAA v1a,{} v1,not-base64! {SIGNATURE} v2,x",
        &SIGNATURE[3..]
    );
    assert_eq!(
        verifier(&[SECRET]).verify(&headers(ID, TIMESTAMP, &several), BODY, sent()),
        Ok(ID)
    );
    // The right bytes under another version's name are another version's signature.
    let renamed = SIGNATURE.replace("v1,", "v1a,");
    let renamed = headers(ID, TIMESTAMP, &renamed);
    assert_eq!(
        verifier(&[SECRET]).verify(&renamed, BODY, sent()),
        Err(Refused::Signature)
    );
}

#[test]
fn a_secret_is_rotated_by_knowing_both() {
    let good = headers(ID, TIMESTAMP, SIGNATURE);
    assert_eq!(
        verifier(&[OTHER, SECRET]).verify(&good, BODY, sent()),
        Ok(ID)
    );
    assert_eq!(
        verifier(&[OTHER]).verify(&good, BODY, sent()),
        Err(Refused::Signature)
    );
}

#[test]
fn time_is_near_in_both_directions() {
    let (verifier, good) = (verifier(&[SECRET]), headers(ID, TIMESTAMP, SIGNATURE));
    for (seconds, believed) in [
        (300, true),
        (301, false),
        (-300, true),
        (-301, false),
        (86_400, false),
    ] {
        let now = sent() + TimeDelta::seconds(seconds);
        assert_eq!(
            verifier.verify(&good, BODY, now).is_ok(),
            believed,
            "{seconds} s later"
        );
    }
    for timestamp in ["", "soon", "1614265330.5", "99999999999999999999", "-1"] {
        let headers = headers(ID, timestamp, SIGNATURE);
        let refused = verifier.verify(&headers, BODY, sent());
        assert!(
            matches!(refused, Err(Refused::Time | Refused::Headers)),
            "{timestamp:?}"
        );
    }
}

#[test]
fn id_time_and_body_are_all_signed() {
    let verifier = verifier(&[SECRET]);
    let refused = Err(Refused::Signature);
    assert_eq!(
        verifier.verify(&headers("msg_other", TIMESTAMP, SIGNATURE), BODY, sent()),
        refused
    );
    assert_eq!(
        verifier.verify(&headers(ID, "1614265331", SIGNATURE), BODY, sent()),
        refused
    );
    assert_eq!(
        verifier.verify(
            &headers(ID, TIMESTAMP, SIGNATURE),
            br#"{"test": 2432232315}"#,
            sent()
        ),
        refused
    );
    assert_eq!(
        verifier.verify(&headers(ID, TIMESTAMP, SIGNATURE), b"", sent()),
        refused
    );
    assert_eq!(
        verifier.verify(&headers(ID, TIMESTAMP, "v1,"), BODY, sent()),
        refused
    );
    assert_eq!(
        verifier.verify(&headers(ID, TIMESTAMP, &SIGNATURE[..30]), BODY, sent()),
        refused
    );
}

#[test]
fn each_header_is_there_once() {
    let verifier = verifier(&[SECRET]);
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut missing = headers(ID, TIMESTAMP, SIGNATURE);
        missing.remove(name);
        assert_eq!(
            verifier.verify(&missing, BODY, sent()),
            Err(Refused::Headers),
            "{name}"
        );
        let mut twice = headers(ID, TIMESTAMP, SIGNATURE);
        let value = twice[name].clone();
        twice.append(http::HeaderName::from_static(name), value);
        assert_eq!(
            verifier.verify(&twice, BODY, sent()),
            Err(Refused::Headers),
            "{name}"
        );
    }
}

#[test]
fn an_id_cannot_shift_the_dots() {
    // id `a.1614265330`, time `…` would sign the same bytes as id `a`, time `1614265330`, body `….`.
    let shifted = headers("msg.1", TIMESTAMP, SIGNATURE);
    assert_eq!(
        verifier(&[SECRET]).verify(&shifted, BODY, sent()),
        Err(Refused::Headers)
    );
}

#[test]
fn a_weak_or_malformed_secret_is_refused_and_none_is_shown() {
    for secret in [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_c2hvcnQ=",
        "whsec_%%%",
    ] {
        let secret: SecretString = secret.into();
        assert_eq!(Verifier::new([&secret]).err(), Some(InvalidSecret));
    }
    assert!(!format!("{:?}", verifier(&[SECRET])).contains("MfKQ"));
}
