//! The numbers of Arrow's arrays, whatever their type.

use std::ops::Range;

use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, cast::AsArray, types};
use arrow_schema::DataType;

use crate::error::IoError;

/// Hands every list of an array to `each`.
pub(super) fn each_vector(
    array: &ArrayRef,
    each: &mut impl FnMut(Option<&[f32]>) -> Result<(), IoError>,
) -> Result<(), IoError> {
    let mut numbers = Vec::new();
    let bounds: Vec<Range<usize>> = match array.data_type() {
        DataType::FixedSizeList(..) => {
            let list = array.as_fixed_size_list();
            f32::append(list.values(), &mut numbers);
            let width = list.value_length().unsigned_abs() as usize;
            (0..list.len()).map(|row| row * width..(row + 1) * width).collect()
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            f32::append(list.values(), &mut numbers);
            let bounds = list.value_offsets().windows(2);
            bounds.map(|w| w[0].unsigned_abs() as usize..w[1].unsigned_abs() as usize).collect()
        }
        _ => {
            let list = array.as_list::<i32>();
            f32::append(list.values(), &mut numbers);
            let bounds = list.value_offsets().windows(2);
            bounds.map(|w| w[0].unsigned_abs() as usize..w[1].unsigned_abs() as usize).collect()
        }
    };
    for (row, bounds) in bounds.into_iter().enumerate() {
        each(array.is_valid(row).then(|| &numbers[bounds]))?;
    }
    Ok(())
}

/// Single or double precision, to which every numeric type is converted.
pub(super) trait Real: Copy {
    const GAP: Self;

    /// Appends an array's numbers, a gap as NaN.
    fn append(array: &ArrayRef, out: &mut Vec<Self>);
}

macro_rules! real {
    ($real:ty) => {
        impl Real for $real {
            const GAP: Self = <$real>::NAN;

            fn append(array: &ArrayRef, out: &mut Vec<Self>) {
                match array.data_type() {
                    DataType::Float32 => {
                        append_as::<types::Float32Type, _>(array, out, |v| v as $real)
                    }
                    DataType::Float64 => {
                        append_as::<types::Float64Type, _>(array, out, |v| v as $real)
                    }
                    DataType::Float16 => {
                        append_as::<types::Float16Type, _>(array, out, <$real>::from)
                    }
                    DataType::Int8 => append_as::<types::Int8Type, _>(array, out, |v| v as $real),
                    DataType::Int16 => append_as::<types::Int16Type, _>(array, out, |v| v as $real),
                    DataType::Int32 => append_as::<types::Int32Type, _>(array, out, |v| v as $real),
                    DataType::Int64 => append_as::<types::Int64Type, _>(array, out, |v| v as $real),
                    DataType::UInt8 => append_as::<types::UInt8Type, _>(array, out, |v| v as $real),
                    DataType::UInt16 => {
                        append_as::<types::UInt16Type, _>(array, out, |v| v as $real)
                    }
                    DataType::UInt32 => {
                        append_as::<types::UInt32Type, _>(array, out, |v| v as $real)
                    }
                    DataType::UInt64 => {
                        append_as::<types::UInt64Type, _>(array, out, |v| v as $real)
                    }
                    // Decimals: no score is one.
                    _ => out.extend(std::iter::repeat_n(Self::GAP, array.len())),
                }
            }
        }
    };
}

real!(f32);
real!(f64);

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
