//! How many rows to keep, in one of four ways.

use curate::core::Cut;
use serde::{Deserialize, Serialize};

use crate::errors::Failure;

/// The one cut that is given, if any.
pub(crate) fn one(
    epsilon: Option<f64>,
    threshold: Option<f64>,
    fraction: Option<f64>,
    count: Option<usize>,
) -> Result<Option<Cut>, Failure> {
    let cuts = [
        epsilon.map(Cut::Epsilon),
        threshold.map(Cut::Threshold),
        fraction.map(Cut::Fraction),
        count.map(Cut::Top),
    ];
    let mut given = cuts.into_iter().flatten();
    let first = given.next().map(Cut::check).transpose()?;
    match given.next() {
        Some(second) => {
            let second = name(second);
            Err(Failure::input(second, "give one way to say how many rows stay, not several"))
        }
        None => Ok(first),
    }
}

/// The argument that gives a cut.
pub(crate) fn name(cut: Cut) -> &'static str {
    match cut {
        Cut::Epsilon(_) => "epsilon",
        Cut::Threshold(_) => "threshold",
        Cut::Fraction(_) => "fraction",
        Cut::Top(_) => "count",
    }
}

/// A cut as a call writes it.
pub(crate) fn shown(cut: Cut) -> String {
    match cut {
        Cut::Epsilon(number) | Cut::Threshold(number) | Cut::Fraction(number) => {
            format!("{}={number:?}", name(cut))
        }
        Cut::Top(count) => format!("count={count}"),
    }
}

/// A method as the call that makes it: its cut and some of its parameters.
pub(crate) fn shown_method(
    method: &str,
    cut: Cut,
    params: &impl Serialize,
    fields: &[&str],
) -> String {
    let params = serde_json::to_value(params).unwrap_or_default();
    let field = |name: &&str| {
        let value = params[*name].to_string().replace('"', "'").replace("null", "None");
        format!(", {name}={value}")
    };
    format!("{method}({}{})", shown(cut), fields.iter().map(field).collect::<String>())
}

/// A cut that can be written down.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Saved {
    Threshold(f64),
    Fraction(f64),
    Top(usize),
    Epsilon(f64),
}

impl From<Cut> for Saved {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Threshold(number) => Self::Threshold(number),
            Cut::Fraction(number) => Self::Fraction(number),
            Cut::Top(count) => Self::Top(count),
            Cut::Epsilon(number) => Self::Epsilon(number),
        }
    }
}

impl From<Saved> for Cut {
    fn from(cut: Saved) -> Self {
        match cut {
            Saved::Threshold(number) => Self::Threshold(number),
            Saved::Fraction(number) => Self::Fraction(number),
            Saved::Top(count) => Self::Top(count),
            Saved::Epsilon(number) => Self::Epsilon(number),
        }
    }
}
