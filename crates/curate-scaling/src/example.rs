//! A small table to try things on.

use crate::law::{Law, Qqt};
use crate::observation::{Metric, Observation, Observations};

/// A made-up table: three pools of ten million samples, `good`, `fair` and `poor`, trained for 1 to
/// 8 epochs. The errors follow the QQT law (unit samples 4 million, `d` 0.1) with a fixed wiggle of
/// up to 0.2 points; the better the pool, the sooner its repeats stop helping.
///
/// ```
/// let runs = curate_scaling::example_runs();
/// assert_eq!((runs.rows().len(), runs.pools().len()), (15, 3));
/// ```
pub fn example_runs() -> Observations {
    let law = Qqt::default();
    let mut rows = Vec::new();
    for (i, (pool, b, tau)) in
        [("good", -0.30, 3.0), ("fair", -0.24, 5.0), ("poor", -0.18, 8.0)].into_iter().enumerate()
    {
        for (j, epochs) in [1.0, 2.0, 4.0, 6.0, 8.0].into_iter().enumerate() {
            let row = Observation::new(pool, 1.0).samples(epochs * 1e7).unique(1e7);
            let wiggle = 0.001 * (((i * 5 + j) * 7 % 5) as f64 - 2.0);
            let value = law.eval(&row.point(), &[4e6, b, 0.1, tau], None) + wiggle;
            rows.push(Observation { value, ..row });
        }
    }
    Observations::new(Metric::Error, vec![], rows).expect("errors between zero and one")
}
