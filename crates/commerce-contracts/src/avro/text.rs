//! Between the text that a value has in JSON and the number or bytes that its logical type has in Avro.

use chrono::{
    DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Timelike as _, Utc,
};

use super::logical::Unit;

/// Days since 1970-01-01 of `2026-11-21`.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    let date: NaiveDate = text.parse().ok()?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}

pub(crate) fn date(days: i64) -> Option<String> {
    let start = NaiveDate::default();
    let distance = Days::new(days.unsigned_abs());
    let date = if days < 0 {
        start.checked_sub_days(distance)
    } else {
        start.checked_add_days(distance)
    };
    date.map(|date| format!("{date:?}"))
}

/// Since midnight, of `10:30:00.5`. A leap second has no number of its own.
pub(crate) fn parse_time(text: &str, unit: Unit) -> Option<i64> {
    let time: NaiveTime = text.parse().ok()?;
    let nanos = i64::from(time.nanosecond());
    if nanos >= 1_000_000_000 {
        return None;
    }
    scaled(i64::from(time.num_seconds_from_midnight()), nanos, unit)
}

pub(crate) fn time(value: i64, unit: Unit) -> Option<String> {
    let (seconds, nanos) = split(value, unit)?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(u32::try_from(seconds).ok()?, nanos)?;
    Some(format!("{time:?}"))
}

/// Since 1970-01-01 in UTC, of RFC 3339. Finer digits than the unit has are cut off.
pub(crate) fn parse_timestamp(text: &str, unit: Unit) -> Option<i64> {
    let instant: DateTime<Utc> = text.parse().ok()?;
    let nanos = i64::from(instant.timestamp_subsec_nanos());
    (nanos < 1_000_000_000)
        .then(|| scaled(instant.timestamp(), nanos, unit))
        .flatten()
}

pub(crate) fn timestamp(value: i64, unit: Unit) -> Option<String> {
    let (seconds, nanos) = split(value, unit)?;
    Some(DateTime::from_timestamp(seconds, nanos)?.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// As [`parse_timestamp`], without a time zone.
pub(crate) fn parse_local(text: &str, unit: Unit) -> Option<i64> {
    let local: NaiveDateTime = text.parse().ok()?;
    let instant = local.and_utc();
    let nanos = i64::from(instant.timestamp_subsec_nanos());
    (nanos < 1_000_000_000)
        .then(|| scaled(instant.timestamp(), nanos, unit))
        .flatten()
}

pub(crate) fn local(value: i64, unit: Unit) -> Option<String> {
    let (seconds, nanos) = split(value, unit)?;
    let local = DateTime::from_timestamp(seconds, nanos)?.naive_utc();
    Some(format!("{local:?}"))
}

fn scaled(seconds: i64, nanos: i64, unit: Unit) -> Option<i64> {
    let parts = unit.per_second();
    let fraction = nanos / (1_000_000_000 / parts);
    // In 128 bits: the seconds alone may be just beyond the range that the fraction brings them back into.
    i64::try_from(i128::from(seconds) * i128::from(parts) + i128::from(fraction)).ok()
}

fn split(value: i64, unit: Unit) -> Option<(i64, u32)> {
    let parts = unit.per_second();
    let nanos = value.rem_euclid(parts) * (1_000_000_000 / parts);
    Some((value.div_euclid(parts), u32::try_from(nanos).ok()?))
}

/// The unscaled number of a decimal such as `-12.5`, when it has no more digits than `precision` and `scale` allow.
pub(crate) fn parse_decimal(text: &str, precision: u32, scale: u32) -> Option<i128> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || (digits.contains('.') && fraction.is_empty()) {
        return None;
    }
    let scale = usize::try_from(scale).ok()?;
    let significant = fraction.trim_end_matches('0');
    if significant.len() > scale {
        return None;
    }
    let padding = std::iter::repeat_n(b'0', scale - significant.len());
    let mut number = 0_i128;
    for digit in whole.bytes().chain(significant.bytes()).chain(padding) {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    let number = if negative { -number } else { number };
    within(number, precision).then_some(number)
}

/// Whether a number has at most so many digits.
pub(crate) fn within(number: i128, precision: u32) -> bool {
    10_u128
        .checked_pow(precision)
        .is_none_or(|bound| number.unsigned_abs() < bound)
}

pub(crate) fn decimal(number: i128, scale: u32) -> String {
    let digits = number.unsigned_abs().to_string();
    let scale = usize::try_from(scale).unwrap_or(usize::MAX);
    let sign = if number < 0 { "-" } else { "" };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        return format!("{sign}{whole}.{fraction}");
    }
    format!("{sign}0.{digits:0>scale$}")
}

/// Two's complement, big-endian, as short as it gets.
pub(crate) fn shortest(number: i128) -> ([u8; 16], usize) {
    let bytes = number.to_be_bytes();
    let sign = if number < 0 { 0xff } else { 0 };
    let mut start = 0;
    while start < 15 && bytes[start] == sign && (bytes[start + 1] ^ sign) < 0x80 {
        start += 1;
    }
    (bytes, start)
}

/// The number of two's complement bytes; none when it has more than 128 bits.
pub(crate) fn from_twos_complement(bytes: &[u8]) -> Option<i128> {
    let sign = bytes
        .first()
        .map_or(0, |first| if *first >= 0x80 { 0xff } else { 0 });
    let skip = bytes.len().saturating_sub(16);
    let (filling, kept) = bytes.split_at(skip);
    let mut full = [sign; 16];
    full[16 - kept.len()..].copy_from_slice(kept);
    let number = i128::from_be_bytes(full);
    let same_sign = (number < 0) == (sign == 0xff);
    (same_sign && filling.iter().all(|byte| *byte == sign)).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, number) in [
            ("12.5", 1250),
            ("-0.01", -1),
            ("0", 0),
            ("7.000", 700),
            ("+1.2", 120),
        ] {
            assert_eq!(parse_decimal(text, 6, 2), Some(number), "{text}");
        }
        for bad in [
            "", ".", "1.", ".5", "1.005", "12345.6", "1e3", "-", "1_0", "٣",
        ] {
            assert_eq!(parse_decimal(bad, 6, 2), None, "{bad}");
        }
        assert_eq!(decimal(-1, 2), "-0.01");
        assert_eq!(decimal(1250, 2), "12.50");
        assert_eq!(decimal(-7, 0), "-7");
    }

    #[test]
    fn times_are_those_of_the_specification() {
        assert_eq!(
            parse_timestamp("1970-01-01T00:00:00Z", Unit::Millis),
            Some(0)
        );
        assert_eq!(
            parse_timestamp("1969-12-31T23:59:59.9999999Z", Unit::Micros),
            Some(-1)
        );
        assert_eq!(
            timestamp(-1, Unit::Micros).as_deref(),
            Some("1969-12-31T23:59:59.999999Z")
        );
        assert_eq!(
            parse_timestamp("2026-11-21T10:00:00-03:00", Unit::Millis),
            Some(1_795_266_000_000)
        );
        assert_eq!(parse_date("1969-12-31"), Some(-1));
        assert_eq!(date(-1).as_deref(), Some("1969-12-31"));
        assert_eq!(parse_time("00:00:01.5", Unit::Millis), Some(1500));
        assert_eq!(parse_time("23:59:60", Unit::Millis), None);
        assert_eq!(time(86_400_000, Unit::Millis), None);
        assert_eq!(time(-1, Unit::Millis), None);
        assert_eq!(date(i64::MAX), None);
        assert_eq!(timestamp(i64::MAX, Unit::Millis), None);
    }

    proptest! {
        #[test]
        fn numbers_survive_their_text(value: i64, days in -90_000_000_i64..90_000_000, of_day in 0_i64..86_400_000_000) {
            for unit in [Unit::Millis, Unit::Micros, Unit::Nanos] {
                if let Some(text) = timestamp(value, unit) {
                    prop_assert_eq!(parse_timestamp(&text, unit), Some(value));
                }
                if let Some(text) = local(value, unit) {
                    prop_assert_eq!(parse_local(&text, unit), Some(value));
                }
            }
            prop_assert_eq!(parse_date(&date(days).unwrap()), Some(days));
            prop_assert_eq!(parse_time(&time(of_day, Unit::Micros).unwrap(), Unit::Micros), Some(of_day));
        }

        #[test]
        fn decimals_survive_their_text_and_bytes(number: i128, scale in 0_u32..38) {
            prop_assert_eq!(parse_decimal(&decimal(number, scale), 100, scale), Some(number));
            let (bytes, start) = shortest(number);
            prop_assert_eq!(from_twos_complement(&bytes[start..]), Some(number));
            if start < 15 {
                prop_assert_ne!(from_twos_complement(&bytes[start + 1..]), Some(number));
            }
            let longer: Vec<u8> = [if number < 0 { 0xff } else { 0 }; 3].into_iter().chain(bytes).collect();
            prop_assert_eq!(from_twos_complement(&longer), Some(number));
        }
    }
}
