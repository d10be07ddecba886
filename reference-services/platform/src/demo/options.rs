//! The demo's command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Runs real orders through the whole platform and checks what must hold.
#[derive(Args, Clone, Debug)]
pub struct DemoOptions {
    /// Folder for databases, bus and mailbox; a temporary one by default.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// How many orders of the built-in sample; 300 by default.
    #[arg(long, value_name = "N", conflicts_with = "olist")]
    pub orders: Option<usize>,

    /// Orders from a folder in the CSV layout of the Olist dataset, instead of the sample.
    #[arg(long, value_name = "DIR")]
    pub olist: Option<PathBuf>,

    /// Duplicates, reordering, a provider outage, a crashed consumer, rejected payments; on by default.
    #[arg(long, value_name = "on|off", default_missing_value = "on", num_args = 0..=1, value_parser = on_or_off)]
    pub faults: Option<bool>,

    /// `sqlite:FILE`, `memory:`, `kafka://HOST:PORT`, `amqp://USER:PASSWORD@HOST:PORT/VHOST`, `sqs://REGION`; a file in the data folder by default.
    #[arg(long, value_name = "URL")]
    pub bus: Option<String>,

    /// `sqlite:DIR` or `postgres://USER@HOST:PORT/DATABASE`; files in the data folder by default.
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,

    /// Kills this process (SIGKILL) after so long, such as `3s` or `800ms`; finish with `--data DIR --resume`.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub kill_after: Option<Duration>,

    /// Continues the demo that was killed in `--data DIR`, with what it began with.
    #[arg(long, requires = "data")]
    pub resume: bool,

    /// Keeps what a sound run would remove: the temporary folder, the schemas in PostgreSQL. With `--data` all is kept.
    #[arg(long)]
    pub keep: bool,

    /// Prints the report as one JSON object on standard output.
    #[arg(long)]
    pub json: bool,

    /// Gives up when the orders are not settled after so long.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "300s")]
    pub deadline: Duration,
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("either on or off".into()),
    }
}

/// Reads `3s`, `800ms`, `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text
        .find(|letter: char| !letter.is_ascii_digit())
        .ok_or("the unit is missing: 3s, 800ms or 2m")?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number
        .parse()
        .map_err(|_| "a whole number and a unit: 3s, 800ms or 2m".to_owned())?;
    let time = match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    };
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "a whole number and a unit: 3s, 800ms or 2m".into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn times_carry_a_unit() {
        assert_eq!(duration("3s"), Ok(Duration::from_secs(3)));
        assert_eq!(duration("800ms"), Ok(Duration::from_millis(800)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for text in ["3", "s", "-1s", "1h", "0s", "", "99999999999999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
