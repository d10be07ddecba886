//! TLS and SASL: what the URL says about them, and what the client is told.

use std::fmt;

use percent_encoding::percent_decode_str;
use rdkafka::ClientConfig;

use crate::error::{Error, ErrorKind};
use crate::settings::Settings;

/// How this client proves who it is, and whether the connection is encrypted.
#[derive(Clone, Default)]
pub(super) struct Security {
    tls: bool,
    authority: Option<String>,
    sasl: Option<Sasl>,
}

#[derive(Clone)]
enum Sasl {
    Password {
        mechanism: &'static str,
        user: String,
        password: String,
    },
    Tokens,
}

#[derive(Clone, Copy)]
enum Mechanism {
    Password(&'static str),
    Tokens,
}

impl Mechanism {
    fn of(text: &str) -> Option<Self> {
        match text {
            "plain" => Some(Self::Password("PLAIN")),
            "scram-sha-256" => Some(Self::Password("SCRAM-SHA-256")),
            "scram-sha-512" => Some(Self::Password("SCRAM-SHA-512")),
            "oauthbearer" => Some(Self::Tokens),
            _ => None,
        }
    }
}

impl Security {
    /// From the user information of the URL, its settings, and whether there is a source of tokens.
    pub(super) fn parse(
        user_info: Option<&str>,
        settings: &mut Settings,
        has_tokens: bool,
    ) -> Result<Self, Error> {
        let on_or_off = |text: &str| match text {
            "on" => Some(Some(true)),
            "off" => Some(Some(false)),
            _ => None,
        };
        let tls: Option<bool> = settings.take("tls", None, "on or off", on_or_off)?;
        let path = |text: &str| (!text.is_empty()).then(|| Some(text.to_owned()));
        let authority = settings.take("tls_ca", None, "the path of a PEM file", path)?;
        let expected = "plain, scram-sha-256, scram-sha-512 or oauthbearer";
        let mechanism =
            settings.take("sasl", None, expected, |text| Mechanism::of(text).map(Some))?;
        let sasl = match mechanism {
            None if user_info.is_some() => {
                return Err(config(format!(
                    "kafka: the URL has a user: say how it is authenticated, with sasl={expected}"
                )));
            }
            None if has_tokens => {
                return Err(config(
                    "kafka: there is a source of tokens: say sasl=oauthbearer",
                ));
            }
            None => None,
            Some(Mechanism::Tokens) if !has_tokens => {
                return Err(config(
                    "kafka: sasl=oauthbearer needs a source of tokens: EventBus::connector(url).tokens(source)",
                ));
            }
            Some(Mechanism::Tokens) if user_info.is_some() => {
                return Err(config(
                    "kafka: sasl=oauthbearer has no use for a user in the URL",
                ));
            }
            Some(Mechanism::Tokens) => Some(Sasl::Tokens),
            Some(Mechanism::Password(_)) if has_tokens => {
                return Err(config("kafka: a source of tokens needs sasl=oauthbearer"));
            }
            Some(Mechanism::Password(mechanism)) => {
                let (user, password) = user_and_password(user_info)?;
                Some(Sasl::Password {
                    mechanism,
                    user,
                    password,
                })
            }
        };
        let security = Self {
            // A secret does not travel in the clear unless somebody says so.
            tls: tls.unwrap_or(sasl.is_some() || authority.is_some()),
            authority,
            sasl,
        };
        if !security.tls && security.authority.is_some() {
            return Err(config("kafka: tls_ca has no use with tls=off"));
        }
        security.ensure_built_in()?;
        Ok(security)
    }

    #[cfg(feature = "kafka-tls")]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "refuses without the feature"
    )]
    fn ensure_built_in(&self) -> Result<(), Error> {
        Ok(())
    }

    #[cfg(not(feature = "kafka-tls"))]
    fn ensure_built_in(&self) -> Result<(), Error> {
        if !self.tls && self.sasl.is_none() {
            return Ok(());
        }
        let problem = "kafka: TLS and SASL need the feature \"kafka-tls\" of commerce-event-bus, which this program was built without";
        Err(Error::new(ErrorKind::Unsupported, "connect", problem))
    }

    /// Tells the client.
    pub(super) fn apply(&self, client: &mut ClientConfig) {
        let protocol = match (self.tls, &self.sasl) {
            (false, None) => return,
            (true, None) => "ssl",
            (false, Some(_)) => "sasl_plaintext",
            (true, Some(_)) => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        if self.tls {
            // The certificate must also be the broker's, by name.
            client.set("ssl.endpoint.identification.algorithm", "https");
            // Without one of our own, the authorities of this system.
            client.set(
                "ssl.ca.location",
                self.authority.as_deref().unwrap_or("probe"),
            );
        }
        match &self.sasl {
            None => {}
            Some(Sasl::Tokens) => {
                client.set("sasl.mechanism", "OAUTHBEARER");
            }
            Some(Sasl::Password {
                mechanism,
                user,
                password,
            }) => {
                client
                    .set("sasl.mechanism", *mechanism)
                    .set("sasl.username", user)
                    .set("sasl.password", password);
            }
        }
    }
}

fn user_and_password(user_info: Option<&str>) -> Result<(String, String), Error> {
    let missing =
        || config("kafka: this sasl needs kafka://USER:PASSWORD@HOST:PORT, both percent-encoded");
    let (user, password) = user_info
        .and_then(|user_info| user_info.split_once(':'))
        .ok_or_else(missing)?;
    let decode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8().ok()?;
        (!decoded.is_empty() && !decoded.contains('\0')).then(|| decoded.into_owned())
    };
    decode(user).zip(decode(password)).ok_or_else(missing)
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mechanism = match &self.sasl {
            None => None,
            Some(Sasl::Tokens) => Some("OAUTHBEARER"),
            Some(Sasl::Password { mechanism, .. }) => Some(*mechanism),
        };
        f.debug_struct("Security")
            .field("tls", &self.tls)
            .field("authority", &self.authority)
            .field("sasl", &mechanism)
            .finish_non_exhaustive()
    }
}

fn config(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, "connect", problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(user_info: Option<&str>, query: &str, has_tokens: bool) -> Result<Security, Error> {
        let rest = format!("//host?{query}");
        let (_, mut settings) = Settings::split("kafka", &rest);
        let security = Security::parse(user_info, &mut settings, has_tokens)?;
        settings.finish()?;
        Ok(security)
    }

    #[test]
    fn mistakes_are_named_and_show_no_secret() {
        let user = Some("me:s3cret");
        for (user_info, query, has_tokens, expected) in [
            (user, "", false, "sasl=plain"),
            (None, "", true, "sasl=oauthbearer"),
            (None, "sasl=plain", false, "USER:PASSWORD"),
            (Some("me"), "sasl=plain", false, "USER:PASSWORD"),
            (Some("me:"), "sasl=plain", false, "USER:PASSWORD"),
            (Some("me:%ff"), "sasl=plain", false, "percent-encoded"),
            (user, "sasl=gssapi", false, "scram-sha-512"),
            (user, "sasl=plain", true, "oauthbearer"),
            (None, "sasl=oauthbearer", false, "tokens(source)"),
            (user, "sasl=oauthbearer", true, "no use"),
            (None, "tls=yes", false, "on or off"),
            (None, "tls=off&tls_ca=ca.pem", false, "no use"),
        ] {
            let error = parse(user_info, query, has_tokens).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let error = error.to_string();
            assert!(error.contains(expected), "{query}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[cfg(not(feature = "kafka-tls"))]
    #[test]
    fn without_the_feature_the_remedy_is_told() {
        for query in ["tls=on", "tls_ca=ca.pem", "sasl=plain&tls=off"] {
            let user = query.contains("sasl").then_some("me:s3cret");
            let error = parse(user, query, false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("kafka-tls"), "{error}");
        }
        assert!(parse(None, "tls=off", false).is_ok());
    }

    #[cfg(feature = "kafka-tls")]
    #[test]
    fn the_client_is_told_and_logs_are_not() {
        let told = |security: &Security, name: &str| {
            let mut client = ClientConfig::new();
            security.apply(&mut client);
            client.get(name).map(str::to_owned)
        };
        let user = Some("me%40here:s3%3Acret%2F");
        let security = parse(user, "sasl=scram-sha-512", false).unwrap();
        for (name, expected) in [
            ("security.protocol", Some("sasl_ssl")),
            ("sasl.mechanism", Some("SCRAM-SHA-512")),
            ("sasl.username", Some("me@here")),
            ("sasl.password", Some("s3:cret/")),
            ("ssl.ca.location", Some("probe")),
        ] {
            assert_eq!(told(&security, name).as_deref(), expected, "{name}");
        }
        let debug = format!("{security:?}");
        assert!(
            !debug.contains("cret") && !debug.contains("here"),
            "{debug}"
        );

        let protocol = |security: &Security| told(security, "security.protocol");
        assert_eq!(protocol(&parse(None, "", false).unwrap()), None);
        let tls = parse(None, "tls_ca=/ca.pem", false).unwrap();
        assert_eq!(protocol(&tls).as_deref(), Some("ssl"));
        assert_eq!(told(&tls, "ssl.ca.location").as_deref(), Some("/ca.pem"));
        let clear = parse(None, "sasl=oauthbearer&tls=off", true).unwrap();
        assert_eq!(protocol(&clear).as_deref(), Some("sasl_plaintext"));
    }
}
