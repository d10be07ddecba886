//! `memory:[?capacity=N&max_message=BYTES&publish_timeout=D]`.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::settings::Settings;

/// How much is kept, and how long a publisher waits for room.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// Messages kept at most, all topics together.
    pub(super) capacity: usize,
    /// What one message may weigh, in bytes.
    pub(super) max_message: usize,
    /// How long `publish` waits for room before it fails.
    pub(super) publish_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            capacity: 100_000,
            max_message: 16 * 1024 * 1024,
            publish_timeout: Duration::from_secs(30),
        }
    }
}

impl Config {
    pub(super) fn parse(rest: &str) -> Result<Self, Error> {
        let default = Self::default();
        let (place, mut settings) = Settings::split("memory", rest);
        if !place.is_empty() {
            let problem =
                "a memory bus has no name or path: it is private to who makes it; write memory:";
            return Err(Error::new(ErrorKind::Config, "connect", problem));
        }
        let config = Self {
            capacity: settings.number("capacity", default.capacity)?.max(1),
            max_message: settings.number("max_message", default.max_message)?,
            publish_timeout: settings.duration("publish_timeout", default.publish_timeout)?,
        };
        settings.finish()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_their_mistakes() {
        assert_eq!(Config::parse("").unwrap().capacity, 100_000);
        let config = Config::parse("?capacity=5&publish_timeout=2s").unwrap();
        assert_eq!(
            (config.capacity, config.publish_timeout),
            (5, Duration::from_secs(2))
        );
        assert!(
            Config::parse("somewhere")
                .unwrap_err()
                .to_string()
                .contains("write memory:")
        );
        assert!(
            Config::parse("?capacity=lots")
                .unwrap_err()
                .to_string()
                .contains("capacity")
        );
    }
}
