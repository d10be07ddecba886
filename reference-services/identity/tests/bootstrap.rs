//! The first client, and the same service on PostgreSQL.

mod platform;

use commerce_host::testing::Scratch;
use commerce_identity::{AdminCredentials, Config};
use platform::{Credentials, Platform, body};
use serde_json::json;

fn with_secret(secret: &str) -> Config {
    let mut config = Config::default();
    config.admin_client_secret = Some(secret.into());
    config
}

#[tokio::test]
async fn without_a_secret_one_is_made_and_written_where_only_its_owner_reads() {
    let platform = Platform::start().await;
    let file = platform.scratch.directory().join(AdminCredentials::FILE);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains(&format!("{}/oauth/token", platform.url)),
        "{text}"
    );
    assert!(
        !format!(
            "{:?}",
            AdminCredentials::read(platform.scratch.directory()).unwrap()
        )
        .contains("cs_")
    );
    let token = platform.admin_token().await;
    assert_eq!(platform.get(&token, "/organizations").await.status(), 200);
}

#[tokio::test]
async fn a_secret_of_the_settings_is_used_and_can_be_changed() {
    let (first, second) = ("a".repeat(40), "b".repeat(40));
    let platform = Platform::start_with(Scratch::sqlite().unwrap(), with_secret(&first)).await;
    assert!(
        !platform
            .scratch
            .directory()
            .join(AdminCredentials::FILE)
            .exists()
    );
    let with = |secret: &str| Credentials {
        id: "admin".into(),
        secret: secret.into(),
    };
    platform.token(&with(&first)).await;

    let platform = platform.restart(with_secret(&second)).await;
    platform.token(&with(&second)).await;
    let old = platform
        .form(
            Some(&platform::basic(&with(&first))),
            "grant_type=client_credentials",
        )
        .await;
    assert_eq!(old.status(), 401);
    // Without the setting, what was set last stays.
    let platform = platform.restart(Config::default()).await;
    platform.token(&with(&second)).await;
}

#[tokio::test]
async fn settings_that_make_no_sense_stop_the_start() {
    let mut weak = with_secret("hunter2");
    let mut id = Config::default();
    id.admin_client_id = "Not An Id".into();
    let mut role = Config::default();
    role.roles.insert("operator".into(), vec![]);
    let mut ahead = Config::default();
    ahead.publish_keys_ahead = ahead.rotate_keys_every;
    weak.roles.clear();
    for (config, setting) in [
        (weak, "admin_client_secret"),
        (id, "admin_client_id"),
        (role, "roles"),
        (ahead, "publish_keys_ahead"),
    ] {
        let scratch = Scratch::sqlite().unwrap();
        let tokens = commerce_host::testing::Tokens::new().unwrap();
        let resources = commerce_host::testing::resources(&scratch, "memory:", &tokens)
            .await
            .unwrap();
        let error = commerce_identity::service(config, &resources)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(setting) && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_same_on_postgres() {
    let Some(scratch) = Scratch::postgres().await.unwrap() else {
        return;
    };
    let platform = Platform::start_with(scratch, Config::default()).await;
    let own = platform.organization("Padaria").await;
    let shop = platform.client(&own, "shop").await;
    let token = platform.token(&platform.client(&own, "admin").await).await;
    let user = json!({"name": "Ana", "email": "ana@example.com", "roles": ["viewer"]});
    assert_eq!(
        platform
            .post(&token, &format!("{own}/users"), user.clone())
            .await
            .status(),
        201
    );
    platform::problem(
        platform.post(&token, &format!("{own}/users"), user).await,
        409,
    )
    .await;
    let list = body(
        platform
            .get(&token, &format!("{own}/clients?limit=1"))
            .await,
    )
    .await;
    assert!(list["_links"]["next"]["href"].is_string());
    let principal = platform
        .verifier()
        .verify(&platform.token(&shop).await)
        .await
        .unwrap();
    assert_eq!(
        own,
        format!("/organizations/{}", principal.organization.unwrap())
    );
    let platform = platform.restart(Config::default()).await;
    let operator = platform.admin_token().await;
    assert_eq!(
        platform
            .post(&operator, "/signing-keys/rotate", json!(null))
            .await
            .status(),
        201
    );
    assert_eq!(
        platform
            .delete(&operator, &format!("{own}/clients/{}", shop.id))
            .await
            .status(),
        204
    );
    platform.stop().await.remove().await.unwrap();
}
