//! `memory:[?capacity=N&capacity_bytes=BYTES&max_message=BYTES&publish_timeout=D]`.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::settings::Settings;

/// How much is kept, and how long a publisher waits for room.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// Messages kept at most, all topics together.
    pub(super) capacity: usize,
    /// Bytes of messages kept at most, all topics together; never less than one message may weigh.
    pub(super) capacity_bytes: usize,
    /// What one message may weigh, in bytes.
    pub(super) max_message: usize,
    /// How long `publish` waits for room before it fails.
    pub(super) publish_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            capacity: 100_000,
            capacity_bytes: 256 * 1024 * 1024,
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
            capacity_bytes: settings.number("capacity_bytes", default.capacity_bytes)?,
            max_message: settings.number("max_message", default.max_message)?,
            publish_timeout: settings.duration("publish_timeout", default.publish_timeout)?,
        };
        settings.finish()?;
        if config.capacity_bytes < config.max_message {
            let problem = format!(
                "memory: a message of {} bytes (max_message) would never find room in {} (capacity_bytes); lower \
                 max_message as well",
                config.max_message, config.capacity_bytes
            );
            return Err(Error::new(ErrorKind::Config, "connect", problem));
        }
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

    #[test]
    fn there_is_room_for_the_largest_message() {
        let error = Config::parse("?capacity_bytes=1000").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("lower max_message"), "{error}");
        let config = Config::parse("?capacity_bytes=1000&max_message=1000").unwrap();
        assert_eq!((config.capacity_bytes, config.max_message), (1000, 1000));
    }
}
