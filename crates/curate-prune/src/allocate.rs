//! Quotas under bounds: exact water-filling.

/// How many rows each cluster keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Quotas {
    /// The exact optimum, before rounding.
    pub exact: Vec<f64>,
    /// Whole numbers that sum exactly to the wanted number.
    pub counts: Vec<usize>,
}

/// No quotas satisfy the bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocationError {
    /// The minima sum to more than is wanted.
    #[error(
        "cannot keep {wanted} rows: the clusters' minima sum to {least}; keep at least {least} or lower the balance"
    )]
    TooFew {
        /// Rows to keep.
        wanted: usize,
        /// The sum of the lower bounds.
        least: usize,
    },
    /// More is wanted than there is.
    #[error("cannot keep {wanted} rows: there are only {most}; keep at most {most}")]
    TooMany {
        /// Rows to keep.
        wanted: usize,
        /// The sum of the upper bounds.
        most: usize,
    },
    /// Shares, minima and sizes differ in number, a minimum exceeds a size, or a share is
    /// not a number.
    #[error(
        "cluster {cluster}: its share must be a finite number and its minimum at most its size"
    )]
    Invalid {
        /// The first such cluster.
        cluster: usize,
    },
}

/// Splits `wanted` rows over clusters: the whole numbers nearest to `wanted * share` (in least
/// squares) with `least[j] <= x[j] <= most[j]` that sum exactly to `wanted`.
///
/// The quadratic program of arXiv 2401.04578, equation 3, solved exactly: its optimality conditions
/// say `x[j] = clamp(wanted * share[j] + lambda, least[j], most[j])` for one number `lambda`, and the
/// sum of that is piecewise linear and rising in `lambda`. Fractions are rounded by largest
/// remainder, ties to the lower index. `O(k log k)`.
///
/// # Errors
/// When no such quotas exist, naming the number that would work.
pub fn allocate(
    share: &[f64],
    wanted: usize,
    least: &[usize],
    most: &[usize],
) -> Result<Quotas, AllocationError> {
    let k = share.len().max(least.len()).max(most.len());
    let fits = |j: usize| -> Option<bool> {
        Some(share.get(j)?.is_finite() && least.get(j)? <= most.get(j)?)
    };
    if let Some(cluster) = (0..k).find(|&j| fits(j) != Some(true)) {
        return Err(AllocationError::Invalid { cluster });
    }
    let (lowest, highest) = (least.iter().sum(), most.iter().sum());
    if wanted < lowest {
        return Err(AllocationError::TooFew { wanted, least: lowest });
    }
    if wanted > highest {
        return Err(AllocationError::TooMany { wanted, most: highest });
    }
    let goal: Vec<f64> = share.iter().map(|share| share * wanted as f64).collect();
    let lambda = water_level(&goal, wanted, least, most);
    let exact: Vec<f64> = goal
        .iter()
        .zip(least.iter().zip(most))
        .map(|(goal, (&low, &high))| (goal + lambda).clamp(low as f64, high as f64))
        .collect();
    let counts = largest_remainder(&exact, wanted, least, most);
    Ok(Quotas { exact, counts })
}

/// The `lambda` at which the clamped quotas sum to `wanted`.
fn water_level(goal: &[f64], wanted: usize, least: &[usize], most: &[usize]) -> f64 {
    // A quota starts to rise at `least - goal` and stops at `most - goal`; between two such
    // breakpoints the sum is a straight line whose slope is the number of rising quotas.
    let mut breakpoints: Vec<(f64, f64)> = Vec::with_capacity(2 * goal.len());
    for (goal, (&low, &high)) in goal.iter().zip(least.iter().zip(most)) {
        if low < high {
            breakpoints.push((low as f64 - goal, 1.0));
            breakpoints.push((high as f64 - goal, -1.0));
        }
    }
    breakpoints.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut sum = least.iter().sum::<usize>() as f64;
    let (mut at, mut slope) = (breakpoints.first().map_or(0.0, |b| b.0), 0.0);
    for (next, change) in breakpoints {
        let reached = sum + slope * (next - at);
        if reached >= wanted as f64 && slope > 0.0 {
            return at + (wanted as f64 - sum) / slope;
        }
        (sum, at, slope) = (reached, next, slope + change);
    }
    at
}

fn largest_remainder(exact: &[f64], wanted: usize, least: &[usize], most: &[usize]) -> Vec<usize> {
    // A quota within rounding below a whole number counts as that number.
    let floor = |j: usize| ((exact[j] + 1e-9).floor() as usize).clamp(least[j], most[j]);
    let mut counts: Vec<usize> = (0..exact.len()).map(floor).collect();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    let remainder = |j: usize| exact[j] - counts[j] as f64;
    order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)).then(a.cmp(&b)));
    let mut missing = wanted.saturating_sub(counts.iter().sum());
    while missing > 0 {
        let before = missing;
        for &j in &order {
            if missing > 0 && counts[j] < most[j] {
                counts[j] += 1;
                missing -= 1;
            }
        }
        assert!(missing < before, "the bounds leave room for the wanted number");
    }
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_bind_and_the_rest_is_shared() {
        let quotas = allocate(&[0.7, 0.2, 0.1], 10, &[1, 1, 1], &[4, 100, 100]).unwrap();
        assert_eq!(quotas.exact, [4.0, 3.5, 2.5]);
        assert_eq!(quotas.counts, [4, 4, 2], "equal remainders go to the lower index");
    }

    #[test]
    fn impossible_numbers_are_errors_that_name_the_possible_one() {
        let error = |wanted| allocate(&[0.5, 0.5], wanted, &[2, 2], &[5, 5]).unwrap_err();
        assert_eq!(error(3), AllocationError::TooFew { wanted: 3, least: 4 });
        assert_eq!(error(11), AllocationError::TooMany { wanted: 11, most: 10 });
        let nan = allocate(&[f64::NAN], 1, &[0], &[1]);
        assert_eq!(nan, Err(AllocationError::Invalid { cluster: 0 }));
        assert_eq!(
            allocate(&[0.5, 0.5], 1, &[0], &[1, 1]),
            Err(AllocationError::Invalid { cluster: 1 })
        );
    }

    #[test]
    fn extremes_are_met_exactly() {
        let share = [0.9, 0.1, 0.0];
        assert_eq!(allocate(&share, 6, &[0, 2, 0], &[1, 5, 0]).unwrap().counts, [1, 5, 0]);
        assert_eq!(allocate(&share, 2, &[0, 2, 0], &[1, 5, 0]).unwrap().counts, [0, 2, 0]);
        assert!(allocate(&[], 0, &[], &[]).unwrap().counts.is_empty());
    }

    proptest! {
        #[test]
        fn quotas_sum_exactly_within_bounds_and_satisfy_the_optimality_conditions(
            clusters in prop::collection::vec((0.0_f64..1.0, 0_usize..40, 0_usize..400), 1..60),
            level in 0.0_f64..=1.0,
        ) {
            let total: f64 = clusters.iter().map(|c| c.0).sum::<f64>().max(1e-9);
            let share: Vec<f64> = clusters.iter().map(|c| c.0 / total).collect();
            let least: Vec<usize> = clusters.iter().map(|c| c.1).collect();
            let most: Vec<usize> = clusters.iter().map(|c| c.1 + c.2).collect();
            let (low, high) = (least.iter().sum::<usize>(), most.iter().sum::<usize>());
            let wanted = low + ((high - low) as f64 * level) as usize;

            let quotas = allocate(&share, wanted, &least, &most).unwrap();
            prop_assert_eq!(quotas.counts.iter().sum::<usize>(), wanted);
            prop_assert!((quotas.exact.iter().sum::<f64>() - wanted as f64).abs() < 1e-6);
            let mut level = None;
            for j in 0..share.len() {
                prop_assert!((least[j]..=most[j]).contains(&quotas.counts[j]));
                prop_assert!((quotas.exact[j] - quotas.counts[j] as f64).abs() < 1.0 + 1e-6);
                // Quotas strictly between their bounds lie the same lambda above their goals.
                let free = quotas.exact[j] > least[j] as f64 && quotas.exact[j] < most[j] as f64;
                let lambda = quotas.exact[j] - share[j] * wanted as f64;
                if free {
                    prop_assert!((level.unwrap_or(lambda) - lambda).abs() < 1e-6);
                    level = Some(lambda);
                }
            }
        }
    }
}
