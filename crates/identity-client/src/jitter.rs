//! Spreads what many processes would otherwise do at the same moment.

use std::time::Duration;

use aws_lc_rs::rand;

/// Somewhere between 90 % and 100 % of the duration.
pub(crate) fn jittered(duration: Duration) -> Duration {
    let mut random = [0];
    // Without randomness there is no spreading, which is not worth failing for.
    let _ = rand::fill(&mut random);
    duration.mul_f64(1.0 - f64::from(random[0]) / f64::from(u8::MAX) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_a_tenth_is_taken_off() {
        let spread: std::collections::HashSet<_> = (0..200)
            .map(|_| {
                let jittered = jittered(Duration::from_secs(100));
                assert!(
                    (Duration::from_secs(90)..=Duration::from_secs(100)).contains(&jittered),
                    "{jittered:?}"
                );
                jittered
            })
            .collect();
        assert!(spread.len() > 10);
    }
}
