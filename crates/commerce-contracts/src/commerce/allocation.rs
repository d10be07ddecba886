//! An amount divided so that nothing is lost and nothing is made.

use std::cmp::Reverse;

use crate::commerce::money::{Money, MoneyError};

impl Money {
    /// Parts in proportion to the weights, in their order, which together are the amount to the last minor unit: what is left
    /// over by rounding down goes, one unit each, to the parts that lost most by it, of equal ones to the earlier.
    ///
    /// [`MoneyError::NoWeight`] where the weights are none, or all zero.
    ///
    /// ```
    /// use commerce_contracts::commerce::{Currency, Money};
    ///
    /// let freight = Money::new(100, Currency::BRL);
    /// let parts = [34, 33, 33].map(|minor| Money::new(minor, Currency::BRL));
    /// assert_eq!(freight.allocate(&[1, 1, 1])?, parts);
    /// # Ok::<(), commerce_contracts::commerce::MoneyError>(())
    /// ```
    pub fn allocate(self, weights: &[u64]) -> Result<Vec<Self>, MoneyError> {
        let all: u128 = weights.iter().copied().map(u128::from).sum();
        if all == 0 {
            return Err(MoneyError::NoWeight);
        }
        // 2^63 times 2^64 fits.
        let amount = u128::from(self.amount_minor.unsigned_abs());
        let products = weights.iter().map(|weight| amount * u128::from(*weight));
        let (mut shares, lost): (Vec<u128>, Vec<u128>) = products
            .map(|product| (product / all, product % all))
            .unzip();
        let left = amount - shares.iter().sum::<u128>();
        let mut order: Vec<usize> = (0..shares.len()).collect();
        order.sort_by_key(|index| Reverse(lost[*index]));
        // There are more parts that lost something than units left: each part lost less than one.
        let left = usize::try_from(left).map_err(|_| MoneyError::Overflow)?;
        for index in order.into_iter().take(left) {
            shares[index] += 1;
        }
        let part = |share: u128| {
            let share = i128::try_from(share).map_err(|_| MoneyError::Overflow)?;
            let signed = if self.is_negative() { -share } else { share };
            let amount_minor = i64::try_from(signed).map_err(|_| MoneyError::Overflow)?;
            Ok(Self::new(amount_minor, self.currency))
        };
        shares.into_iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::commerce::{Currency, Money, MoneyError};

    fn allocated(amount: i64, weights: &[u64]) -> Vec<i64> {
        let parts = Money::new(amount, Currency::BRL).allocate(weights).unwrap();
        parts.iter().map(|part| part.amount_minor).collect()
    }

    #[test]
    fn what_is_left_goes_to_who_lost_most() {
        assert_eq!(allocated(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(allocated(-100, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(allocated(5, &[3, 7]), [2, 3]);
        assert_eq!(allocated(1, &[0, 1, 1]), [0, 1, 0]);
        assert_eq!(allocated(0, &[2, 5]), [0, 0]);
        assert_eq!(allocated(10, &[1, 2, 4]), [1, 3, 6]);
        assert_eq!(allocated(i64::MIN, &[1]), [i64::MIN]);
        assert_eq!(allocated(i64::MAX, &[u64::MAX, 0]), [i64::MAX, 0]);
    }

    #[test]
    fn nobody_to_give_to_is_an_error() {
        let money = Money::new(1, Currency::BRL);
        assert_eq!(money.allocate(&[]), Err(MoneyError::NoWeight));
        assert_eq!(money.allocate(&[0, 0]), Err(MoneyError::NoWeight));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nobody_is_wronged(amount: i64, weights in vec(any::<u64>(), 1..9)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let parts = allocated(amount, &weights);
            let together: i128 = parts.iter().copied().map(i128::from).sum();
            prop_assert_eq!(together, i128::from(amount));
            let all: u128 = weights.iter().copied().map(u128::from).sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = u128::from(amount.unsigned_abs()) * u128::from(*weight);
                let share = u128::from(part.unsigned_abs());
                prop_assert!(share == exact / all || share == exact.div_ceil(all), "{part} of {amount}");
            }
        }
    }
}
