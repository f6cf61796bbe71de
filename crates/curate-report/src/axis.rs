//! Axes: from values to pixels, and ticks at round numbers.
//!
//! Everything here has to bear any f64. A span that is infinite or empty would make ticks without
//! end, so [`Axis::over`] lets no such axis exist: spans are finite and above zero. A step is at
//! least the span over the number of ticks wanted, so there are never more ticks than that and one.

use crate::{Scale, number};

/// A range of values mapped to a range of pixels.
pub(crate) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// The number of steps between ticks that suits most charts.
    pub(crate) const STEPS: f64 = 5.0;

    /// Spans exactly the finite values that the scale can show. `None` if there are none, or if
    /// they lie so far apart that their span is infinite.
    pub(crate) fn over(
        scale: Scale,
        values: impl Iterator<Item = f64>,
        pixels: (f64, f64),
    ) -> Option<Self> {
        let shown = values.filter(|&value| shows(scale, value)).map(|value| forward(scale, value));
        let range = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
        let (mut low, mut high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), range);
        if !(high - low).is_finite() {
            return None;
        }
        if low == high {
            // A share of the value itself where 0.5 would be lost in rounding.
            let half = 0.5_f64.max(high.abs() * 1e-9);
            (low, high) = (low - half, high + half);
        }
        Some(Self { scale, low, high, from: pixels.0, to: pixels.1 })
    }

    /// The same axis, widened by a share of its span at both ends.
    pub(crate) fn padded(self, share: f64) -> Self {
        let pad = (self.high - self.low) * share;
        Self { low: self.low - pad, high: self.high + pad, ..self }
    }

    /// A linear axis, widened at both ends to the next of [`Self::STEPS`] ticks. A logarithmic one
    /// stays: whole decades would leave most of a chart empty.
    pub(crate) fn rounded(self) -> Self {
        let step = step(self.high - self.low, Self::STEPS);
        match self.scale {
            Scale::Linear => {
                let low = (self.low / step).floor() * step;
                Self { low, high: (self.high / step).ceil() * step, ..self }
            }
            Scale::Log => self,
        }
    }

    pub(crate) fn shows(&self, value: f64) -> bool {
        shows(self.scale, value)
    }

    /// True if the value lies between the ends, with a little tolerance for rounding.
    pub(crate) fn contains(&self, value: f64) -> bool {
        let slack = (self.high - self.low) * 1e-9;
        let range = self.low - slack..=self.high + slack;
        self.shows(value) && range.contains(&forward(self.scale, value))
    }

    /// The pixel of a value. For what the scale cannot show, the first one.
    pub(crate) fn at(&self, value: f64) -> f64 {
        if !self.shows(value) {
            return self.from;
        }
        let share = (forward(self.scale, value) - self.low) / (self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round values with their labels, about `most` of them.
    pub(crate) fn ticks(&self, most: f64, percent: bool) -> Vec<(f64, String)> {
        let ticks = match self.scale {
            Scale::Linear => self.linear_ticks(most),
            Scale::Log => self.log_ticks(most),
        };
        let step = match ticks.as_slice() {
            [first, second, ..] if self.scale == Scale::Linear => second - first,
            _ => 0.0,
        };
        ticks.into_iter().map(|tick| (tick, label(tick, step, percent))).collect()
    }

    fn linear_ticks(&self, most: f64) -> Vec<f64> {
        let step = step(self.high - self.low, most);
        // Rounding must not cost a tick that falls on an end.
        let slack = step * 1e-6;
        let first = ((self.low - slack) / step).ceil();
        let last = ((self.high + slack) / step).floor();
        // Multiples of the step rather than a running sum, whose errors would show in the labels.
        (0..=(last - first) as usize).map(|index| (first + index as f64) * step).collect()
    }

    /// Powers of ten; on an axis of two decades or fewer, also twice and five times each.
    fn log_ticks(&self, most: f64) -> Vec<f64> {
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        let skip = ((f64::from(last - first) / most).ceil() as usize).max(1);
        let factors: &[f64] = if last - first <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let powers = (first..=last).step_by(skip).map(|power| 10_f64.powi(power));
        let ticks = powers.flat_map(|power| factors.iter().map(move |factor| power * factor));
        ticks.filter(|&tick| self.contains(tick)).collect()
    }
}

fn shows(scale: Scale, value: f64) -> bool {
    value.is_finite() && (scale == Scale::Linear || value > 0.0)
}

fn forward(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value,
        Scale::Log => value.log10(),
    }
}

/// The smallest step of 1, 2 or 5 times a power of ten that needs at most `most` of them.
fn step(span: f64, most: f64) -> f64 {
    let rough = span / most;
    let power = 10_f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors.into_iter().map(|factor| factor * power).find(|&step| step >= rough).unwrap_or(rough)
}

/// Labels of 10,000 and more are written short, or they would not fit.
const UNITS: [(f64, f64, &str); 4] =
    [(1e12, 1e12, "T"), (1e9, 1e9, "B"), (1e6, 1e6, "M"), (1e4, 1e3, "k")];

/// A tick's label, with just enough decimals to tell it from its neighbors one step away. A step of
/// zero stands for no neighbors: the label then has as many digits as the value needs.
fn label(value: f64, step: f64, percent: bool) -> String {
    let (value, step) = if percent { (value * 100.0, step * 100.0) } else { (value, step) };
    let large = value.abs().max(step * 10.0);
    let unit = UNITS.into_iter().find(|&(from, ..)| (from..1e15).contains(&large));
    let (size, suffix) = unit.map_or((1.0, ""), |(_, size, suffix)| (size, suffix));
    let decimals = (-(step / size).log10()).ceil().max(0.0);
    let text = if value == 0.0 {
        "0".to_owned()
    } else if decimals > 6.0 || large >= 1e15 {
        number::number(value / size) + suffix
    } else {
        number::fixed(value / size, decimals as usize) + suffix
    };
    text + if percent { "%" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, low: f64, high: f64) -> Vec<String> {
        let axis = Axis::over(scale, [low, high].into_iter(), (0.0, 100.0)).unwrap();
        axis.ticks(5.0, false).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(Scale::Linear, 0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(Scale::Linear, -0.1, 0.31), ["−0.1", "0", "0.1", "0.2", "0.3"]);
        assert_eq!(labels(Scale::Linear, 0.0, 41_000.0), ["0", "10k", "20k", "30k", "40k"]);
        assert_eq!(labels(Scale::Linear, 0.0, 1e-8)[1], "2.00e-9");
        assert_eq!(labels(Scale::Linear, 1e6, 1_000_100.0)[..2], ["1.00000M", "1.00002M"]);
        assert_eq!(labels(Scale::Log, 1e3, 1e8), ["1,000", "10k", "100k", "1M", "10M", "100M"]);
        assert_eq!(labels(Scale::Log, 1.0, 20.0), ["1", "2", "5", "10", "20"]);
    }

    #[test]
    fn one_value_makes_an_axis_and_none_does_not() {
        assert_eq!(labels(Scale::Linear, 3.0, 3.0), ["2.6", "2.8", "3.0", "3.2", "3.4"]);
        let none = [f64::NAN, f64::INFINITY].into_iter();
        assert!(Axis::over(Scale::Linear, none, (0.0, 1.0)).is_none());
        assert!(Axis::over(Scale::Log, [0.0, -1.0].into_iter(), (0.0, 1.0)).is_none());
        let ends = [f64::MIN, f64::MAX].into_iter();
        assert!(Axis::over(Scale::Linear, ends, (0.0, 1.0)).is_none());
    }

    #[test]
    fn values_map_to_pixels() {
        let axis = Axis::over(Scale::Log, [1.0, 100.0].into_iter(), (200.0, 0.0)).unwrap();
        assert_eq!([1.0, 10.0, 100.0, 0.0].map(|x| axis.at(x)), [200.0, 100.0, 0.0, 200.0]);
        assert!(axis.contains(100.0) && !axis.contains(101.0) && !axis.contains(f64::NAN));
    }
}
