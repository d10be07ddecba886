//! Percentages and other ratios of an amount, rounded the way that was agreed on.

use crate::commerce::money::{Money, MoneyError};

/// How an amount between two minor units becomes one of them: the modes of `java.math.RoundingMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rounding {
    /// Away from zero.
    Up,
    /// Towards zero.
    Down,
    /// To the larger.
    Ceiling,
    /// To the smaller.
    Floor,
    /// To the nearer; in the middle away from zero.
    HalfUp,
    /// To the nearer; in the middle towards zero.
    HalfDown,
    /// To the nearer; in the middle to the even one, so that sums of many have no bias (ABNT NBR 5891).
    HalfEven,
}

impl Money {
    /// The amount times `numerator` and divided by `denominator`, calculated exactly and rounded once: 8.5 % is
    /// `checked_ratio(85, 1000, …)`.
    ///
    /// [`MoneyError::ZeroDenominator`], or [`MoneyError::Overflow`] where the result does not fit.
    ///
    /// ```
    /// use commerce_contracts::commerce::{Currency, Money, Rounding};
    ///
    /// let total = Money::new(1001, Currency::BRL);
    /// assert_eq!(total.checked_ratio(5, 100, Rounding::HalfEven)?, Money::new(50, Currency::BRL));
    /// assert_eq!(total.checked_ratio(5, 100, Rounding::Up)?, Money::new(51, Currency::BRL));
    /// # Ok::<(), commerce_contracts::commerce::MoneyError>(())
    /// ```
    pub fn checked_ratio(
        self,
        numerator: i64,
        denominator: u64,
        rounding: Rounding,
    ) -> Result<Self, MoneyError> {
        if denominator == 0 {
            return Err(MoneyError::ZeroDenominator);
        }
        // 2^63 times 2^63, and twice a remainder below 2^64, fit.
        let product = i128::from(self.amount_minor) * i128::from(numerator);
        let denominator = i128::from(denominator);
        let (below, rest) = (
            product.div_euclid(denominator),
            product.rem_euclid(denominator),
        );
        let is_negative = product < 0;
        let middle = (rest * 2).cmp(&denominator);
        let nearer_or = |in_the_middle: bool| middle.is_gt() || (middle.is_eq() && in_the_middle);
        let up = rest != 0
            && match rounding {
                Rounding::Ceiling => true,
                Rounding::Floor => false,
                Rounding::Up => !is_negative,
                Rounding::Down => is_negative,
                Rounding::HalfUp => nearer_or(!is_negative),
                Rounding::HalfDown => nearer_or(is_negative),
                Rounding::HalfEven => nearer_or(below % 2 != 0),
            };
        let amount_minor =
            i64::try_from(below + i128::from(up)).map_err(|_| MoneyError::Overflow)?;
        Ok(Self::new(amount_minor, self.currency))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Rounding;
    use crate::commerce::{Currency, Money, MoneyError};

    fn ratio(amount: i64, numerator: i64, denominator: u64, rounding: Rounding) -> i64 {
        Money::new(amount, Currency::BRL)
            .checked_ratio(numerator, denominator, rounding)
            .unwrap()
            .amount_minor
    }

    /// The table in the documentation of `java.math.RoundingMode`.
    #[test]
    fn every_mode_rounds_as_in_java() {
        let tenths = [55, 25, 16, 11, 10, -10, -11, -16, -25, -55];
        for (rounding, expected) in [
            (Rounding::Up, [6, 3, 2, 2, 1, -1, -2, -2, -3, -6]),
            (Rounding::Down, [5, 2, 1, 1, 1, -1, -1, -1, -2, -5]),
            (Rounding::Ceiling, [6, 3, 2, 2, 1, -1, -1, -1, -2, -5]),
            (Rounding::Floor, [5, 2, 1, 1, 1, -1, -2, -2, -3, -6]),
            (Rounding::HalfUp, [6, 3, 2, 1, 1, -1, -1, -2, -3, -6]),
            (Rounding::HalfDown, [5, 2, 2, 1, 1, -1, -1, -2, -2, -5]),
            (Rounding::HalfEven, [6, 2, 2, 1, 1, -1, -1, -2, -2, -6]),
        ] {
            let found = tenths.map(|tenths| ratio(tenths, 1, 10, rounding));
            assert_eq!(found, expected, "{rounding:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let money = Money::new(i64::MAX, Currency::BRL);
        assert_eq!(
            money.checked_ratio(1, 0, Rounding::Down),
            Err(MoneyError::ZeroDenominator)
        );
        assert_eq!(
            money.checked_ratio(2, 1, Rounding::Down),
            Err(MoneyError::Overflow)
        );
    }

    proptest! {
        #[test]
        fn never_off_by_a_whole_unit(amount: i32, numerator: i32, denominator in 1..u64::from(u32::MAX)) {
            let (floor, ceiling) = (
                ratio(amount.into(), numerator.into(), denominator, Rounding::Floor),
                ratio(amount.into(), numerator.into(), denominator, Rounding::Ceiling),
            );
            let product = i128::from(amount) * i128::from(numerator);
            let is_exact = product % i128::from(denominator) == 0;
            prop_assert_eq!(ceiling - floor, i64::from(!is_exact));
            for rounding in [Rounding::Up, Rounding::Down, Rounding::HalfUp, Rounding::HalfDown, Rounding::HalfEven] {
                let rounded = ratio(amount.into(), numerator.into(), denominator, rounding);
                prop_assert!(rounded == floor || rounded == ceiling);
            }
        }
    }
}
