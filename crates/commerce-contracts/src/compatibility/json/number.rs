//! Numbers as JSON writes them: exact decimals, compared without rounding.

use std::cmp::Ordering;

use serde_json::Number;

/// `digits × 10^exponent`, without trailing zeros in `digits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    pub(super) fn of(number: &Number) -> Option<Self> {
        if let Some(value) = number.as_i64() {
            return Some(Self::new(i128::from(value), 0));
        }
        if let Some(value) = number.as_u64() {
            return Some(Self::new(i128::from(value), 0));
        }
        Self::parse(&format!("{:e}", number.as_f64()?))
    }

    pub(super) fn integer(value: i128) -> Self {
        Self::new(value, 0)
    }

    /// The shortest text that names a double, which is what travels: `-1.5e-7`.
    fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once('e')?;
        let exponent: i32 = exponent.parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        Some(Self::new(
            digits,
            exponent - i32::try_from(fraction.len()).ok()?,
        ))
    }

    fn new(mut digits: i128, mut exponent: i32) -> Self {
        if digits == 0 {
            return Self {
                digits: 0,
                exponent: 0,
            };
        }
        while digits % 10 == 0 {
            digits /= 10;
            exponent += 1;
        }
        Self { digits, exponent }
    }

    pub(super) fn is_integer(self) -> bool {
        self.exponent >= 0
    }

    pub(super) fn is_positive(self) -> bool {
        self.digits > 0
    }

    /// The digits when both are written with one exponent, and that exponent. None when that does not fit.
    fn aligned(self, other: Self) -> Option<(i128, i128, i32)> {
        let exponent = self.exponent.min(other.exponent);
        let scale = |decimal: Self| {
            10_i128
                .checked_pow(u32::try_from(decimal.exponent - exponent).ok()?)?
                .checked_mul(decimal.digits)
        };
        Some((scale(self)?, scale(other)?, exponent))
    }

    /// Whether `self` is `other` times an integer. None when that cannot be said.
    pub(super) fn is_multiple_of(self, other: Self) -> Option<bool> {
        if self.digits == 0 {
            return Some(true);
        }
        let (dividend, divisor, _) = self.aligned(other)?;
        (divisor != 0).then(|| dividend % divisor == 0)
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let (left, right, exponent) = self.aligned(other)?;
        Some(Self::new(left.checked_add(right)?, exponent))
    }

    pub(super) fn half(self) -> Option<Self> {
        Some(Self::new(self.digits.checked_mul(5)?, self.exponent - 1))
    }

    /// The largest integer not above.
    pub(super) fn floor(self) -> Option<i128> {
        if self.exponent >= 0 {
            return 10_i128
                .checked_pow(self.exponent.unsigned_abs())?
                .checked_mul(self.digits);
        }
        match 10_i128.checked_pow(self.exponent.unsigned_abs()) {
            Some(divisor) => Some(self.digits.div_euclid(divisor)),
            None => Some(if self.digits < 0 { -1 } else { 0 }),
        }
    }

    /// As JSON, when a double or a 64-bit integer holds it exactly as written.
    pub(super) fn to_number(self) -> Option<Number> {
        let number = match self.floor() {
            Some(integer) if self.is_integer() => {
                match (i64::try_from(integer), u64::try_from(integer)) {
                    (Ok(integer), _) => Number::from(integer),
                    (_, Ok(integer)) => Number::from(integer),
                    _ => return None,
                }
            }
            _ => Number::from_f64(format!("{}e{}", self.digits, self.exponent).parse().ok()?)?,
        };
        (Self::of(&number)? == self).then_some(number)
    }

    /// How many digits stand before the decimal point.
    fn magnitude(self) -> i64 {
        i64::from(self.digits.unsigned_abs().checked_ilog10().unwrap_or(0))
            + i64::from(self.exponent)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_sign = self.digits.signum().cmp(&other.digits.signum());
        if by_sign != Ordering::Equal || self.digits == 0 {
            return by_sign;
        }
        let by_size = match self.magnitude().cmp(&other.magnitude()) {
            Ordering::Equal => {
                // The same magnitude: aligning costs at most the digits of the longer one, and these are at most 39 together.
                let (left, right) = match self.aligned(*other) {
                    Some((left, right, _)) => (left.unsigned_abs(), right.unsigned_abs()),
                    None => (self.digits.unsigned_abs(), other.digits.unsigned_abs()),
                };
                left.cmp(&right)
            }
            different => different,
        };
        if self.digits < 0 {
            by_size.reverse()
        } else {
            by_size
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::of(&serde_json::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal("0.3").is_multiple_of(decimal("0.1")), Some(true));
        assert_eq!(decimal("0.35").is_multiple_of(decimal("0.1")), Some(false));
        assert_eq!(decimal("1.0"), decimal("1"));
        assert_eq!(decimal("-0.5").floor(), Some(-1));
        assert_eq!(decimal("1e300").is_multiple_of(decimal("0.1")), None);
        assert!(decimal("18446744073709551615") > decimal("9223372036854775807"));
        assert!(decimal("-1e300") < decimal("1e-300"));
        assert!(decimal("1e-300").is_positive() && !decimal("1e-300").is_integer());
        assert_eq!(decimal("2.5").to_number(), serde_json::from_str("2.5").ok());
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_doubles(left in any::<f64>(), right in any::<f64>()) {
            let (Some(a), Some(b)) = (Number::from_f64(left), Number::from_f64(right)) else { return Ok(()) };
            prop_assert_eq!(Decimal::of(&a).unwrap().cmp(&Decimal::of(&b).unwrap()), left.partial_cmp(&right).unwrap());
        }

        #[test]
        fn what_is_written_is_read(value in any::<f64>()) {
            let Some(number) = Number::from_f64(value) else { return Ok(()) };
            if let Some(back) = Decimal::of(&number).unwrap().to_number() {
                prop_assert_eq!(back.as_f64(), number.as_f64());
            }
        }
    }
}
