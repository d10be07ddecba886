//! The token endpoint, and the tokens it issues.

mod platform;

use std::time::Duration;

use commerce_identity::Config;
use commerce_identity_client::{Permission, Rejected, TokenSource, Verifier};
use commerce_resilient_client::Client;
use platform::{Credentials, Platform, basic, body};
use serde_json::{Value, json};

const GRANT: &str = "grant_type=client_credentials";

#[tokio::test]
async fn a_client_gets_a_token_that_says_for_whom_it_acts_and_what_it_may_do() {
    let platform = Platform::start().await;
    let organization = platform.organization("Padaria").await;
    let shop = platform.client(&organization, "shop").await;
    let response = platform.form(Some(&basic(&shop)), GRANT).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let answer = body(response).await;
    assert_eq!(
        (answer["token_type"].as_str(), answer["expires_in"].as_u64()),
        (Some("Bearer"), Some(300))
    );

    let principal = platform
        .verifier()
        .verify(answer["access_token"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(
        (principal.client_id.as_str(), principal.subject.as_str()),
        (shop.id.as_str(), shop.id.as_str())
    );
    assert_eq!(
        organization,
        format!("/organizations/{}", principal.organization.unwrap())
    );
    principal
        .require(&Permission::from_static("orders.order.create"))
        .unwrap();
    principal
        .require(&Permission::from_static("identity.client.create"))
        .unwrap_err();
    let scope: Vec<_> = answer["scope"].as_str().unwrap().split(' ').collect();
    assert_eq!(scope.len(), principal.permissions.len());
}

#[tokio::test]
async fn the_secret_may_be_in_the_form_and_the_scope_narrows() {
    let platform = Platform::start().await;
    let organization = platform.organization("Padaria").await;
    let shop = platform.client(&organization, "shop").await;
    let in_form = format!(
        "{GRANT}&client_id={}&client_secret={}&audience=commerce",
        shop.id, shop.secret
    );
    let answer = body(
        platform
            .form(None, &format!("{in_form}&scope=orders.order.read"))
            .await,
    )
    .await;
    assert_eq!(answer["scope"], "orders.order.read");
    let principal = platform
        .verifier()
        .verify(answer["access_token"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(principal.permissions.len(), 1);

    for scope in [
        "orders.order.read+identity.organization.create",
        "everything",
        "*",
        "+",
    ] {
        let response = platform
            .form(None, &format!("{in_form}&scope={scope}"))
            .await;
        assert_eq!(response.status(), 400);
        assert_eq!(body(response).await["error"], "invalid_scope", "{scope}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_as_the_standard_has_it() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let good = basic(&admin);
    let wrong = basic(&Credentials {
        secret: "cs_wrong".into(),
        ..admin.clone()
    });
    let nobody = basic(&Credentials {
        id: "nobody".into(),
        ..admin.clone()
    });
    let twice = format!("{GRANT}&client_secret={}", admin.secret);
    let cases: [(Option<&str>, &str, u16, &str); 14] = [
        (Some(&wrong), GRANT, 401, "invalid_client"),
        (Some(&nobody), GRANT, 401, "invalid_client"),
        (Some(&wrong), "grant_type=password", 401, "invalid_client"),
        (Some("Bearer x"), GRANT, 401, "invalid_client"),
        (None, GRANT, 401, "invalid_client"),
        (
            None,
            "grant_type=client_credentials&client_id=admin&client_secret=",
            401,
            "invalid_client",
        ),
        (Some("Basic ???"), GRANT, 400, "invalid_request"),
        (Some("Basic YQ=="), GRANT, 400, "invalid_request"),
        (Some("Basic"), GRANT, 400, "invalid_request"),
        (Some(&good), &twice, 400, "invalid_request"),
        (Some(&good), "", 400, "invalid_request"),
        (
            Some(&good),
            "grant_type=client_credentials&grant_type=client_credentials",
            400,
            "invalid_request",
        ),
        (
            Some(&good),
            "grant_type=password&username=a&password=b",
            400,
            "unsupported_grant_type",
        ),
        (
            Some(&good),
            "grant_type=client_credentials&audience=other",
            400,
            "invalid_target",
        ),
    ];
    for (authorization, form, status, error) in cases {
        let response = platform.form(authorization, form).await;
        assert_eq!(response.status(), status, "{authorization:?} {form}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(
            response.headers().contains_key("www-authenticate"),
            status == 401
        );
        assert_eq!(
            body(response).await["error"],
            error,
            "{authorization:?} {form}"
        );
    }
    let as_json = platform
        .post_text(
            "",
            "/oauth/token",
            json!({"grant_type": "client_credentials"}).to_string(),
        )
        .await;
    assert_eq!(
        (
            as_json.status().as_u16(),
            body(as_json).await["error"].clone()
        ),
        (400, json!("invalid_request"))
    );
    assert_eq!(platform.get("", "/oauth/token").await.status(), 405);
}

#[tokio::test]
async fn the_metadata_leads_to_the_keys() {
    let platform = Platform::start().await;
    for place in ["openid-configuration", "oauth-authorization-server"] {
        let metadata = body(platform.get("", &format!("/.well-known/{place}")).await).await;
        assert_eq!(metadata["issuer"], platform.url);
        assert_eq!(
            metadata["token_endpoint"],
            format!("{}/oauth/token", platform.url)
        );
        assert_eq!(
            metadata["jwks_uri"],
            format!("{}/.well-known/jwks.json", platform.url)
        );
        assert_eq!(
            metadata["grant_types_supported"],
            json!(["client_credentials"])
        );
    }
    let response = platform.get("", "/.well-known/jwks.json").await;
    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
    let keys = body(response).await;
    let key = keys["keys"][0].as_object().unwrap();
    let mut members: Vec<_> = key.keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(
        members,
        ["alg", "crv", "kid", "kty", "use", "x", "y"],
        "public members only"
    );
}

#[tokio::test]
async fn token_source_and_verifier_work_with_it_as_they_are() {
    let platform = Platform::start().await;
    let admin = platform.admin();
    let url = format!("{}/oauth/token", platform.url);
    let tokens = TokenSource::client_credentials(url, admin.id, admin.secret.into())
        .audience("commerce")
        .build()
        .unwrap();
    let client = Client::builder(&platform.url)
        .unwrap()
        .auth(tokens)
        .build()
        .unwrap();
    let organization = client
        .follow("organizations")
        .post(&json!({"name": "Padaria"}))
        .idempotent();
    let organization = organization.send::<Value>().await.unwrap();
    let clients = organization.follow("clients").get::<Value>().await.unwrap();
    assert!(clients.embedded::<Value>("clients").unwrap().is_empty());
}

#[tokio::test]
async fn tokens_of_another_platform_are_nothing_here() {
    let (platform, other) = (Platform::start().await, Platform::start().await);
    let foreign = other.admin_token().await;
    assert_eq!(
        platform.verifier().verify(&foreign).await,
        Err(Rejected::Issuer)
    );
    assert_eq!(platform.get(&foreign, "/organizations").await.status(), 401);
    let elsewhere = Verifier::discover(&platform.url, "another-audience").unwrap();
    assert_eq!(
        elsewhere.verify(&platform.admin_token().await).await,
        Err(Rejected::Audience)
    );
}

#[tokio::test]
async fn keys_rotate_while_tokens_live() {
    let mut config = Config::default();
    config.publish_keys_ahead = Duration::from_secs(2);
    let platform =
        Platform::start_with(commerce_host::testing::Scratch::sqlite().unwrap(), config).await;
    let verifier = Verifier::builder(&platform.url, "commerce")
        .refresh_every(Duration::from_millis(200))
        .build()
        .unwrap();
    let old = platform.admin_token().await;
    verifier.verify(&old).await.unwrap();

    let rotated = platform
        .post(&old, "/signing-keys/rotate", Value::Null)
        .await;
    assert_eq!(rotated.status(), 201);
    let keys = body(rotated).await;
    let states: Vec<_> = keys["signing_keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["state"].clone())
        .collect();
    assert_eq!(states, ["signing", "next"]);
    assert!(
        keys["_links"].get("rotate").is_none(),
        "one waits for its turn"
    );
    assert_eq!(
        platform
            .post(&old, "/signing-keys/rotate", Value::Null)
            .await
            .status(),
        200
    );
    assert_eq!(
        body(platform.get("", "/.well-known/jwks.json").await).await["keys"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let new = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let token = platform.admin_token().await;
            // Not one token is refused on the way from the old key to the new.
            verifier.verify(&token).await.unwrap();
            verifier.verify(&old).await.unwrap();
            if kid(&token) != kid(&old) {
                return token;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the new key never signed");
    // The old token is good until it ends. The new one is not, for this request: the service's own verifier fetches keys
    // every five minutes, and here the key was published for two seconds.
    let keys = body(platform.get(&old, "/signing-keys").await).await;
    assert_eq!(keys["signing_keys"][0]["state"], "retired");
    assert_eq!(keys["signing_keys"][1]["kid"], kid(&new));
}

#[tokio::test]
async fn tokens_and_keys_outlive_a_restart() {
    let platform = Platform::start().await;
    let keys = body(platform.get("", "/.well-known/jwks.json").await).await;
    let admin = platform.admin();
    let platform = platform.restart(Config::default()).await;
    assert_eq!(
        body(platform.get("", "/.well-known/jwks.json").await).await,
        keys
    );
    assert_eq!(
        platform.admin().secret,
        admin.secret,
        "the file is left alone"
    );
    platform.token(&admin).await;
}
