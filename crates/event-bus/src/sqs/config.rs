//! `sqs://[KEY:SECRET@]REGION[?setting=value&…]`.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::Credentials;
use url::Url;

use super::history::RESERVE;
use super::names::Names;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::name::TopicName;
use crate::settings::Settings;

/// The longest time that SQS lets a request wait for messages.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// The longest time that SQS keeps a message.
pub(super) const LONGEST_RETENTION: Duration = Duration::from_hours(14 * 24);
/// What every queue and every topic takes, whatever its settings. Newer ones take up to four times as much.
const SAFE_MESSAGE: usize = 256 * 1024;
/// The most that any queue takes.
const LARGEST_MESSAGE: usize = 1024 * 1024;
/// Below it there is no room for an event beside what is added to a dead letter.
const SMALLEST_MESSAGE: usize = 16 * 1024;
/// SQS dead-letters a message after at most so many receives.
const MOST_RECEIVES: u32 = 1000;

/// What a topic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topics {
    /// An SNS FIFO topic: ordered and unordered subscriptions.
    Fifo,
    /// An SNS standard topic: unordered subscriptions only.
    Standard,
    /// The set of its subscriptions' queues, without SNS.
    None,
}

/// Where SQS and SNS are, and how this process uses them.
#[derive(Clone)]
pub(super) struct Config {
    region: Option<String>,
    credentials: Option<Credentials>,
    pub(super) sqs_endpoint: Option<String>,
    pub(super) sns_endpoint: Option<String>,
    pub(super) topics: Topics,
    pub(super) names: Names,
    /// How long one request for messages waits for some.
    pub(super) wait: Duration,
    pub(super) publish_timeout: Duration,
    /// How long a request other than a publish may take.
    pub(super) request_timeout: Duration,
    /// The largest message, and the largest batch, in bytes.
    pub(super) max_message: usize,
    pub(super) max_receives: u32,
    /// How long a new queue of a subscription keeps a message.
    pub(super) retention: Duration,
    /// Without SNS: how old the list of a topic's queues may be.
    pub(super) refresh: Duration,
    pub(super) delayed: bool,
    /// Topics that nobody needs to read.
    pub(super) unrouted_ok: BTreeSet<TopicName>,
    /// What says when a message for later is due.
    pub(super) clock: Clock,
}

impl Config {
    /// From a URL, taken apart at the first colon.
    pub(super) fn parse(rest: &str) -> Result<Self, Error> {
        let (place, mut settings) = Settings::split("sqs", rest);
        let (region, credentials) = place_of(place)?;
        let everywhere = settings.take("endpoint", None, URL, |text| endpoint(text).map(Some))?;
        let sns_endpoint = settings.take("sns_endpoint", everywhere.clone(), URL, |text| {
            endpoint(text).map(Some)
        })?;
        let topics =
            settings.take(
                "topics",
                Topics::Fifo,
                "fifo, standard or none",
                |text| match text {
                    "fifo" => Some(Topics::Fifo),
                    "standard" => Some(Topics::Standard),
                    "none" => Some(Topics::None),
                    _ => None,
                },
            )?;
        let names = settings.take("prefix", Names::default(), PREFIX, Names::with_prefix)?;
        let config = Self {
            region,
            credentials,
            sqs_endpoint: everywhere,
            sns_endpoint,
            topics,
            names,
            wait: settings
                .duration("wait", LONGEST_WAIT)?
                .min(LONGEST_WAIT)
                .max(Duration::from_secs(1)),
            publish_timeout: settings.duration("publish_timeout", Duration::from_secs(30))?,
            request_timeout: settings.duration("request_timeout", Duration::from_secs(10))?,
            max_message: settings.take("max_message", SAFE_MESSAGE, SIZE, |text| {
                let size = text.parse().ok()?;
                (SMALLEST_MESSAGE..=LARGEST_MESSAGE)
                    .contains(&size)
                    .then_some(size)
            })?,
            max_receives: settings.take(
                "max_receives",
                MOST_RECEIVES,
                "a number from 1 to 1000",
                |text| {
                    let times = text.parse().ok()?;
                    (1..=MOST_RECEIVES).contains(&times).then_some(times)
                },
            )?,
            retention: settings
                .duration("retention", LONGEST_RETENTION)?
                .clamp(Duration::from_mins(1), LONGEST_RETENTION),
            refresh: settings.duration("refresh", Duration::from_secs(1))?,
            delayed: settings.take("delayed", true, "on or off", |text| match text {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            })?,
            clock: Clock::new(),
            unrouted_ok: settings.take(
                "unrouted_ok",
                BTreeSet::new(),
                "names of topics with commas between",
                |text| {
                    text.split(',')
                        .map(|name| TopicName::new(name).ok())
                        .collect()
                },
            )?,
        };
        settings.finish()?;
        Ok(config)
    }

    /// What a message may weigh: the rest is for what its envelope and a dead letter add.
    pub(super) const fn heaviest(&self) -> usize {
        self.max_message - 2 * RESERVE
    }

    /// The region and the credentials: those of the URL, or those that every AWS program of this machine finds.
    pub(super) async fn sdk(&self) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(credentials) = &self.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        loader.load().await
    }
}

const URL: &str = "an http or https URL without a user, percent-encoded where it holds ? or &";
const SIZE: &str = "a number of bytes from 16384 to 1048576";
const PREFIX: &str = "at most 11 lower-case letters, digits and '-'";

fn endpoint(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    // Requests are signed; a password here would only be in somebody's log.
    let open = url.username().is_empty() && url.password().is_none();
    (open && matches!(url.scheme(), "http" | "https")).then(|| text.to_owned())
}

/// `//[KEY:SECRET@]REGION`. The text itself is in no error: it may hold a secret.
fn place_of(place: &str) -> Result<(Option<String>, Option<Credentials>), Error> {
    let problem = |problem: &str| {
        let problem = format!("sqs: {problem}; the URL is sqs://[KEY:SECRET@]REGION[?…]");
        Error::new(ErrorKind::Config, "connect", problem)
    };
    let place = place.strip_prefix("//").unwrap_or(place);
    let (credentials, region) = match place.rsplit_once('@') {
        Some((credentials, region)) => (Some(credentials), region),
        None => (None, place),
    };
    let region = region.trim_end_matches('/');
    if !region
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    {
        return Err(problem("the region is not a region, such as eu-central-1"));
    }
    let credentials = credentials
        .map(|credentials| {
            let (key, secret) = credentials.split_once(':').unwrap_or_default();
            if key.is_empty() || secret.is_empty() {
                return Err(problem("what precedes the @ is not KEY:SECRET"));
            }
            let (key, secret) = (percent_decoded(key), percent_decoded(secret));
            Ok(Credentials::new(key, secret, None, None, "bus URL"))
        })
        .transpose()?;
    Ok(((!region.is_empty()).then(|| region.to_owned()), credentials))
}

fn percent_decoded(text: &str) -> String {
    // The decoder of forms, where a plus is a space; in a URL's user a plus is a plus.
    let form = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the credentials.
        f.debug_struct("Config")
            .field("region", &self.region)
            .field("topics", &self.topics)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_whole() {
        let config = Config::parse(
            "//eu-central-1?topics=none&endpoint=http://127.0.0.1:9324&prefix=test-&wait=5s&delayed=off&unrouted_ok=a,b",
        )
        .unwrap();
        assert_eq!(config.region.as_deref(), Some("eu-central-1"));
        assert_eq!(config.topics, Topics::None);
        assert_eq!(
            config.sqs_endpoint.as_deref(),
            Some("http://127.0.0.1:9324")
        );
        assert_eq!(config.sns_endpoint, config.sqs_endpoint);
        assert_eq!(config.wait, Duration::from_secs(5));
        assert!(!config.delayed && config.unrouted_ok.len() == 2);
        let config = Config::parse("").unwrap();
        assert_eq!((config.region, config.topics), (None, Topics::Fifo));
    }

    #[test]
    fn a_secret_is_decoded_and_never_shown() {
        let config = Config::parse("//AKID:a%2Fb+c&d%40@us-east-1").unwrap();
        let credentials = config.credentials.as_ref().unwrap();
        assert_eq!(credentials.access_key_id(), "AKID");
        assert_eq!(credentials.secret_access_key(), "a/b+c&d@");
        assert!(!format!("{config:?}").contains("a/b"));
    }

    #[test]
    fn a_mistake_is_named_without_the_url() {
        for (url, named) in [
            ("//AKID@us-east-1", "KEY:SECRET"),
            ("//k:hidden@us east", "region"),
            ("//us-east-1?topics=many", "topics"),
            ("//us-east-1?endpoint=localhost", "endpoint"),
            ("//us-east-1?endpoint=http://me:hidden@host", "endpoint"),
            ("//us-east-1?max_message=1", "max_message"),
            ("//us-east-1?max_receives=0", "max_receives"),
            ("//us-east-1?prefix=Upper", "prefix"),
            ("//us-east-1?endpont=http://x", "endpont"),
        ] {
            let error = Config::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(named), "{url}: {error}");
            assert!(!error.to_string().contains("hidden"));
        }
    }
}
