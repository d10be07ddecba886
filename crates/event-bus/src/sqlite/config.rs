//! `sqlite:PATH[?retain=D&retain_bytes=N&expire_subscriptions=D&poll=D&publish_timeout=D&max_message=N]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::settings::Settings;

/// Which file, and how it is kept.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// The file. It is made when it does not exist; its directory is not.
    pub(super) path: PathBuf,
    /// How long a message stays after it was published, settled by everyone, for subscriptions made later.
    pub(super) retain: Duration,
    /// How many bytes of the file are in use at most before settled messages go earlier than that, the oldest first.
    pub(super) retain_bytes: Option<u64>,
    /// How long nobody is at a subscription before it is taken for abandoned.
    pub(super) expire_subscriptions: Option<Duration>,
    /// How often a subscriber with nothing to do looks for what other processes did.
    pub(super) poll: Duration,
    /// How long `publish` waits for the file before it fails.
    pub(super) publish_timeout: Duration,
    /// The largest message, attributes and data together.
    pub(super) max_message: usize,
}

impl Config {
    pub(super) fn parse(rest: &str) -> Result<Self, Error> {
        let (path, mut settings) = Settings::split("sqlite", rest);
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            let problem = "sqlite: needs the path of a file, as in sqlite:bus.db; a bus without a file is memory:";
            return Err(Error::new(ErrorKind::Config, "connect", problem));
        }
        let config = Self {
            path: PathBuf::from(path),
            retain: settings.duration("retain", Duration::from_hours(7 * 24))?,
            retain_bytes: match settings.number("retain_bytes", 0)? {
                0 => None,
                bytes => Some(bytes),
            },
            expire_subscriptions: expiry(
                settings.duration("expire_subscriptions", Duration::ZERO)?,
            )?,
            poll: settings
                .duration("poll", Duration::from_millis(200))?
                .max(Duration::from_millis(10)),
            publish_timeout: settings.duration("publish_timeout", Duration::from_secs(30))?,
            max_message: settings.number("max_message", 16 * 1024 * 1024)?,
        };
        settings.finish()?;
        Ok(config)
    }
}

/// Members tell once a minute that they are there, so less than some minutes cannot be told apart from a pause.
fn expiry(idle: Duration) -> Result<Option<Duration>, Error> {
    if idle.is_zero() {
        return Ok(None);
    }
    if idle < Duration::from_mins(10) {
        let problem = "sqlite: expire_subscriptions is 10m at least, and more than the longest time that a consumer may be down";
        return Err(Error::new(ErrorKind::Config, "connect", problem));
    }
    Ok(Some(idle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_settings() {
        let config = Config::parse("data/bus.db").unwrap();
        assert_eq!(config.path, PathBuf::from("data/bus.db"));
        assert_eq!(config.retain, Duration::from_hours(168));
        assert_eq!(
            Config::parse("///var/bus.db").unwrap().path,
            PathBuf::from("/var/bus.db")
        );
        let config =
            Config::parse("bus.db?retain=1h&poll=1ms&publish_timeout=5s&max_message=100").unwrap();
        assert_eq!(config.retain, Duration::from_hours(1));
        assert_eq!(
            config.poll,
            Duration::from_millis(10),
            "a poll below 10 ms only burns the processor"
        );
        assert_eq!(config.publish_timeout, Duration::from_secs(5));
        assert_eq!(config.max_message, 100);
        assert_eq!(
            (config.retain_bytes, config.expire_subscriptions),
            (None, None)
        );
        let config = Config::parse("bus.db?retain_bytes=4096&expire_subscriptions=30d").unwrap();
        assert_eq!(config.retain_bytes, Some(4096));
        assert_eq!(
            config.expire_subscriptions,
            Some(Duration::from_hours(30 * 24))
        );
    }

    #[test]
    fn mistakes_are_named() {
        for nowhere in ["", "//", ":memory:", "?retain=1h"] {
            let error = Config::parse(nowhere).unwrap_err().to_string();
            assert!(error.contains("sqlite:bus.db"), "{nowhere:?}: {error}");
        }
        let error = Config::parse("bus.db?expire_subscriptions=30s").unwrap_err();
        assert!(error.to_string().contains("10m"), "{error}");
        assert!(
            Config::parse("bus.db?retian=1h")
                .unwrap_err()
                .to_string()
                .contains("retain")
        );
    }
}
