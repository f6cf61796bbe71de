//! Choices by name.

use std::fmt;

use serde::de::{self, DeserializeOwned, IntoDeserializer, value::StrDeserializer};

use crate::errors::Failure;

/// The choice of this name, as recipes spell it.
pub(crate) fn word<T: DeserializeOwned>(argument: &str, name: &str) -> Result<T, Failure> {
    let spelt = name.replace('_', "-");
    let spelt: StrDeserializer<'_, NoChoice> = spelt.as_str().into_deserializer();
    T::deserialize(spelt).map_err(|NoChoice(known)| {
        Failure::input(argument, format!("there is no \"{name}\": give {known}"))
    })
}

/// [`word`] where one is given.
pub(crate) fn word_if<T: DeserializeOwned>(
    argument: &str,
    name: Option<&str>,
) -> Result<Option<T>, Failure> {
    name.map(|name| word(argument, name)).transpose()
}

/// The choices that there are.
#[derive(Debug)]
struct NoChoice(String);

impl de::Error for NoChoice {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        let known: Vec<_> = known.iter().map(|name| format!("\"{name}\"")).collect();
        Self(known.join(" or "))
    }
}

impl fmt::Display for NoChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoChoice {}
