//! Organizations, clients and users over HTTP: who may do what, and what bad input does (nothing).

mod platform;

use commerce_host::testing::Scratch;
use commerce_identity::Config;
use platform::{Platform, basic, body, problem};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn organizations_are_added_once_and_listed_by_pages() {
    let platform = Platform::start().await;
    let token = platform.admin_token().await;
    let id = Uuid::now_v7();
    let new = json!({"organization_id": id, "name": "  Padaria Ação  "});
    let first = platform.post(&token, "/organizations", new.clone()).await;
    assert_eq!(first.status(), 201);
    assert_eq!(body(first).await["name"], "Padaria Ação");
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let again = http
        .post(format!("{}/organizations", platform.url))
        .bearer_auth(&token)
        .json(&new)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 303);
    assert_eq!(again.headers()["location"], format!("/organizations/{id}"));

    for n in 0..4 {
        platform.organization(&format!("Shop {n}")).await;
    }
    let (mut path, mut names) = ("/organizations?limit=2".to_owned(), Vec::new());
    for _ in 0..3 {
        let page = body(platform.get(&token, &path).await).await;
        let shown = page["_embedded"]["organizations"]
            .as_array()
            .unwrap()
            .clone();
        names.extend(
            shown
                .iter()
                .map(|one| one["name"].as_str().unwrap().to_owned()),
        );
        path = page["_links"]["next"]["href"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
    }
    assert_eq!(path, "", "the last page has no next");
    assert_eq!(
        names,
        ["Padaria Ação", "Shop 0", "Shop 1", "Shop 2", "Shop 3"]
    );
}

#[tokio::test]
async fn an_organization_cannot_see_or_touch_another() {
    let platform = Platform::start().await;
    let (own, other) = (
        platform.organization("Own").await,
        platform.organization("Other").await,
    );
    let token = platform.token(&platform.client(&own, "admin").await).await;
    let stranger = platform.client(&other, "shop").await;

    assert_eq!(platform.get(&token, &own).await.status(), 200);
    let new_client = json!({"name": "Spy", "roles": ["viewer"]});
    let new_user = json!({"name": "Spy", "email": "spy@example.com", "roles": ["viewer"]});
    for path in [
        other.clone(),
        format!("{other}/clients"),
        format!("{other}/users"),
        format!("{other}/clients/{}", stranger.id),
    ] {
        problem(platform.get(&token, &path).await, 404).await;
    }
    problem(
        platform
            .post(&token, &format!("{other}/clients"), new_client.clone())
            .await,
        404,
    )
    .await;
    problem(
        platform
            .post(&token, &format!("{other}/users"), new_user)
            .await,
        404,
    )
    .await;
    problem(
        platform
            .delete(&token, &format!("{other}/clients/{}", stranger.id))
            .await,
        404,
    )
    .await;
    problem(
        platform
            .delete(&token, &format!("{own}/clients/{}", stranger.id))
            .await,
        404,
    )
    .await;
    let missing = problem(
        platform
            .get(&token, &format!("/organizations/{}", Uuid::now_v7()))
            .await,
        404,
    )
    .await;
    let hidden = problem(platform.get(&token, &other).await, 404).await;
    assert_eq!(
        missing["detail"], hidden["detail"],
        "it does not show that the other exists"
    );

    let list = body(platform.get(&token, "/organizations").await).await;
    assert_eq!(
        list["_embedded"]["organizations"].as_array().unwrap().len(),
        1
    );
    let operator = platform.admin_token().await;
    let clients = body(platform.get(&operator, &format!("{other}/clients")).await).await;
    assert_eq!(
        clients["_embedded"]["clients"].as_array().unwrap().len(),
        1,
        "nothing was added or removed"
    );
    let users = body(platform.get(&operator, &format!("{other}/users")).await).await;
    assert_eq!(users["_embedded"]["users"], json!([]));
    platform.token(&stranger).await;
}

#[tokio::test]
async fn what_is_for_operators_is_not_for_organizations() {
    let platform = Platform::start().await;
    let own = platform.organization("Own").await;
    let admin = platform.token(&platform.client(&own, "admin").await).await;
    problem(
        platform
            .post(&admin, "/organizations", json!({"name": "Mine"}))
            .await,
        403,
    )
    .await;
    problem(platform.get(&admin, "/signing-keys").await, 403).await;
    problem(
        platform
            .post(&admin, "/signing-keys/rotate", Value::Null)
            .await,
        403,
    )
    .await;
    assert_eq!(
        body(platform.get("", "/.well-known/jwks.json").await).await["keys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn nobody_gives_what_he_does_not_have() {
    let mut config = Config::default();
    config
        .roles
        .insert("auditor".into(), vec!["audit.entry.read".parse().unwrap()]);
    config.roles.insert(
        "steward".into(),
        vec![
            "identity.client.create".parse().unwrap(),
            "identity.user.create".parse().unwrap(),
        ],
    );
    let platform = Platform::start_with(Scratch::sqlite().unwrap(), config).await;
    let own = platform.organization("Own").await;
    let (clients, users) = (format!("{own}/clients"), format!("{own}/users"));
    let steward = platform
        .token(&platform.client(&own, "steward").await)
        .await;
    let admin = platform.token(&platform.client(&own, "admin").await).await;
    for (token, role) in [
        (&steward, "admin"),
        (&steward, "viewer"),
        (&admin, "auditor"),
    ] {
        problem(
            platform
                .post(token, &clients, json!({"name": "x", "roles": [role]}))
                .await,
            403,
        )
        .await;
        let user = json!({"name": "x", "email": "x@example.com", "roles": [role]});
        problem(platform.post(token, &users, user).await, 403).await;
    }
    // Not even an operator makes an operator of an organization's client.
    let operator = platform.admin_token().await;
    problem(
        platform
            .post(
                &operator,
                &clients,
                json!({"name": "x", "roles": ["operator"]}),
            )
            .await,
        422,
    )
    .await;
    assert_eq!(
        platform
            .post(&admin, &clients, json!({"name": "x", "roles": ["shop"]}))
            .await
            .status(),
        201
    );
    // A token narrowed by its scope gives no more than the scope names.
    let whole = platform.client(&own, "admin").await;
    let form = "grant_type=client_credentials&scope=identity.client.create";
    let narrow = body(platform.form(Some(&basic(&whole)), form).await).await;
    let narrow = narrow["access_token"].as_str().unwrap();
    problem(
        platform
            .post(narrow, &clients, json!({"name": "x", "roles": ["shop"]}))
            .await,
        403,
    )
    .await;
}

#[tokio::test]
async fn a_clients_secret_is_shown_once_and_a_removed_client_gets_no_token() {
    let platform = Platform::start().await;
    let own = platform.organization("Own").await;
    let admin = platform.token(&platform.client(&own, "admin").await).await;
    let new = json!({"client_id": "own.importer", "name": "Importer", "roles": ["shop", "viewer"]});
    let response = platform
        .post(&admin, &format!("{own}/clients"), new.clone())
        .await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let made = body(response).await;
    let importer = platform::Credentials {
        id: "own.importer".into(),
        secret: made["client_secret"].as_str().unwrap().to_owned(),
    };
    let path = format!("{own}/clients/own.importer");
    let read = body(platform.get(&admin, &path).await).await;
    assert!(
        read.get("client_secret").is_none() && read.get("secret_digest").is_none(),
        "{read}"
    );
    assert_eq!(read["roles"], json!(["shop", "viewer"]));
    assert_eq!(read["_links"]["delete"]["href"], path);
    let list = platform
        .get(&admin, &format!("{own}/clients"))
        .await
        .text()
        .await
        .unwrap();
    assert!(!list.contains("secret"), "{list}");
    problem(
        platform.post(&admin, &format!("{own}/clients"), new).await,
        409,
    )
    .await;
    platform.token(&importer).await;

    assert_eq!(platform.delete(&admin, &path).await.status(), 204);
    problem(platform.delete(&admin, &path).await, 404).await;
    assert_eq!(
        platform
            .form(Some(&basic(&importer)), "grant_type=client_credentials")
            .await
            .status(),
        401
    );
}

#[tokio::test]
async fn users_have_one_address_each() {
    let platform = Platform::start().await;
    let (own, other) = (
        platform.organization("Own").await,
        platform.organization("Other").await,
    );
    let token = platform.admin_token().await;
    let ana = json!({"name": "Ana", "email": "Ana@Example.com", "roles": ["shop"]});
    let made = platform
        .post(&token, &format!("{own}/users"), ana.clone())
        .await;
    assert_eq!(made.status(), 201);
    let location = made.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(
        body(platform.get(&token, &location).await).await["email"],
        "ana@example.com"
    );
    problem(
        platform
            .post(&token, &format!("{own}/users"), ana.clone())
            .await,
        409,
    )
    .await;
    assert_eq!(
        platform
            .post(&token, &format!("{other}/users"), ana)
            .await
            .status(),
        201
    );
    let user_elsewhere = location.replace(&own, &other);
    problem(platform.get(&token, &user_elsewhere).await, 404).await;
}

#[tokio::test]
async fn bad_input_is_answered_by_a_problem_and_has_no_effect() {
    let platform = Platform::start().await;
    let token = platform.admin_token().await;
    let own = platform.organization("Own").await;
    let (clients, users) = (format!("{own}/clients"), format!("{own}/users"));
    let (long, huge) = ("x".repeat(201), "x".repeat(2_000_000));
    let cases = [
        ("/organizations", "{".to_owned(), 400),
        ("/organizations", "[]".to_owned(), 422),
        ("/organizations", "{}".to_owned(), 422),
        ("/organizations", json!({"name": 7}).to_string(), 422),
        ("/organizations", json!({"name": ""}).to_string(), 422),
        ("/organizations", json!({"name": "a\nb"}).to_string(), 422),
        ("/organizations", json!({"name": long}).to_string(), 422),
        ("/organizations", json!({"name": huge}).to_string(), 413),
        (
            "/organizations",
            json!({"name": "x", "owner": "y"}).to_string(),
            422,
        ),
        (
            "/organizations",
            json!({"name": "x", "organization_id": "y"}).to_string(),
            422,
        ),
        (&clients, json!({"name": "x", "roles": []}).to_string(), 422),
        (
            &clients,
            json!({"name": "x", "roles": ["king"]}).to_string(),
            422,
        ),
        (
            &clients,
            json!({"name": "x", "roles": ["shop"], "client_id": "Ä"}).to_string(),
            422,
        ),
        (
            &clients,
            json!({"name": "x", "roles": ["shop"], "client_secret": "mine"}).to_string(),
            422,
        ),
        (
            &users,
            json!({"name": "x", "roles": ["shop"], "email": "nobody"}).to_string(),
            422,
        ),
        (
            &users,
            json!({"name": "x", "roles": ["shop"], "email": "a b@example.com"}).to_string(),
            422,
        ),
        (
            &users,
            json!({"name": "x", "roles": ["shop"], "email": "a@b@c"}).to_string(),
            422,
        ),
        (
            "/organizations/not-a-uuid/users",
            json!({}).to_string(),
            400,
        ),
    ];
    for (path, text, status) in cases {
        problem(platform.post_text(&token, path, text).await, status).await;
    }
    for query in ["limit=0", "limit=201", "limit=x", "cursor=x", "curser=x"] {
        problem(
            platform
                .get(&token, &format!("/organizations?{query}"))
                .await,
            400,
        )
        .await;
    }
    problem(platform.get("", "/organizations").await, 401).await;
    problem(platform.get("x.y.z", "/organizations").await, 401).await;
    problem(platform.post(&token, "/signing-keys", json!({})).await, 405).await;

    let organizations = body(platform.get(&token, "/organizations").await).await;
    assert_eq!(
        organizations["_embedded"]["organizations"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for (path, relation) in [(clients, "clients"), (users, "users")] {
        assert_eq!(
            body(platform.get(&token, &path).await).await["_embedded"][relation],
            json!([])
        );
    }
}

#[tokio::test]
async fn an_organization_offers_only_what_its_reader_may_do() {
    let mut config = Config::default();
    config.roles.insert(
        "reader".into(),
        vec!["identity.organization.read".parse().unwrap()],
    );
    let platform = Platform::start_with(Scratch::sqlite().unwrap(), config).await;
    let own = platform.organization("Own").await;
    let relations = async |role: &str| {
        let token = platform.token(&platform.client(&own, role).await).await;
        let links = body(platform.get(&token, &own).await).await["_links"].clone();
        links
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(relations("reader").await, ["self"]);
    assert_eq!(relations("admin").await, ["clients", "self", "users"]);
}

#[tokio::test]
async fn the_entry_point_and_the_description_are_there() {
    let platform = Platform::start().await;
    let entry = body(platform.get("", "/").await).await;
    assert_eq!(entry["_links"]["organizations"]["templated"], true);
    assert_eq!(entry["_links"]["token"]["href"], "/oauth/token");
    let api = body(platform.get("", "/openapi/identity.json").await).await;
    for path in [
        "/oauth/token",
        "/organizations",
        "/organizations/{organization_id}/clients",
        "/signing-keys/rotate",
    ] {
        assert!(api["paths"].get(path).is_some(), "{path} is not described");
    }
}
