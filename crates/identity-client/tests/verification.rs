//! What a verifier admits and what it refuses, with genuine signatures throughout.

mod support;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use chrono::Utc;
use commerce_identity_client::{Algorithm, InvalidVerifier, Permission, Rejected, Verifier};
use serde_json::{Value, json};
use std::time::Duration;
use support::{AUDIENCE, ISSUER, Key, base64url, builder, claims, key_set, verify_with};
use uuid::Uuid;

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

#[tokio::test]
async fn a_genuine_token_becomes_a_principal() {
    let (key, organization) = (Key::new("k1"), Uuid::now_v7());
    let claims = with("org", organization.to_string());
    let principal = verify_with(&key, &key.token(&claims)).await.unwrap();
    assert_eq!(
        (principal.subject.as_str(), principal.client_id.as_str()),
        ("importer", "importer")
    );
    assert_eq!(principal.organization, Some(organization));
    assert_eq!(principal.token_id, claims["jti"].as_str().unwrap());
    assert_eq!(
        principal.expires_at.timestamp(),
        claims["exp"].as_i64().unwrap()
    );
    principal
        .require(&Permission::from_static("orders.order.create"))
        .unwrap();
    principal
        .require(&Permission::from_static("orders.order.cancel"))
        .unwrap_err();
}

#[tokio::test]
async fn a_forged_token_is_refused_although_its_key_id_is_right() {
    let (key, forger) = (Key::new("k1"), Key::new("k1"));
    assert_eq!(
        verify_with(&key, &forger.token(&claims())).await,
        Err(Rejected::Signature)
    );
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let key = Key::new("k1");
    let token = key.token(&claims());
    let (_, signature) = token.rsplit_once('.').unwrap();
    let more = with("permissions", json!(["identity.organization.create"])).to_string();
    let changed = format!(
        "{}.{}.{signature}",
        base64url(key.header()),
        base64url(more)
    );
    assert_eq!(verify_with(&key, &changed).await, Err(Rejected::Signature));

    for short in ["", "AA", &"A".repeat(86), &"A".repeat(128)] {
        let (signed, _) = token.rsplit_once('.').unwrap();
        verify_with(&key, &format!("{signed}.{short}"))
            .await
            .unwrap_err();
    }
}

#[tokio::test]
async fn a_public_key_is_not_a_shared_secret() {
    let key = Key::new("k1");
    let header = jsonwebtoken::Header {
        typ: Some("at+jwt".into()),
        kid: Some("k1".into()),
        ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256)
    };
    let jwk = key.jwk().to_string();
    for secret in [key.public(), jwk.as_bytes()] {
        let secret = jsonwebtoken::EncodingKey::from_secret(secret);
        let token = jsonwebtoken::encode(&header, &claims(), &secret).unwrap();
        assert_eq!(verify_with(&key, &token).await, Err(Rejected::Algorithm));
    }
    let none = r#"{"alg":"none","typ":"at+jwt","kid":"k1"}"#;
    assert_eq!(
        verify_with(&key, &key.sign(none, &claims().to_string())).await,
        Err(Rejected::Algorithm)
    );
    // The key is one for ES256; the header says otherwise.
    for other in ["EdDSA", "RS256", "PS256"] {
        let header = json!({"alg": other, "typ": "at+jwt", "kid": "k1"}).to_string();
        let token = key.sign(&header, &claims().to_string());
        assert_eq!(
            verify_with(&key, &token).await,
            Err(Rejected::Signature),
            "{other}"
        );
    }
}

#[tokio::test]
async fn a_key_inside_the_token_is_ignored() {
    let (key, forger) = (Key::new("k1"), Key::new("k1"));
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "k1", "jwk": forger.jwk(),
        "jku": "https://evil.example.com/keys"});
    let token = forger.sign(&header.to_string(), &claims().to_string());
    assert_eq!(verify_with(&key, &token).await, Err(Rejected::Signature));
}

#[tokio::test]
async fn times_are_respected_with_ten_seconds_of_leeway() {
    let key = Key::new("k1");
    let now = Utc::now().timestamp();
    let cases = [
        (with("exp", now - 5), Ok(())),
        (with("exp", now - 10), Err(Rejected::Expired)),
        (with("exp", 0), Err(Rejected::Expired)),
        (with("nbf", now - 60), Ok(())),
        (with("nbf", now + 5), Ok(())),
        (with("nbf", now + 30), Err(Rejected::NotYetValid)),
        (with("iat", now + 5), Ok(())),
        (with("iat", now + 30), Err(Rejected::NotYetValid)),
    ];
    for (claims, expected) in cases {
        assert_eq!(
            verify_with(&key, &key.token(&claims)).await.map(drop),
            expected,
            "{claims}"
        );
    }
    let strict = builder(&key).leeway(Duration::ZERO).build().unwrap();
    assert_eq!(
        strict.verify(&key.token(&with("exp", now - 1))).await,
        Err(Rejected::Expired)
    );
}

#[tokio::test]
async fn issuer_and_audience_are_compared_to_the_letter() {
    let key = Key::new("k1");
    let slash = format!("{ISSUER}/");
    for issuer in ["https://evil.example.com", &slash, "HTTPS://ID.EXAMPLE.COM"] {
        let refused = verify_with(&key, &key.token(&with("iss", issuer))).await;
        assert_eq!(refused, Err(Rejected::Issuer), "{issuer}");
    }
    let slash = format!("{AUDIENCE}/");
    for audience in [
        json!("https://other.example.com"),
        json!([slash]),
        json!(["a", "b"]),
    ] {
        let refused = verify_with(&key, &key.token(&with("aud", audience.clone()))).await;
        assert_eq!(refused, Err(Rejected::Audience), "{audience}");
    }
    verify_with(
        &key,
        &key.token(&with("aud", json!(["https://other.example.com", AUDIENCE]))),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn genuine_but_ambiguous_or_excessive_tokens_are_refused() {
    let key = Key::new("k1");
    let text = claims().to_string();
    let twice = text.replacen(
        '{',
        r#"{"permissions":["identity.organization.create"],"#,
        1,
    );
    assert!(matches!(
        verify_with(&key, &key.sign(&key.header(), &twice)).await,
        Err(Rejected::Malformed(_))
    ));

    let crit = json!({"alg": "ES256", "typ": "at+jwt", "kid": "k1", "crit": ["exp"]}).to_string();
    assert_eq!(
        verify_with(&key, &key.sign(&crit, &text)).await,
        Err(Rejected::Extension("crit"))
    );

    let id_token = json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}).to_string();
    assert_eq!(
        verify_with(&key, &key.sign(&id_token, &text)).await,
        Err(Rejected::Type)
    );

    let long = with("padding", "x".repeat(13_000));
    assert_eq!(
        verify_with(&key, &key.token(&long)).await,
        Err(Rejected::TooLong)
    );
    verify_with(&key, &key.token(&with("padding", "x".repeat(11_000))))
        .await
        .unwrap();

    assert_eq!(
        verify_with(&key, &key.token(&with("cnf", json!({"jkt": "x"})))).await,
        Err(Rejected::Bound)
    );
}

#[tokio::test]
async fn every_accepted_algorithm_verifies() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let jwk =
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": base64url(pair.public_key())});
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "ed"}).to_string();
    let signed = format!("{}.{}", base64url(header), base64url(claims().to_string()));
    let token = format!("{signed}.{}", base64url(pair.sign(signed.as_bytes())));
    let verifier =
        |jwk: &Value| Verifier::builder(ISSUER, AUDIENCE).jwks(json!({"keys": [jwk]}).to_string());
    verifier(&jwk)
        .build()
        .unwrap()
        .verify(&token)
        .await
        .unwrap();
    let es256_only = verifier(&jwk)
        .algorithms([Algorithm::Es256])
        .build()
        .unwrap();
    assert_eq!(es256_only.verify(&token).await, Err(Rejected::Algorithm));

    let rsa = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let public = aws_lc_rs::signature::RsaPublicKeyComponents::<Vec<u8>>::from(rsa.public_key());
    let jwk =
        json!({"kty": "RSA", "kid": "rsa", "n": base64url(public.n), "e": base64url(public.e)});
    for (name, padding) in [
        (
            "RS256",
            &aws_lc_rs::signature::RSA_PKCS1_SHA256
                as &'static dyn aws_lc_rs::signature::RsaEncoding,
        ),
        ("PS256", &aws_lc_rs::signature::RSA_PSS_SHA256),
    ] {
        let header = json!({"alg": name, "typ": "at+jwt", "kid": "rsa"}).to_string();
        let signed = format!("{}.{}", base64url(header), base64url(claims().to_string()));
        let mut signature = vec![0; rsa.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        rsa.sign(padding, &random, signed.as_bytes(), &mut signature)
            .unwrap();
        let token = format!("{signed}.{}", base64url(&signature));
        verifier(&jwk)
            .build()
            .unwrap()
            .verify(&token)
            .await
            .unwrap();

        let mut bound = jwk.clone();
        bound["alg"] = json!(if name == "RS256" { "PS256" } else { "RS256" });
        let refused = verifier(&bound).build().unwrap().verify(&token).await;
        assert_eq!(
            refused,
            Err(Rejected::Signature),
            "a key for {} checked a signature by {name}",
            bound["alg"]
        );
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let wrong = |verifier: Result<Verifier, InvalidVerifier>| verifier.unwrap_err().to_string();
    assert!(wrong(Verifier::discover("", AUDIENCE)).contains("issuer"));
    assert!(wrong(Verifier::discover(ISSUER, "")).contains("audience"));
    assert!(wrong(Verifier::discover("not a url", AUDIENCE)).contains("not a url"));
    assert!(wrong(Verifier::new("file:///etc/passwd", ISSUER, AUDIENCE)).contains("https"));
    let secret = wrong(Verifier::new(
        "https://user:hunter2@id.example.com/keys",
        ISSUER,
        AUDIENCE,
    ));
    assert!(!secret.contains("hunter2"), "{secret}");
    let key = Key::new("k1");
    assert!(wrong(builder(&key).leeway(Duration::from_mins(5)).build()).contains("leeway"));
    assert!(wrong(builder(&key).algorithms([]).build()).contains("algorithms"));
    assert!(wrong(builder(&key).refresh_every(Duration::ZERO).build()).contains("refresh"));
    let mut no_key = key_set(&[&key]);
    no_key["keys"][0]["use"] = json!("enc");
    wrong(
        Verifier::builder(ISSUER, AUDIENCE)
            .jwks(no_key.to_string())
            .build(),
    );
}
