//! Arguments of commands that other commands give.

use clap::{Args, FromArgMatches};

use crate::failure::Failure;

/// The arguments of another command, from its words.
pub(crate) fn parsed<T: Args + FromArgMatches>(words: Vec<String>) -> Result<T, Failure> {
    let command = T::augment_args(clap::Command::new("curate").no_binary_name(true));
    let found = command.try_get_matches_from(words).and_then(|found| T::from_arg_matches(&found));
    // clap's first paragraph says what is wrong; the others show the usage of another command line.
    found.map_err(|e| {
        let said = e.to_string();
        let first = said.split("\n\n").next().unwrap_or_default();
        Failure::Usage(first.trim_start_matches("error: ").trim_end().to_owned())
    })
}
