//! Decimal text to cents, without floating point.

/// Reads `179.9`, `15.01` or `300` as cents.
///
/// # Errors
/// A text that is not a plain decimal with at most two fraction digits, or does not fit.
pub(super) fn cents(text: &str) -> Result<i64, String> {
    let refused = || format!("`{text}` is not an amount such as 179.90");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !digits(whole)
        || !digits(fraction)
        || fraction.len() > 2
        || text.ends_with('.')
    {
        return Err(refused());
    }
    format!("{whole}{fraction:0<2}")
        .parse()
        .map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::cents;

    #[test]
    fn reads_what_the_dataset_holds() {
        assert_eq!(cents("179.9"), Ok(17_990));
        assert_eq!(cents("15.01"), Ok(1_501));
        assert_eq!(cents("300"), Ok(30_000));
        assert_eq!(cents("0.0"), Ok(0));
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in [
            "",
            ".",
            "-1",
            "1.",
            ".5",
            "1,50",
            "1.005",
            "1e3",
            "NaN",
            "92233720368547758080",
        ] {
            assert!(cents(text).is_err(), "{text}");
        }
    }
}
