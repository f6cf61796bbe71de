//! The numbers of Arrow's arrays, whatever their type.

use std::ops::Range;

use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, cast::AsArray, make_array, types};
use arrow_schema::{ArrowError, DataType};

/// Where the numbers of each row lie; `None` for a gap.
pub(super) type Bounds = Vec<Option<Range<usize>>>;

/// The vectors of an array of lists: all their numbers, and those of each row; `None` for a gap.
/// Lists of lists become one vector, in the order of their numbers.
pub(super) fn vectors(array: &ArrayRef) -> Result<(Vec<f32>, Bounds), ArrowError> {
    let (items, bounds) = lists(array);
    let rows = bounds.into_iter().enumerate();
    if !is_list(items) {
        let mut numbers = Vec::new();
        f32::append(items, &mut numbers)?;
        return Ok((numbers, rows.map(|(row, r)| array.is_valid(row).then_some(r)).collect()));
    }
    let (numbers, inner) = vectors(items)?;
    // A gap in a list of lists leaves no vector of the row.
    let joined = |rows: Range<usize>| match &inner[rows] {
        [] => Some(0..0),
        parts if parts.iter().any(Option::is_none) => None,
        [only] => only.clone(),
        [first, .., last] => Some(first.as_ref()?.start..last.as_ref()?.end),
    };
    let rows = rows.map(|(row, r)| if array.is_valid(row) { joined(r) } else { None });
    Ok((numbers, rows.collect()))
}

fn is_list(array: &ArrayRef) -> bool {
    use DataType::{FixedSizeList, LargeList, List};
    matches!(array.data_type(), FixedSizeList(..) | LargeList(_) | List(_))
}

/// What lists hold, one after the other, and which of it belongs to each.
fn lists(array: &ArrayRef) -> (&ArrayRef, Vec<Range<usize>>) {
    let from = |n: i64| n.unsigned_abs() as usize;
    match array.data_type() {
        DataType::FixedSizeList(..) => {
            let list = array.as_fixed_size_list();
            let width = from(list.value_length().into());
            (list.values(), (0..list.len()).map(|row| row * width..(row + 1) * width).collect())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let bounds = list.value_offsets().windows(2).map(|w| from(w[0])..from(w[1]));
            (list.values(), bounds.collect())
        }
        _ => {
            let list = array.as_list::<i32>();
            let bounds = list.value_offsets().windows(2);
            (list.values(), bounds.map(|w| from(w[0].into())..from(w[1].into())).collect())
        }
    }
}

/// Single or double precision, to which every numeric type is converted.
pub(super) trait Real: Copy {
    const GAP: Self;

    /// Appends an array's numbers, a gap as NaN; an error for what holds none.
    fn append(array: &ArrayRef, out: &mut Vec<Self>) -> Result<(), ArrowError>;
}

macro_rules! real {
    ($real:ty) => {
        impl Real for $real {
            const GAP: Self = <$real>::NAN;

            fn append(array: &ArrayRef, out: &mut Vec<Self>) -> Result<(), ArrowError> {
                use DataType::*;
                match array.data_type() {
                    Float32 => append_as::<types::Float32Type, _>(array, out, |v| v as $real),
                    Float64 => append_as::<types::Float64Type, _>(array, out, |v| v as $real),
                    Float16 => append_as::<types::Float16Type, _>(array, out, <$real>::from),
                    Int8 => append_as::<types::Int8Type, _>(array, out, |v| v as $real),
                    Int16 => append_as::<types::Int16Type, _>(array, out, |v| v as $real),
                    Int32 => append_as::<types::Int32Type, _>(array, out, |v| v as $real),
                    Int64 => append_as::<types::Int64Type, _>(array, out, |v| v as $real),
                    UInt8 => append_as::<types::UInt8Type, _>(array, out, |v| v as $real),
                    UInt16 => append_as::<types::UInt16Type, _>(array, out, |v| v as $real),
                    UInt32 => append_as::<types::UInt32Type, _>(array, out, |v| v as $real),
                    UInt64 => append_as::<types::UInt64Type, _>(array, out, |v| v as $real),
                    Null => out.extend(std::iter::repeat_n(Self::GAP, array.len())),
                    Boolean => {
                        out.extend(array.as_boolean().iter().map(|flag| {
                            flag.map_or(Self::GAP, |flag| if flag { 1.0 } else { 0.0 })
                        }))
                    }
                    Date32 | Time32(_) => return Self::append(&as_stored(array, Int32)?, out),
                    // Parquet stores days, as which pyarrow reads them back.
                    Date64 => append_as::<types::Date64Type, _>(array, out, |v| {
                        v.div_euclid(MILLISECONDS_A_DAY) as $real
                    }),
                    Time64(_) | Timestamp(..) | Duration(_) => {
                        return Self::append(&as_stored(array, Int64)?, out);
                    }
                    _ => {
                        let decimals = decimals(array)?;
                        out.extend(decimals.map(|v| v.map_or(Self::GAP, |v| v as $real)));
                    }
                }
                Ok(())
            }
        }
    };
}

real!(f32);
real!(f64);

const MILLISECONDS_A_DAY: i64 = 86_400_000;

fn append_as<T: ArrowPrimitiveType, R: Real>(
    array: &ArrayRef,
    out: &mut Vec<R>,
    convert: impl Fn(T::Native) -> R,
) {
    let array = array.as_primitive::<T>();
    if array.null_count() == 0 {
        // A loop without a branch, for the columns of billions of scores.
        out.extend(array.values().iter().map(|&value| convert(value)));
    } else {
        out.extend(array.iter().map(|value| value.map_or(R::GAP, &convert)));
    }
}

/// Dates and times as the counts of their unit that they are.
fn as_stored(array: &ArrayRef, integers: DataType) -> Result<ArrayRef, ArrowError> {
    array.to_data().into_builder().data_type(integers).build().map(make_array)
}

/// Decimals in double precision.
fn decimals(array: &ArrayRef) -> Result<Box<dyn Iterator<Item = Option<f64>> + '_>, ArrowError> {
    fn of<'a, T: ArrowPrimitiveType>(
        array: &'a ArrayRef,
        scale: i8,
        convert: impl Fn(T::Native, i8) -> f64 + 'a,
    ) -> Box<dyn Iterator<Item = Option<f64>> + 'a> {
        Box::new(array.as_primitive::<T>().iter().map(move |v| v.map(|v| convert(v, scale))))
    }
    Ok(match *array.data_type() {
        DataType::Decimal32(_, scale) => {
            of::<types::Decimal32Type>(array, scale, |v, scale| decimal(v.into(), scale))
        }
        DataType::Decimal64(_, scale) => {
            of::<types::Decimal64Type>(array, scale, |v, scale| decimal(v.into(), scale))
        }
        DataType::Decimal128(_, scale) => of::<types::Decimal128Type>(array, scale, decimal),
        DataType::Decimal256(_, scale) => {
            of::<types::Decimal256Type>(array, scale, |v, scale| match v.to_i128() {
                Some(v) => decimal(v, scale),
                None => from_digits(&v.to_string(), scale),
            })
        }
        ref other => return Err(ArrowError::SchemaError(format!("{other} is no number"))),
    })
}

/// The powers of ten that double precision holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The double that is nearest to a decimal of so many digits after its point.
fn decimal(digits: i128, scale: i8) -> f64 {
    let power = usize::try_from(scale).ok().and_then(|scale| POWERS.get(scale));
    match power {
        // Both numbers are exact, so their quotient is rounded once.
        Some(power) if digits.unsigned_abs() <= 1 << 53 => digits as f64 / power,
        _ => from_digits(&digits.to_string(), scale),
    }
}

fn from_digits(digits: &str, scale: i8) -> f64 {
    format!("{digits}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

/// Counts of any width.
pub(super) fn widened<T: ArrowPrimitiveType<Native: Into<u64>>>(
    array: &ArrayRef,
) -> impl Iterator<Item = Option<u64>> + '_ {
    array.as_primitive::<T>().iter().map(|value| value.map(Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_the_nearest_double() {
        for (digits, scale, expected) in [
            (4000, 4, 0.4),
            (-28, 2, -0.28),
            (0, 10, 0.0),
            (123, -2, 12_300.0),
            (i128::MAX, 38, 1.701_411_834_604_692_3),
            (9_007_199_254_740_993, 0, 9_007_199_254_740_992.0),
        ] {
            assert_eq!(decimal(digits, scale), expected, "{digits} of scale {scale}");
        }
    }
}
