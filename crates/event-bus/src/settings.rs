//! Settings in the query of a bus URL: read by name, and nothing left over.

use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// The settings that a URL's query holds, each taken once by the backend that knows it.
#[derive(Debug)]
pub(crate) struct Settings {
    backend: &'static str,
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Settings {
    /// Splits `rest` (a URL without its scheme) into what precedes the query and the settings in it.
    pub(crate) fn split<'url>(backend: &'static str, rest: &'url str) -> (&'url str, Self) {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let pairs = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let known = Vec::new();
        (
            place,
            Self {
                backend,
                pairs,
                known,
            },
        )
    }

    /// A number, or the default.
    pub(crate) fn number<T: FromStr>(
        &mut self,
        name: &'static str,
        default: T,
    ) -> Result<T, Error> {
        self.take(name, default, "a whole number", |text| text.parse().ok())
    }

    /// A duration such as `250ms`, `30s`, `10m`, `12h`, `7d`, or the default.
    pub(crate) fn duration(
        &mut self,
        name: &'static str,
        default: Duration,
    ) -> Result<Duration, Error> {
        self.take(
            name,
            default,
            "a duration such as 250ms, 30s, 10m, 12h or 7d",
            duration,
        )
    }

    /// A setting that `parse` understands, or the default.
    pub(crate) fn take<T>(
        &mut self,
        name: &'static str,
        default: T,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Error> {
        self.known.push(name);
        let Some(at) = self.pairs.iter().position(|(key, _)| key == name) else {
            return Ok(default);
        };
        let (_, text) = self.pairs.swap_remove(at);
        parse(&text).ok_or_else(|| {
            let backend = self.backend;
            // What is before an @ may be a password.
            let shown = if text.contains('@') {
                String::new()
            } else {
                format!("={text:?}")
            };
            config(format!(
                "{backend}: the setting {name}{shown} is not {expected}"
            ))
        })
    }

    /// Refuses what no backend took: a misspelt setting must not be a silent default.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.pairs.first() {
            None => Ok(()),
            Some((name, _)) => {
                // A password with a ? in it ends up here: what looks like one is not shown.
                let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                let shown = if is_name {
                    format!("the setting {name:?} is")
                } else {
                    "a setting is".to_owned()
                };
                Err(config(format!(
                    "{}: {shown} given twice or not known; the settings are {}",
                    self.backend,
                    self.known.join(", ")
                )))
            }
        }
    }
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, "connect", message)
}

fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_name_and_none_is_left_over() {
        let (place, mut settings) = Settings::split("test", "some/file?wait=250ms&room=7&keep=2d");
        assert_eq!(place, "some/file");
        assert_eq!(
            settings.duration("wait", Duration::ZERO).unwrap(),
            Duration::from_millis(250)
        );
        assert_eq!(settings.number("room", 1_usize).unwrap(), 7);
        assert_eq!(
            settings.duration("keep", Duration::ZERO).unwrap(),
            Duration::from_hours(48)
        );
        assert_eq!(settings.number("absent", 3_u32).unwrap(), 3);
        settings.finish().unwrap();
    }

    #[test]
    fn a_mistake_is_named() {
        let (_, mut settings) = Settings::split("test", "?wait=soon");
        let error = settings
            .duration("wait", Duration::ZERO)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("wait=\"soon\"") && error.contains("30s"),
            "{error}"
        );

        for text in [
            "",
            "5",
            "5x",
            "s",
            "-1s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(duration(text), None, "{text:?}");
        }

        let (_, mut settings) = Settings::split("test", "?wiat=1s");
        settings.duration("wait", Duration::ZERO).unwrap();
        let error = settings.finish().unwrap_err().to_string();
        assert!(error.contains("wiat") && error.contains("wait"), "{error}");
    }
}
