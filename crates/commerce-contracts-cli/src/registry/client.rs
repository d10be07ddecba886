//! The few questions that a registry is asked, and what each of its answers means.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use commerce_contracts::compatibility::Mode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::header::{ACCEPT, AUTHORIZATION, LOCATION};
use ureq::http::{HeaderValue, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error};

use super::credentials::{self, Credentials};
use super::failure::RegistryFailure;
use crate::registry_url::RegistryUrl;

/// More than any schema is; what is longer is no answer of a registry.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;
const MEDIA_TYPES: &str = "application/vnd.schemaregistry.v1+json, application/json";
/// A subject is one segment of a path.
const IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A registry that can be asked.
pub(super) struct Client {
    agent: Agent,
    url: String,
    timeout: Duration,
    authorization: Option<HeaderValue>,
}

/// A schema as it is registered.
#[derive(Debug, Deserialize)]
pub(super) struct Registered {
    pub(super) subject: String,
    pub(super) version: u32,
    pub(super) schema: String,
    /// Left out for Avro.
    #[serde(rename = "schemaType", default = "avro")]
    pub(super) schema_type: String,
    #[serde(default)]
    pub(super) references: Vec<Reference>,
}

/// A schema that another one uses by a name.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) subject: String,
    pub(super) version: u32,
}

/// What a registry asks of new versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Nothing.
    None,
    /// The name of a mode.
    Mode(String),
    /// It does not say, for this reason.
    Untold(String),
}

fn avro() -> String {
    "AVRO".to_owned()
}

impl Level {
    /// The mode of that name.
    pub(super) fn mode(name: &str) -> Option<Mode> {
        use Mode::{
            Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive,
        };
        [
            Backward,
            BackwardTransitive,
            Forward,
            ForwardTransitive,
            Full,
            FullTransitive,
        ]
        .into_iter()
        .find(|mode| mode.to_string() == name)
    }
}

#[derive(Deserialize)]
struct Complaint {
    error_code: Option<u32>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "compatibilityLevel", alias = "compatibility")]
    level: String,
}

/// What came back, where it is an answer of a registry at all.
enum Answer<T> {
    Found(T),
    /// Not there, with the code that the registry gives (40401 and so on).
    NotFound(u32),
}

impl Client {
    pub(super) fn new(url: &RegistryUrl, timeout: Duration) -> Result<Self, RegistryFailure> {
        let shown = url.to_string();
        let is_loopback = checked(url)?;
        let authorization = match Credentials::from_environment()? {
            None => None,
            Some(_) if url.as_typed().starts_with("http://") && !is_loopback => {
                return Err(RegistryFailure::SecretInClear { url: shown });
            }
            Some(credentials) => Some(header(&credentials)?),
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(timeout))
            // Each answer is looked at here; a redirect would take the credentials along, or lose them.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("contracts/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            url: shown,
            timeout,
            authorization,
        })
    }

    /// The versions of a subject, in order; none where there is no such subject.
    pub(super) fn versions(&self, subject: &str) -> Result<Option<Vec<u32>>, RegistryFailure> {
        let path = format!("/subjects/{}/versions", segment(subject));
        match self.ask::<Vec<u32>>(&path)? {
            Answer::Found(mut versions) if !versions.is_empty() => {
                versions.sort_unstable();
                Ok(Some(versions))
            }
            // What is deleted for a while is hidden, and not gone.
            _ => match self.ask::<Vec<u32>>(&format!("{path}?deleted=true"))? {
                Answer::Found(versions) if !versions.is_empty() => {
                    Err(RegistryFailure::SubjectDeleted(subject.to_owned()))
                }
                _ => Ok(None),
            },
        }
    }

    pub(super) fn version(
        &self,
        subject: &str,
        version: u32,
    ) -> Result<Registered, RegistryFailure> {
        let path = format!("/subjects/{}/versions/{version}", segment(subject));
        match self.ask(&path)? {
            Answer::Found(registered) => Ok(registered),
            Answer::NotFound(_) => Err(RegistryFailure::VersionGone {
                subject: subject.to_owned(),
                version,
            }),
        }
    }

    /// How compatible new versions of a subject have to be. Who may read schemas may not always read this.
    pub(super) fn level(&self, subject: &str) -> Result<Level, RegistryFailure> {
        let path = format!("/config/{}?defaultToGlobal=true", segment(subject));
        match self.ask::<Config>(&path) {
            Ok(Answer::Found(Config { level })) if level == "NONE" => Ok(Level::None),
            Ok(Answer::Found(Config { level })) => Ok(Level::Mode(level)),
            Ok(Answer::NotFound(code)) => Ok(Level::Untold(code.to_string())),
            Err(RegistryFailure::Forbidden { .. }) => Ok(Level::Untold("403".to_owned())),
            Err(failure) => Err(failure),
        }
    }

    fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, RegistryFailure> {
        let mut request = self
            .agent
            .get(format!("{}{path}", self.url))
            .header(ACCEPT, MEDIA_TYPES);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let failed = |error| self.failed(error);
        let mut response = request.call().map_err(failed)?;
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION).cloned();
        let body = response
            .body_mut()
            .with_config()
            .limit(LONGEST_ANSWER)
            .read_to_vec()
            .map_err(failed)?;
        self.answer(status, location.as_ref(), &body)
    }

    fn answer<T: DeserializeOwned>(
        &self,
        status: u16,
        location: Option<&HeaderValue>,
        body: &[u8],
    ) -> Result<Answer<T>, RegistryFailure> {
        let url = self.url.clone();
        let complaint = serde_json::from_slice::<Complaint>(body).ok();
        let code = complaint
            .as_ref()
            .and_then(|complaint| complaint.error_code);
        let message = complaint
            .and_then(|complaint| complaint.message)
            .map_or_else(String::new, |message| format!(": {}", one_line(&message)));
        Err(match status {
            200 => {
                return serde_json::from_slice(body)
                    .map(Answer::Found)
                    .map_err(|error| RegistryFailure::NotARegistry {
                        url,
                        why: format!("what it says is not what was asked for ({error})"),
                    });
            }
            300..=399 => RegistryFailure::Redirected {
                url,
                to: location
                    .and_then(|to| to.to_str().ok())
                    .map_or_else(|| "a place that it does not name".to_owned(), one_line),
            },
            401 => match &self.authorization {
                None => RegistryFailure::Anonymous { url },
                Some(header) => {
                    let is_token = header.as_bytes().starts_with(b"Bearer");
                    let what = if is_token {
                        "token"
                    } else {
                        "user and password"
                    };
                    RegistryFailure::Unauthorized { url, what }
                }
            },
            403 => RegistryFailure::Forbidden { url },
            404 => match code {
                Some(code @ 40400..=40499) => return Ok(Answer::NotFound(code)),
                _ => RegistryFailure::NotARegistry {
                    url,
                    why: "it does not know the path (404)".to_owned(),
                },
            },
            429 | 500..=599 => RegistryFailure::Unavailable {
                url,
                status,
                message,
            },
            _ => RegistryFailure::Refused {
                url,
                status,
                message,
            },
        })
    }

    fn failed(&self, error: Error) -> RegistryFailure {
        let url = self.url.clone();
        match error {
            Error::Timeout(_) => RegistryFailure::TimedOut {
                url,
                seconds: self.timeout.as_secs(),
            },
            Error::BodyExceedsLimit(_) => RegistryFailure::NotARegistry {
                url,
                why: format!("its answer is longer than {LONGEST_ANSWER} bytes"),
            },
            Error::Protocol(error) => RegistryFailure::NotARegistry {
                url,
                why: format!("it does not speak HTTP ({error})"),
            },
            Error::Io(error)
                if error
                    .get_ref()
                    .is_some_and(<dyn StdError + Send + Sync>::is::<rustls::Error>) =>
            {
                RegistryFailure::Tls {
                    url,
                    why: error.to_string(),
                }
            }
            Error::Rustls(error) => RegistryFailure::Tls {
                url,
                why: error.to_string(),
            },
            Error::Tls(why) => RegistryFailure::Tls {
                url,
                why: why.to_owned(),
            },
            error => {
                let why = match error.source() {
                    Some(source) => source.to_string(),
                    None => error.to_string(),
                };
                RegistryFailure::Unreachable { url, why }
            }
        }
    }
}

/// Whether the host is this machine, when the address is one of a registry.
fn checked(url: &RegistryUrl) -> Result<bool, RegistryFailure> {
    let wrong = |why: &str| RegistryFailure::Address {
        url: url.to_string(),
        why: why.to_owned(),
    };
    let typed = url.as_typed();
    let authority = typed.split_once("://").map_or(typed, |(_, rest)| rest);
    if authority
        .split('/')
        .next()
        .unwrap_or_default()
        .contains('@')
    {
        return Err(RegistryFailure::SecretInAddress);
    }
    let uri: Uri = typed.parse().map_err(|error| wrong(&format!("{error}")))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("it begins with neither http:// nor https://"));
    }
    if uri.query().is_some() || typed.contains('#') {
        return Err(wrong("it has more than a host and a path"));
    }
    let host = uri.host().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| wrong("it names no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    Ok(host == "localhost" || address.is_ok_and(|address| address.is_loopback()))
}

fn header(credentials: &Credentials) -> Result<HeaderValue, RegistryFailure> {
    // The pair of a user and a password is encoded, and can hold anything.
    let mut header = HeaderValue::from_str(credentials.header())
        .map_err(|_| RegistryFailure::BrokenCredentials(credentials::TOKEN))?;
    header.set_sensitive(true);
    Ok(header)
}

fn segment(subject: &str) -> String {
    utf8_percent_encode(subject, IN_SEGMENT).to_string()
}

/// What a stranger says, fit for a terminal.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .take(LONGEST)
        .collect()
}
