//! Amounts of money: whole minor units, never floating point.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::avro::AvroSchema;
use crate::commerce::{Currency, Quantity};

/// An amount in the minor unit of its currency: 1234 BRL is 12.34 reais, 1234 JPY is 1234 yen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, AvroSchema,
)]
pub struct Money {
    /// The amount in minor units.
    pub amount_minor: i64,
    /// The currency, which says how many digits the minor unit has.
    pub currency: Currency,
}

/// Why amounts cannot be calculated with, or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// Amounts of different currencies have no sum.
    #[error("amounts in {left} and {right} cannot be put together")]
    CurrencyMismatch {
        /// The currency of the first.
        left: Currency,
        /// The currency of the second.
        right: Currency,
    },
    /// The result does not fit into 64 bits.
    #[error("the amount is too large")]
    Overflow,
    /// Not a decimal number, or one with more digits than the currency has.
    #[error("not an amount in {currency}: a decimal number with at most {} digits after the point", currency.exponent())]
    NotAnAmount {
        /// The currency that was asked for.
        currency: Currency,
    },
    /// Nothing can be divided among nobody.
    #[error("there is no weight to divide the amount by: give one at least that is not zero")]
    NoWeight,
    /// Nothing can be divided by zero.
    #[error("the denominator of the ratio is zero")]
    ZeroDenominator,
}

impl Money {
    /// An amount in minor units.
    pub const fn new(amount_minor: i64, currency: Currency) -> Self {
        Self {
            amount_minor,
            currency,
        }
    }

    /// Nothing.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Reads a decimal number such as `58.9` exactly: nothing is rounded, so `0.001` is not an amount of BRL.
    pub fn from_decimal(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let not_an_amount = MoneyError::NotAnAmount { currency };
        let (negative, digits) = text
            .strip_prefix('-')
            .map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) {
            return Err(not_an_amount);
        }
        let exponent = usize::from(currency.exponent());
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > exponent {
            return Err(not_an_amount);
        }
        // The sign goes in first: the smallest amount has no positive counterpart.
        let minor = format!(
            "{}{whole}{fraction:0<exponent$}",
            if negative { "-" } else { "" }
        );
        minor
            .parse()
            .map(|amount_minor| Self {
                amount_minor,
                currency,
            })
            .map_err(|_| MoneyError::Overflow)
    }

    /// Whether it is more than nothing.
    pub const fn is_positive(&self) -> bool {
        self.amount_minor > 0
    }

    /// Whether it is less than nothing.
    pub const fn is_negative(&self) -> bool {
        self.amount_minor < 0
    }

    /// The sum, of the same currency.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_add)
    }

    /// The difference, of the same currency.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_sub)
    }

    /// The amount times a whole number.
    pub fn checked_mul(self, factor: impl Into<i64>) -> Result<Self, MoneyError> {
        let amount_minor = self
            .amount_minor
            .checked_mul(factor.into())
            .ok_or(MoneyError::Overflow)?;
        Ok(Self {
            amount_minor,
            ..self
        })
    }

    /// The sum of amounts of one currency; of none of them it is zero.
    pub fn sum(
        currency: Currency,
        amounts: impl IntoIterator<Item = Self>,
    ) -> Result<Self, MoneyError> {
        amounts
            .into_iter()
            .try_fold(Self::zero(currency), Self::checked_add)
    }

    fn combine(
        self,
        other: Self,
        operation: fn(i64, i64) -> Option<i64>,
    ) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch {
                left: self.currency,
                right: other.currency,
            });
        }
        let amount_minor =
            operation(self.amount_minor, other.amount_minor).ok_or(MoneyError::Overflow)?;
        Ok(Self {
            amount_minor,
            ..self
        })
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> Self {
        Self::from(quantity.get())
    }
}

/// `BRL 12.34`: the code, then the amount with all digits of its minor unit.
impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        let unit = 10_u64.pow(u32::from(self.currency.exponent()));
        let (whole, fraction) = (
            self.amount_minor.unsigned_abs() / unit,
            self.amount_minor.unsigned_abs() % unit,
        );
        write!(formatter, "{} {sign}{whole}", self.currency)?;
        match usize::from(self.currency.exponent()) {
            0 => Ok(()),
            digits => write!(formatter, ".{fraction:0digits$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Money, MoneyError};
    use crate::commerce::Currency;
    use proptest::prelude::*;

    fn brl(amount_minor: i64) -> Money {
        Money::new(amount_minor, Currency::BRL)
    }

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn shows_all_digits_of_the_minor_unit() {
        assert_eq!(brl(1234).to_string(), "BRL 12.34");
        assert_eq!(brl(-5).to_string(), "BRL -0.05");
        assert_eq!(Money::new(1234, Currency::JPY).to_string(), "JPY 1234");
        assert_eq!(Money::new(1, currency("KWD")).to_string(), "KWD 0.001");
        assert_eq!(Money::new(12345, currency("CLF")).to_string(), "CLF 1.2345");
        assert_eq!(brl(i64::MIN).to_string(), "BRL -92233720368547758.08");
    }

    #[test]
    fn reads_decimals_exactly() {
        for (text, minor) in [
            ("58.90", 5890),
            ("58.9", 5890),
            ("58", 5800),
            ("0.01", 1),
            ("-0.05", -5),
            ("1.1000", 110),
        ] {
            assert_eq!(
                Money::from_decimal(text, Currency::BRL),
                Ok(brl(minor)),
                "{text}"
            );
        }
        for text in [
            "", "-", ".5", "5.", "1,50", "1.001", " 1", "+1", "1e3", "--1", "1.-5", "٣",
        ] {
            assert_eq!(
                Money::from_decimal(text, Currency::BRL),
                Err(MoneyError::NotAnAmount {
                    currency: Currency::BRL
                }),
                "{text}"
            );
        }
        assert_eq!(
            Money::from_decimal("92233720368547758.08", Currency::BRL),
            Err(MoneyError::Overflow)
        );
        assert_eq!(
            Money::from_decimal("-92233720368547758.08", Currency::BRL),
            Ok(brl(i64::MIN))
        );
        assert_eq!(
            Money::from_decimal("12.0", Currency::JPY),
            Ok(Money::new(12, Currency::JPY))
        );
    }

    #[test]
    fn refuses_to_mix_currencies_and_to_overflow() {
        let usd = Money::new(1, Currency::USD);
        let mixed = MoneyError::CurrencyMismatch {
            left: Currency::BRL,
            right: Currency::USD,
        };
        assert_eq!(brl(1).checked_add(usd), Err(mixed));
        assert_eq!(brl(1).checked_sub(usd), Err(mixed));
        assert_eq!(Money::sum(Currency::BRL, [brl(1), usd]), Err(mixed));
        assert_eq!(brl(i64::MAX).checked_add(brl(1)), Err(MoneyError::Overflow));
        assert_eq!(brl(i64::MIN).checked_sub(brl(1)), Err(MoneyError::Overflow));
        assert_eq!(brl(i64::MIN).checked_mul(-1), Err(MoneyError::Overflow));
        assert_eq!(Money::sum(Currency::BRL, []), Ok(brl(0)));
        assert_eq!(brl(250).checked_mul(3_u32), Ok(brl(750)));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(amount: i64, code in prop::sample::select(vec!["BRL", "JPY", "KWD", "CLF"])) {
            let money = Money::new(amount, currency(code));
            let shown = money.to_string();
            prop_assert_eq!(Money::from_decimal(&shown[4..], money.currency), Ok(money));
        }

        #[test]
        fn a_difference_undoes_a_sum(a in -1_000_000_000_000_i64..1_000_000_000_000, b in -1_000_000_000_000_i64..1_000_000_000_000) {
            prop_assert_eq!(brl(a).checked_add(brl(b)).and_then(|sum| sum.checked_sub(brl(b))), Ok(brl(a)));
        }

        #[test]
        fn reading_never_panics(text: String) {
            let _ = Money::from_decimal(&text, Currency::BRL);
        }
    }
}
