//! What many samples of one thing come to.

use serde::Serialize;

/// The figures of one thing that was measured several times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How many samples there are.
    pub samples: usize,
    /// The middle one; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The smallest that at least 95 of 100 samples do not exceed.
    pub p95: f64,
}

impl Figures {
    /// The figures of these samples; none if there are none.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let sorted = sorted(samples);
        Some(Self {
            samples: sorted.len(),
            median: middle(&sorted)?,
            min: *sorted.first()?,
            max: *sorted.last()?,
            p95: percentile(&sorted, 95)?,
        })
    }
}

/// The median; none of nothing.
pub fn median(samples: &[f64]) -> Option<f64> {
    middle(&sorted(samples))
}

/// The median of the ratios within each pair. What disturbs a whole round, such as another program on the machine, mostly
/// falls out of it, which the ratio of the medians cannot say of itself.
pub fn paired_ratio(numerators: &[f64], denominators: &[f64]) -> Option<f64> {
    let pairs = numerators.iter().zip(denominators).filter(|(_, denominator)| **denominator > 0.0);
    let ratios: Vec<f64> = pairs.map(|(numerator, denominator)| numerator / denominator).collect();
    median(&ratios)
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        return sorted.get(upper).copied();
    }
    let lower = upper.checked_sub(1)?;
    Some(f64::midpoint(*sorted.get(lower)?, *sorted.get(upper)?))
}

/// By nearest rank: always one of the samples.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Figures, median, paired_ratio};

    #[test]
    fn an_odd_and_an_even_number_of_samples_have_a_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
    }

    #[test]
    fn nothing_has_no_figures() {
        assert_eq!(median(&[]), None);
        assert_eq!(Figures::of(&[]), None);
        assert_eq!(paired_ratio(&[], &[]), None);
    }

    #[test]
    fn the_95th_percentile_of_a_hundred_is_the_95th() {
        let samples: Vec<f64> = (1..=100_u32).rev().map(f64::from).collect();
        assert_eq!(Figures::of(&samples).map(|figures| figures.p95), Some(95.0));
    }

    #[test]
    fn the_95th_percentile_of_a_few_is_the_largest() {
        assert_eq!(Figures::of(&[1.0, 9.0, 2.0]).map(|figures| figures.p95), Some(9.0));
    }

    #[test]
    fn pairs_forgive_a_slow_round_that_both_had() {
        let (ours, theirs) = ([1.0, 10.0, 2.0], [2.0, 20.0, 4.0]);
        assert_eq!(paired_ratio(&ours, &theirs), Some(0.5));
    }

    #[test]
    fn a_pair_without_a_denominator_is_left_out() {
        assert_eq!(paired_ratio(&[1.0, 5.0], &[0.0, 5.0]), Some(1.0));
    }

    proptest! {
        #[test]
        fn figures_are_ordered(samples in prop::collection::vec(0.0_f64..1e6, 1..50)) {
            let figures = Figures::of(&samples).unwrap();
            prop_assert!(figures.min <= figures.median && figures.median <= figures.max);
            prop_assert!(figures.median <= figures.p95 + f64::EPSILON && figures.p95 <= figures.max);
            prop_assert!(samples.contains(&figures.p95));
        }
    }
}
