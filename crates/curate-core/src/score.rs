//! Scores in the precision they came in: one number, and a number for each of many rows.

/// A number by which rows are compared: single or double precision.
pub trait Score: Copy + PartialOrd + Into<f64> {
    /// An unsigned integer as wide as the score.
    type Key: Copy + Ord + Send;

    /// A key that is larger for a larger score. A NaN is below every number, and zeros of either sign
    /// are equal.
    fn key(self) -> Self::Key;

    /// The score of a key; `None` for that of a NaN.
    fn of_key(key: Self::Key) -> Option<Self>;

    /// The score nearest to a number.
    fn nearest(number: f64) -> Self;

    /// True for a NaN, which stands for a row without a score.
    fn is_missing(self) -> bool;
}

macro_rules! score {
    ($float:ty, $key:ty) => {
        impl Score for $float {
            type Key = $key;

            #[inline]
            fn key(self) -> $key {
                const SIGN: $key = 1 << (<$key>::BITS - 1);
                // Adding zero makes the negative zero positive.
                let bits = (self + 0.0).to_bits();
                match self {
                    score if score.is_nan() => 0,
                    // Floats are ordered as integers of a sign and a magnitude: positive ones go above
                    // all negative ones, of which a larger magnitude is a smaller number.
                    _ if bits & SIGN == 0 => bits | SIGN,
                    _ => !bits,
                }
            }

            fn of_key(key: $key) -> Option<Self> {
                const SIGN: $key = 1 << (<$key>::BITS - 1);
                match key {
                    0 => None,
                    key if key & SIGN != 0 => Some(Self::from_bits(key & !SIGN)),
                    key => Some(Self::from_bits(!key)),
                }
            }

            fn nearest(number: f64) -> Self {
                number as Self
            }

            fn is_missing(self) -> bool {
                self.is_nan()
            }
        }
    };
}

/// The number of half precision that is nearest, of two the even one, as IEEE 754 and numpy round; too
/// large ones are infinite. Every such number is one of single precision.
pub(crate) fn nearest_half(number: f64) -> f32 {
    if !number.is_finite() || number == 0.0 {
        return number as f32;
    }
    // Halves are as far apart as their exponent says, and below the smallest normal one all alike.
    let exponent = (number.abs().to_bits() >> 52) as i32 - 1023;
    let apart = 2.0_f64.powi(exponent.max(-14) - 10);
    let nearest = (number / apart).round_ties_even() * apart;
    if nearest.abs() > 65_504.0 { f32::INFINITY.copysign(number as f32) } else { nearest as f32 }
}

score!(f32, u32);
score!(f64, u64);

/// A number for each row, in the precision it came in, in which it is compared too. NaN stands for a
/// row without one.
///
/// A table of single precision says `0.7` where it holds 0.699999988; a threshold of 0.7 is the same
/// number only once it is rounded as the table was, which is how numpy compares the two. Numbers of
/// double precision, and whole numbers, are compared as they are.
///
/// ```
/// use curate_core::{Cut, SampleId, ScoreColumn, rank::Direction};
///
/// let ids = [1_u64, 2].map(SampleId::from);
/// let cut = |scores: ScoreColumn, at| scores.cut(Cut::Threshold(at), &ids, Direction::HigherIsBetter);
/// assert_eq!(cut(ScoreColumn::Single(vec![0.7, 0.6]), 0.7)?.kept.rows(), [0]);
/// // In single precision these two would be one number.
/// let seconds = ScoreColumn::Double(vec![1_700_000_000.0, 1_700_000_010.0]);
/// assert_eq!(cut(seconds, 1_700_000_010.0)?.kept.rows(), [1]);
/// # Ok::<(), curate_core::CutError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum ScoreColumn {
    /// Half precision, each number as the single that it is.
    Half(Vec<f32>),
    /// Single precision.
    Single(Vec<f32>),
    /// Double precision, and whole numbers.
    Double(Vec<f64>),
}

/// Does the same with the numbers of any precision.
macro_rules! either {
    ($scores:expr, $numbers:ident => $do:expr) => {
        match $scores {
            ScoreColumn::Half($numbers) | ScoreColumn::Single($numbers) => $do,
            ScoreColumn::Double($numbers) => $do,
        }
    };
}

impl ScoreColumn {
    /// No score for any of so many rows.
    pub fn missing(rows: usize) -> Self {
        Self::Single(vec![f32::NAN; rows])
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        either!(self, numbers => numbers.len())
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of a row; single precision is widened without loss.
    ///
    /// # Panics
    /// When there is no such row, as an array does.
    pub fn get(&self, row: usize) -> f64 {
        match self {
            Self::Half(numbers) | Self::Single(numbers) => f64::from(numbers[row]),
            Self::Double(numbers) => numbers[row],
        }
    }

    /// Gives a row another number, rounded to the precision of the others.
    ///
    /// # Panics
    /// When there is no such row, as an array does.
    pub fn set(&mut self, row: usize, number: impl Into<f64>) {
        match self {
            Self::Half(numbers) => numbers[row] = nearest_half(number.into()),
            Self::Single(numbers) => numbers[row] = Score::nearest(number.into()),
            Self::Double(numbers) => numbers[row] = number.into(),
        }
    }

    /// The numbers, widened without loss.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        (0..self.len()).map(|row| self.get(row))
    }

    /// The numbers, widened without loss.
    pub fn to_vec(&self) -> Vec<f64> {
        self.iter().collect()
    }

    /// The numbers of these rows, in the same precision; NaN for `None`.
    #[must_use]
    pub fn gather(&self, rows: impl Iterator<Item = Option<usize>>) -> Self {
        fn of<S: Score>(numbers: &[S], rows: impl Iterator<Item = Option<usize>>) -> Vec<S> {
            rows.map(|row| row.map_or_else(|| S::nearest(f64::NAN), |row| numbers[row])).collect()
        }
        match self {
            Self::Half(numbers) => Self::Half(of(numbers, rows)),
            Self::Single(numbers) => Self::Single(of(numbers, rows)),
            Self::Double(numbers) => Self::Double(of(numbers, rows)),
        }
    }

    /// As many rows of one number, in the same precision.
    #[must_use]
    pub fn filled(&self, number: f64) -> Self {
        match self {
            Self::Half(numbers) => Self::Half(vec![nearest_half(number); numbers.len()]),
            Self::Single(numbers) => Self::Single(vec![Score::nearest(number); numbers.len()]),
            Self::Double(numbers) => Self::Double(vec![number; numbers.len()]),
        }
    }

    /// The numbers of all parts, one after the other, in the least precision that loses nothing. A part in
    /// which no row has a number has no precision.
    #[must_use]
    pub fn concat(parts: &[Self]) -> Self {
        let said: Vec<&Self> =
            parts.iter().filter(|part| !part.iter().all(|n| n.is_nan())).collect();
        let all = parts.iter().flat_map(Self::iter);
        if said.iter().any(|part| matches!(part, Self::Double(_))) {
            return Self::Double(all.collect());
        }
        let all = all.map(|number| number as f32).collect();
        match !said.is_empty() && said.iter().all(|part| matches!(part, Self::Half(_))) {
            true => Self::Half(all),
            false => Self::Single(all),
        }
    }

    /// A number as shortly as a column of this precision can say it: one of single precision reads `0.3`
    /// and not 0.30000001192092896, which it is.
    pub fn text(&self, number: f64) -> String {
        match self {
            Self::Half(_) => shortest_half(number),
            Self::Single(_) => (number as f32).to_string(),
            Self::Double(_) => number.to_string(),
        }
    }

    /// True for single precision.
    pub fn is_single(&self) -> bool {
        matches!(self, Self::Single(_))
    }
}

/// A half by as few digits as tell it from others.
fn shortest_half(number: f64) -> String {
    let half = nearest_half(number);
    let texts = (0..5).map(|digits| format!("{half:.digits$e}"));
    let numbers = texts.filter_map(|text| text.parse::<f64>().ok());
    let shortest = numbers.into_iter().find(|&short| nearest_half(short) == half);
    shortest.unwrap_or(half.into()).to_string()
}

impl Default for ScoreColumn {
    fn default() -> Self {
        Self::missing(0)
    }
}

impl From<Vec<f32>> for ScoreColumn {
    fn from(numbers: Vec<f32>) -> Self {
        Self::Single(numbers)
    }
}

impl From<Vec<f64>> for ScoreColumn {
    fn from(numbers: Vec<f64>) -> Self {
        Self::Double(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_the_order_and_come_back() {
        let scores = [f64::NEG_INFINITY, -2.0, -1e-30, 0.0, 1e-30, 0.25, 1.0, f64::INFINITY];
        assert!(scores.windows(2).all(|pair| pair[0].key() < pair[1].key()));
        assert!(scores.iter().all(|&score| f64::of_key(score.key()) == Some(score)));
        let singles = scores.map(|score| score as f32);
        assert!(singles.windows(2).all(|pair| pair[0].key() < pair[1].key()));
        assert!(singles.iter().all(|&score| f32::of_key(score.key()) == Some(score)));
        assert_eq!((-0.0_f64).key(), 0.0_f64.key());
        assert_eq!((-0.0_f32).key(), 0.0_f32.key());
        assert!(f64::NAN.key() < f64::NEG_INFINITY.key() && f64::of_key(0).is_none());
        assert!((-f32::NAN).key() < f32::NEG_INFINITY.key() && f32::of_key(0).is_none());
    }

    #[test]
    fn numbers_keep_their_precision() {
        let mut single = ScoreColumn::from(vec![0.7_f32, 0.2]);
        single.set(1, 0.7);
        assert_eq!(single.get(1), f64::from(0.7_f32));
        assert_eq!(single.text(single.get(1)), "0.7");
        let mut double = ScoreColumn::from(vec![0.7_f64, 0.2]);
        double.set(1, 1e-9);
        assert_eq!(double.to_vec(), [0.7, 1e-9]);
        assert_eq!(double.text(f64::from(0.7_f32)), "0.699999988079071");
        assert_eq!(double.filled(0.1).to_vec(), [0.1, 0.1]);
        let gathered = double.gather([Some(1), None].into_iter());
        assert!(gathered.get(0) == 1e-9 && gathered.get(1).is_nan() && !gathered.is_single());
    }

    /// The numbers are numpy's: `np.float16(x)`, and what it prints.
    #[test]
    fn halves_round_and_read_as_in_numpy() {
        for (number, half, text) in [
            (0.1, 0.099_975_586, "0.1"),
            (0.3, 0.300_048_83, "0.3"),
            (1.0 / 3.0, 0.333_251_95, "0.3333"),
            (2048.5, 2048.0, "2048"),
            (2049.0, 2048.0, "2048"),
            (2051.0, 2052.0, "2052"),
            (65_519.0, 65_504.0, "65500"),
            (1e-7, 1.192_092_9e-7, "0.0000001"),
            (6.0e-8, 5.960_464_5e-8, "0.00000006"),
            (2.0e-8, 0.0, "0"),
            (-0.1, -0.099_975_586, "-0.1"),
        ] {
            assert_eq!(nearest_half(number), half, "{number}");
            assert_eq!(ScoreColumn::Half(vec![]).text(number), text, "{number}");
        }
        assert_eq!(nearest_half(65_520.0), f32::INFINITY);
        assert_eq!(nearest_half(-1e300), f32::NEG_INFINITY);
        assert!(nearest_half(f64::NAN).is_nan());
        let mut column = ScoreColumn::Half(vec![0.5, 0.25]);
        column.set(1, 0.1);
        assert_eq!(column.get(1), f64::from(0.099_975_586_f32));
        assert_eq!(column.filled(0.3), ScoreColumn::Half(vec![0.300_048_83; 2]));
        let halves = ScoreColumn::concat(&[column.clone(), ScoreColumn::missing(1)]);
        assert!(matches!(halves, ScoreColumn::Half(_)));
        let mixed = ScoreColumn::concat(&[column, ScoreColumn::Single(vec![0.7])]);
        assert!(mixed.is_single());
        assert!(ScoreColumn::concat(&[ScoreColumn::missing(2)]).is_single());
    }

    #[test]
    fn parts_without_numbers_have_no_precision() {
        let (single, double) = (ScoreColumn::from(vec![0.7_f32]), ScoreColumn::from(vec![0.7_f64]));
        let gap = ScoreColumn::from(vec![f64::NAN]);
        let joined = ScoreColumn::concat(&[single.clone(), gap.clone()]);
        assert!(joined.is_single() && joined.get(0) == f64::from(0.7_f32));
        let joined = ScoreColumn::concat(&[gap, double, single]);
        assert!(!joined.is_single());
        assert_eq!(joined.to_vec()[1..], [0.7, f64::from(0.7_f32)]);
        assert!(ScoreColumn::concat(&[]).is_empty());
    }
}
