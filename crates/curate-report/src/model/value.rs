//! Values that know how they want to be written.

use serde::Serialize;

/// A value of a tile, a fact or a table cell.
///
/// Numbers, strings and `Option`s of them convert with `into()`: integers become [`Value::Count`],
/// floats [`Value::Number`], and `None` becomes [`Value::Missing`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Value {
    /// No value is known: shown as a dash.
    #[default]
    Missing,
    /// Words.
    Text(String),
    /// A digest, a path or a command: in a fixed-width font, broken anywhere.
    Code(String),
    /// A number of things: `8,000`.
    Count(u64),
    /// A measurement, to four significant digits: `0.9731`, `−1.2e-7`, `not a number`.
    Number(f64),
    /// A share of one: 0.289 is written `28.9%`.
    Share(f64),
    /// A duration: `340 ms`, `12.4 s`, `2 min 05 s`, `3 h 12 min`.
    Seconds(f64),
    /// A size: `1.5 GiB`.
    Bytes(u64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for Value {
    fn from(count: u32) -> Self {
        Self::Count(u64::from(count))
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<f32> for Value {
    fn from(number: f32) -> Self {
        Self::Number(f64::from(number))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}
