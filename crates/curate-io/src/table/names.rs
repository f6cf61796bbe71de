//! The texts of Arrow's arrays, and the names of rows.

use std::fmt::Write;

use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, cast::AsArray, types};
use arrow_schema::DataType;

/// Hands every text of an array to `each`; bytes that are no text are a gap.
pub(super) fn each_text(array: &ArrayRef, mut each: impl FnMut(Option<&str>)) {
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().iter().for_each(each),
        _ => each_bytes(array, |bytes| each(bytes.and_then(|b| std::str::from_utf8(b).ok()))),
    }
}

/// Hands every uid of an array to `each` as hexadecimal digits, which may be stored as such or as the
/// 16 bytes that they stand for, the highest first.
pub(super) fn each_uid(array: &ArrayRef, mut each: impl FnMut(Option<&str>)) {
    if *array.data_type() == DataType::Utf8View {
        return array.as_string_view().iter().for_each(each);
    }
    let mut digits = String::new();
    each_bytes(array, |bytes| match bytes {
        // Sixteen bytes that all happen to be digits are one pair of halves in 10^17.
        Some(bytes) if bytes.len() == 16 && !bytes.iter().all(u8::is_ascii_hexdigit) => {
            each(Some(hexadecimal(bytes, &mut digits)));
        }
        bytes => each(bytes.and_then(|b| std::str::from_utf8(b).ok())),
    });
}

/// Hands every name of an array to `each`: text as it is, other bytes as hexadecimal digits, whole
/// numbers as a person writes them.
pub(super) fn each_name(array: &ArrayRef, mut each: impl FnMut(Option<&str>)) {
    use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().iter().for_each(each),
        Int8 => each_integer::<types::Int8Type>(array, each),
        Int16 => each_integer::<types::Int16Type>(array, each),
        Int32 => each_integer::<types::Int32Type>(array, each),
        Int64 => each_integer::<types::Int64Type>(array, each),
        UInt8 => each_integer::<types::UInt8Type>(array, each),
        UInt16 => each_integer::<types::UInt16Type>(array, each),
        UInt32 => each_integer::<types::UInt32Type>(array, each),
        UInt64 => each_integer::<types::UInt64Type>(array, each),
        _ => {
            let mut digits = String::new();
            each_bytes(array, |bytes| {
                each(bytes.map(|bytes| {
                    std::str::from_utf8(bytes).unwrap_or_else(|_| hexadecimal(bytes, &mut digits))
                }));
            });
        }
    }
}

/// Hands every row's bytes to `each`: none for a column of nothing but gaps.
fn each_bytes(array: &ArrayRef, mut each: impl FnMut(Option<&[u8]>)) {
    match array.data_type() {
        DataType::BinaryView => array.as_binary_view().iter().for_each(each),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().iter().for_each(each),
        _ => (0..array.len()).for_each(|_| each(None)),
    }
}

fn each_integer<T: ArrowPrimitiveType<Native: std::fmt::Display>>(
    array: &ArrayRef,
    mut each: impl FnMut(Option<&str>),
) {
    let mut digits = String::new();
    for number in array.as_primitive::<T>() {
        digits.clear();
        let written = number.is_some_and(|number| write!(digits, "{number}").is_ok());
        each(written.then_some(digits.as_str()));
    }
}

fn hexadecimal<'a>(bytes: &[u8], digits: &'a mut String) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    digits.clear();
    for byte in bytes {
        digits.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
    }
    digits
}
