//! The verifier against another implementation: where the rules are the same, so are the verdicts; and whatever we admit,
//! the other admits.

mod support;

use std::sync::LazyLock;

use chrono::Utc;
use commerce_identity_client::{Rejected, Verifier};
use jsonwebtoken::{DecodingKey, Validation};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};
use support::{AUDIENCE, ISSUER, Key, base64url, builder, claims};

struct Both {
    key: Key,
    forger: Key,
    ours: Verifier,
    theirs: DecodingKey,
    runtime: tokio::runtime::Runtime,
}

static BOTH: LazyLock<Both> = LazyLock::new(|| {
    let key = Key::new("k1");
    Both {
        ours: builder(&key).build().unwrap(),
        theirs: DecodingKey::from_ec_der(key.public()),
        forger: Key::new("k1"),
        runtime: tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap(),
        key,
    }
});

impl Both {
    fn ours(&self, token: &str) -> Result<(), Rejected> {
        self.runtime.block_on(self.ours.verify(token)).map(drop)
    }

    fn theirs(&self, token: &str) -> bool {
        let mut rules = Validation::new(jsonwebtoken::Algorithm::ES256);
        rules.leeway = 10;
        rules.validate_nbf = true;
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        jsonwebtoken::decode::<Value>(token, &self.theirs, &rules).is_ok()
    }
}

/// Seconds from now, away from the edges where the two round differently.
fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![-100_000i64..-15, -5i64..5, 15i64..100_000]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn both_agree_on_tokens_that_both_can_read(
        exp in offset(),
        nbf in proptest::option::of(offset()),
        issuer in select(vec![ISSUER, "https://id.example.com/", "other"]),
        audience in select(vec![json!(AUDIENCE), json!([AUDIENCE, "b"]), json!(["b"]), json!("other")]),
        genuine in any::<bool>(),
    ) {
        let both = &*BOTH;
        let now = Utc::now().timestamp();
        let mut claims = claims();
        claims["iat"] = json!(0);
        claims["exp"] = json!(now + exp);
        claims["iss"] = json!(issuer);
        claims["aud"] = audience;
        if let Some(nbf) = nbf {
            claims["nbf"] = json!(now + nbf);
        }
        let token = if genuine { both.key.token(&claims) } else { both.forger.token(&claims) };
        let ours = both.ours(&token);
        prop_assert_eq!(ours.is_ok(), both.theirs(&token), "{:?}: {}", ours, claims);
    }

    #[test]
    fn what_is_changed_anywhere_is_refused_by_both(at in any::<prop::sample::Index>(), byte in any::<char>()) {
        let both = &*BOTH;
        let token = both.key.token(&claims());
        let mut changed: Vec<char> = token.chars().collect();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        let changed: String = changed.into_iter().collect();
        prop_assert!(both.ours(&changed).is_err());
        prop_assert!(!both.theirs(&changed));
    }

    #[test]
    fn whatever_we_admit_the_other_admits(
        header in vec((select(vec!["alg", "typ", "kid", "crit", "b64", "zip"]), member()), 0..5),
        extra in vec((select(vec!["iss", "aud", "exp", "nbf", "iat", "sub", "jti", "x"]), member()), 0..4),
    ) {
        let both = &*BOTH;
        // Written by hand, so that members can occur twice.
        let head = with_members(r#"{"alg":"ES256","typ":"at+jwt","kid":"k1"}"#, &header);
        let body = with_members(&claims().to_string(), &extra);
        let token = both.key.sign(&head, &body);
        if both.ours(&token).is_ok() {
            prop_assert!(both.theirs(&token), "{} {}", head, body);
        }
    }

    #[test]
    fn nothing_makes_it_panic(text in ".{0,300}", header in ".{0,80}", claims in ".{0,80}") {
        let both = &*BOTH;
        both.ours(&text).unwrap_err();
        both.ours(&format!("{}.{}.{}", base64url(&header), base64url(&claims), base64url(&text))).unwrap_err();
        both.ours(&both.key.sign(&both.key.header(), &claims)).unwrap_err();
    }
}

fn with_members(object: &str, members: &[(&str, String)]) -> String {
    let mut text = object.strip_suffix('}').unwrap().to_owned();
    for (name, value) in members {
        text.extend([",\"", name, "\":", value]);
    }
    text + "}"
}

/// Values as they might stand in a header or in claims.
fn member() -> impl Strategy<Value = String> {
    select(vec![
        "null",
        "0",
        "1e9",
        "-1",
        "\"\"",
        "\"ES256\"",
        "\"none\"",
        "\"at+jwt\"",
        "\"k1\"",
        "[]",
        "{}",
        "[\"exp\"]",
        "true",
        "4102444800",
    ])
    .prop_map(str::to_owned)
}
