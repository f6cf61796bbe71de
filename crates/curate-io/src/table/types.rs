//! What a column's type can be read as, and the type in which it is decoded.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use half::f16;
use parquet::{basic::Type, schema::types::SchemaDescriptor};

/// How precise a column's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 16 bits.
    Half,
    /// 32 bits.
    Single,
    /// 64 bits, and everything that is not of fewer.
    Double,
}

impl Precision {
    pub(super) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Float16 => Self::Half,
            DataType::Float32 => Self::Single,
            DataType::Dictionary(_, values) => Self::of(values),
            _ => Self::Double,
        }
    }

    /// The number of this precision that is nearest to another.
    pub fn nearest(self, number: f64) -> f64 {
        match self {
            Self::Half => f16::from_f64(number).to_f64(),
            Self::Single => f64::from(number as f32),
            Self::Double => number,
        }
    }
}

/// Numbers, and what Arrow stores as such: flags are 0 and 1, dates and times are counts of their
/// unit. A column of nothing but gaps is one of numbers too, none of which is there.
pub(super) fn is_number(data_type: &DataType) -> bool {
    use DataType::{
        Boolean, Date32, Date64, Dictionary, Duration, Null, Time32, Time64, Timestamp,
    };
    match data_type {
        Null | Boolean | Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..) | Duration(_) => {
            true
        }
        Dictionary(_, values) => is_number(values),
        other => other.is_numeric(),
    }
}

/// Text as such, or as numbers of a dictionary, which only its writer's memory had: the file has text.
pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Text, and bytes that may be text: some writers do not say which. A column of nothing but gaps is
/// one of text too.
pub(super) fn is_text_or_bytes(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, Dictionary, FixedSizeBinary, LargeBinary, Null};
    match data_type {
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) | Null => true,
        Dictionary(_, values) => is_text_or_bytes(values),
        other => is_text(other),
    }
}

/// What can name a row: text, bytes, whole numbers.
pub(super) fn is_name(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_name(values),
        other => is_text_or_bytes(other) || other.is_integer(),
    }
}

/// Lists of numbers, or lists of those, and so on.
pub(super) fn is_vectors(data_type: &DataType) -> bool {
    let number = |t: &DataType| is_number(t) && *t != DataType::Boolean;
    item(data_type).is_some_and(|item| number(item) || is_vectors(item))
}

/// Lists that are meant as vectors: of floats, or all of one length.
pub(super) fn is_surely_vectors(data_type: &DataType) -> bool {
    let fixed = matches!(data_type, DataType::FixedSizeList(..));
    item(data_type).is_some_and(|item| item.is_floating() || (fixed && item.is_numeric()))
}

/// The schema of a file whose timestamps of 96 bits are nanoseconds, as pyarrow reads them, whatever
/// unit they had in their writer's memory.
pub(super) fn nanoseconds(schema: &Schema, parquet: &SchemaDescriptor) -> Schema {
    let stored = parquet.root_schema().get_fields();
    let fields = schema.fields().iter().zip(stored).map(|(field, stored)| {
        let int96 = stored.is_primitive() && stored.get_physical_type() == Type::INT96;
        let moment = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let field = field.as_ref().clone();
        if int96 { field.with_data_type(moment) } else { field }
    });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

/// What a list holds.
fn item(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::FixedSizeList(item, _)
        | DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item.data_type()),
        _ => None,
    }
}

/// The schema with the types in which columns are decoded: every text and bytes as views into the
/// page that they came in, which spares a copy, and the values of a dictionary instead of their numbers.
pub(super) fn decoded(schema: &Schema) -> Schema {
    let decoded = |field: &Arc<Field>| {
        let decoded = decoded_type(field.data_type());
        field.as_ref().clone().with_data_type(decoded)
    };
    let fields: Vec<Field> = schema.fields().iter().map(decoded).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn decoded_type(data_type: &DataType) -> DataType {
    let of = |item: &Arc<Field>| {
        let decoded = decoded_type(item.data_type());
        Arc::new(item.as_ref().clone().with_data_type(decoded))
    };
    match data_type {
        DataType::Dictionary(_, values) => decoded_type(values),
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::List(item) | DataType::ListView(item) => DataType::List(of(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(of(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(of(item), *length),
        other => other.clone(),
    }
}
