//! What a user with wrong settings gets to read.

use super::*;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Payments {
    attempts: u32,
    #[serde(deserialize_with = "super::duration")]
    timeout: Duration,
    methods: Vec<String>,
    limits: Limits,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Limits {
    per_second: u32,
}

#[derive(Debug, Deserialize)]
struct Provider {
    #[serde(deserialize_with = "super::web_url")]
    url: Url,
    #[serde(deserialize_with = "super::secret")]
    secret: secrecy::SecretString,
    port: u16,
}

fn configuration(toml: &str, variables: &[(&str, &str)]) -> Configuration {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("commerce.toml");
    std::fs::write(&path, toml).unwrap();
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Configuration::read(Some(&path), variables)
}

fn mistakes(configuration: Configuration) -> Vec<String> {
    let mistakes = configuration.finish().unwrap_err();
    mistakes
        .iter()
        .map(|mistake| {
            let text = mistake.to_string();
            match text
                .rfind('(')
                .filter(|_| matches!(mistake.origin, Origin::File { .. }))
            {
                // The directory of the test is of no interest, the line is.
                Some(start) => {
                    let line = text[start..].rsplit(' ').next().unwrap_or_default();
                    format!("{}({line}", &text[..start])
                }
                None => text,
            }
        })
        .collect()
}

#[test]
fn nothing_set_means_a_laptop() {
    let settings = Configuration::read(None, []).finish().unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.bus_url().expose(), "sqlite:data/bus.db");
    assert_eq!(settings.store_url().expose(), "sqlite:data");
}

#[test]
fn the_environment_goes_over_the_file() {
    let mut configuration = configuration(
        "listen = '127.0.0.1:1'\n[payments]\nattempts = 3\ntimeout = '5s'\n",
        &[
            ("COMMERCE_LISTEN", "127.0.0.1:2"),
            ("COMMERCE_PAYMENTS_TIMEOUT", "250ms"),
            ("COMMERCE_PAYMENTS_METHODS", "pix, boleto"),
            ("COMMERCE_PAYMENTS_LIMITS__PER_SECOND", "7"),
            ("COMMERCE_LOG", ""),
        ],
    );
    let payments: Payments = configuration.section("payments").unwrap();
    assert_eq!(configuration.finish().unwrap().listen.port(), 2);
    let expected = Payments {
        attempts: 3,
        timeout: Duration::from_millis(250),
        methods: vec!["pix".to_owned(), "boleto".to_owned()],
        limits: Limits { per_second: 7 },
    };
    assert_eq!(payments, expected);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mut configuration = configuration(
        "listen = 'here'\ndrain = 10\nlogg = 'json'\n[payments]\nattempts = 'three'\ntimeout = '1 day'\natempts = 3\n",
        &[
            ("COMMERCE_OTLP", "collector:4317"),
            ("COMMERCE_LISTN", "127.0.0.1:1"),
            ("COMMERCE_ORDERS_PORT", "tcp://x"),
        ],
    );
    configuration.section::<Payments>("payments").unwrap_err();
    assert_eq!(
        mistakes(configuration),
        [
            "logg: there is no such setting; right would be `log`: did you mean it? (3)",
            "drain: a duration needs its unit; right would be a number with its unit, such as 250ms, 10s, 5m or 1h (2)",
            "listen: `here` is not an address with a port; right would be 127.0.0.1:8080 or 0.0.0.0:8080 (1)",
            "otlp: `collector:` is not a web address; right would be an address such as http://127.0.0.1:8080 \
             (environment variable COMMERCE_OTLP)",
            "payments.atempts: there is no such setting; right would be `attempts`: did you mean it? (7)",
            "payments.attempts: `three` does not fit; right would be a whole number, 0 or more (5)",
            "payments.timeout: `1 day` is not a duration; right would be a number with its unit, such as 250ms, 10s, \
             5m or 1h (6)",
            "COMMERCE_LISTN: no setting reads this variable; right would be `COMMERCE_LISTEN`: did you mean it? \
             (environment variable COMMERCE_LISTN)",
        ]
    );
}

#[test]
fn every_missing_setting_is_told() {
    let mut configuration = configuration("[provider]\nport = 70000\n", &[]);
    configuration.section::<Provider>("provider").unwrap_err();
    assert_eq!(
        mistakes(configuration),
        [
            "provider.port: integer `70000` does not fit; right would be a whole number from 0 to 65535 (2)",
            "provider.url: missing (or environment variable COMMERCE_PROVIDER_URL)",
            "provider.secret: missing (or environment variable COMMERCE_PROVIDER_SECRET)",
        ]
    );
}

#[test]
fn a_section_of_another_service_is_fine_unless_it_looks_like_a_slip() {
    let mut wanted = configuration("[orders]\nx = 1\n[payment]\nattempts = 1\n", &[]);
    wanted.allow_foreign_sections();
    wanted.section::<Payments>("payments").unwrap();
    assert_eq!(
        mistakes(wanted),
        ["[payment]: there is no such section; right would be [payments]: did you mean it? (3)"]
    );
    let mut strict = configuration("[orders]\nx = 1\n", &[]);
    strict.section::<Payments>("payments").unwrap();
    assert_eq!(
        mistakes(strict),
        ["[orders]: there is no such section; right would be one of [payments] (1)"]
    );
}

#[test]
fn a_variable_that_nothing_reads_is_refused() {
    let variables = [
        // A slip in a setting, in the name of a section, in that of a section of others, and no idea.
        ("COMMERCE_PAYMENTS_ATTEMPT", "3"),
        ("COMMERCE_PAYMENT_TIMEOUT", "3s"),
        ("COMMERCE_ORDER_LARGEST_PAGE", "3"),
        ("COMMERCE_PAYMENTS_COLOUR", "red"),
        ("COMMERCE_KAFKA_URL", "kafka://host"),
        // Of another service, of a tool, of an orchestrator.
        ("COMMERCE_ORDERS_LARGEST_PAGE", "3"),
        ("COMMERCE_PROVIDER_SANDBOX_SEED", "3"),
        ("COMMERCE_CACHE_DIR", "/cache"),
        ("COMMERCE_ORDERS_SERVICE_HOST", "10.0.0.7"),
        ("COMMERCE_PAYMENTS_PORT", "tcp://10.0.0.7:80"),
    ];
    let mut alone = configuration("", &variables);
    alone.allow_foreign_sections();
    let _refused = alone.section::<Payments>("payments");
    let told = mistakes(alone);
    let told: Vec<&str> = told
        .iter()
        .map(|mistake| mistake.rsplit_once(" (").unwrap().0)
        .collect();
    let unread = "no setting reads this variable; right would be";
    assert_eq!(
        told,
        [
            "payments.attempt: there is no such setting; right would be `attempts`: did you mean it?",
            "payments.colour: there is no such setting; right would be one of attempts, timeout, methods, limits",
            &format!(
                "COMMERCE_KAFKA_URL: {unread} the name of a setting; the nearest are COMMERCE_PUBLIC_URL, \
                 COMMERCE_DATA, COMMERCE_STALL"
            ),
            &format!(
                "COMMERCE_ORDER_LARGEST_PAGE: {unread} `COMMERCE_ORDERS_LARGEST_PAGE`: did you mean it?"
            ),
            &format!(
                "COMMERCE_PAYMENT_TIMEOUT: {unread} `COMMERCE_PAYMENTS_TIMEOUT`: did you mean it?"
            ),
        ]
    );

    // Who reads every section knows every variable.
    let mut all = configuration("", &[("COMMERCE_ORDERS_LARGEST_PAGE", "3")]);
    all.section::<Payments>("payments").unwrap();
    assert_eq!(mistakes(all).len(), 1);
}

#[test]
fn what_is_right_is_read() {
    let mut configuration = configuration(
        "[provider]\nurl = 'https://pay.example'\nport = 1\n",
        &[("COMMERCE_PROVIDER_SECRET", "hunter2")],
    );
    let provider: Provider = configuration.section("provider").unwrap();
    configuration.finish().unwrap();
    assert_eq!(
        (provider.url.as_str(), provider.port),
        ("https://pay.example/", 1)
    );
    assert_eq!(
        secrecy::ExposeSecret::expose_secret(&provider.secret),
        "hunter2"
    );
}

#[test]
fn what_only_the_service_sees_is_told_with_all_the_rest() {
    let mut configuration = configuration(
        "bus = 'pigeon:'\ndrain = 10\n[payments]\nattempts = 3\ntimeout = 'soon'\n[payments.limits]\nper_second = 7\n",
        &[("COMMERCE_PAYMENTS_ATTEMPTS", "4")],
    );
    let _refused = configuration.section::<Payments>("payments");
    let mistakes = configuration.finish_with(|_| Vec::new()).unwrap_err();
    assert_eq!(
        mistakes.iter().count(),
        2,
        "a bus cannot be judged before the settings can be read: {mistakes}"
    );

    let mut configuration = self::configuration(
        "bus = 'pigeon:'\n[payments]\nattempts = 3\ntimeout = 'soon'\n[payments.limits]\nper_second = 7\n",
        &[("COMMERCE_PAYMENTS_ATTEMPTS", "4")],
    );
    let _refused = configuration.section::<Payments>("payments");
    let wrong = ["attempts", "limits.per_second", "methods"]
        .map(|name| Mistake::new(format!("payments.{name}"), "it is odd", "an even one"))
        .to_vec();
    let told = configuration.finish_with(|_| wrong).unwrap_err();
    let told: Vec<String> = told.iter().map(Mistake::to_string).collect();
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(
        told.iter().any(|text| text.starts_with("bus: ")),
        "{told:?}"
    );
    assert!(
        told.iter()
            .any(|text| text.starts_with("payments.timeout: ")),
        "{told:?}"
    );
    // Each with the place where it can be mended.
    assert!(
        told.contains(
            &"payments.attempts: it is odd; right would be an even one \
              (environment variable COMMERCE_PAYMENTS_ATTEMPTS)"
                .to_owned()
        ),
        "{told:?}"
    );
    assert!(
        told.iter()
            .any(|text| text.starts_with("payments.limits.per_second: ")
                && text.ends_with("line 6)")),
        "{told:?}"
    );
    assert!(
        told.contains(&"payments.methods: it is odd; right would be an even one".to_owned()),
        "{told:?}"
    );
}

#[test]
fn secrets_are_not_shown() {
    let mut configuration = configuration(
        "bus = 'ampq://user:hunter2@host'\n[provider]\nurl = 'http://user:hunter2@host'\nsecret = 'hunter2'\nport = 1\n",
        &[],
    );
    configuration.section::<Provider>("provider").unwrap_err();
    let text = mistakes(configuration).join("\n");
    assert!(
        text.contains("provider.url: no user name or password"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");

    let settings = Settings {
        bus: Some(ConnectionUrl::new("amqp://user:hunter2@host")),
        ..Settings::default()
    };
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn an_unreadable_or_broken_file_is_a_mistake_like_others() {
    let missing = Configuration::read(
        Some(Path::new("/nowhere/commerce.toml")),
        [("COMMERCE_LISTEN".into(), "x".into())],
    );
    let text = mistakes(missing).join("\n");
    assert!(
        text.contains("--config: /nowhere/commerce.toml cannot be read"),
        "{text}"
    );
    assert!(text.contains("listen: `x` is not an address"), "{text}");
    let broken = mistakes(configuration("listen = \n", &[])).join("\n");
    assert!(broken.contains("right would be valid TOML (1)"), "{broken}");
}
