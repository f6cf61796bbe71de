//! What networks multiply.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the linear layers of the towers' blocks multiply: nearly all of their work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arithmetic {
    /// Numbers of 32 bits, as PyTorch does: within 1e-5 of it.
    #[default]
    F32,
    /// Numbers of 16 bits: weights, and rows that go in, are rounded to bfloat16; sums stay in 32 bits
    /// ([`curate_kernels::Bf16Matrix`]).
    Bf16,
    /// Integers of 8 bits: a scale for each output of a layer, by its largest weight, and one for each row
    /// that goes in; the products are exact ([`curate_kernels::Int8Matrix`]).
    Int8,
}

impl Arithmetic {
    /// All of them, the most exact first.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// Its name: what [`str::parse`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// True for what networks do when nothing else is asked for.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl FromStr for Arithmetic {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|arithmetic| arithmetic.name() == name);
        known.ok_or_else(|| {
            format!("must be one of {}, not {name:?}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_are_those_of_files() {
        for arithmetic in Arithmetic::ALL {
            assert_eq!(arithmetic.name().parse(), Ok(arithmetic));
            let written = serde_json::to_value(arithmetic).unwrap();
            assert_eq!(written, arithmetic.name());
        }
        let problem = "f16".parse::<Arithmetic>().unwrap_err();
        assert_eq!(problem, "must be one of f32, bf16, int8, not \"f16\"");
    }
}
