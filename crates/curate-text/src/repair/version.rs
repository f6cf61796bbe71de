//! Versions of ftfy.

use std::str::FromStr;

/// A version of ftfy, by what it makes of texts. Versions differ in which texts they take for broken:
/// 6.3 also mends text that was read as Windows-1257, and more of Baltic, Turkish and French words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ftfy {
    /// 6.1.1 to 6.1.3.
    V6_1,
    /// 6.2.0 to 6.2.3: differs from 6.1 in text that was read as MacRoman alone.
    V6_2,
    /// 6.3.0 and 6.3.1.
    #[default]
    V6_3,
}

impl Ftfy {
    /// All of them, the oldest first.
    pub const ALL: [Self; 3] = [Self::V6_1, Self::V6_2, Self::V6_3];

    /// The release that texts are compared with.
    pub fn release(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1.3",
            Self::V6_2 => "6.2.3",
            Self::V6_3 => "6.3.1",
        }
    }

    /// The name of the rules, such as `ftfy-6.2`; what [`str::parse`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::V6_1 => "ftfy-6.1",
            Self::V6_2 => "ftfy-6.2",
            Self::V6_3 => "ftfy-6.3",
        }
    }
}

impl FromStr for Ftfy {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|ftfy| ftfy.name() == name);
        let names = Self::ALL.map(Self::name).join(", ");
        known
            .ok_or_else(|| format!("no rules of text repair are named `{name}`; there are {names}"))
    }
}
