//! Values of flags, as people write them.

use std::path::PathBuf;

use clap::Args;
use curate::{io::pool::IdsFrom, scaling::parse_count};

/// A file or a folder to write. Results are put in place by renaming, which an object store cannot.
pub(crate) fn output(text: &str) -> Result<PathBuf, String> {
    match text.split_once("://") {
        Some((scheme, _)) => Err(format!(
            "{scheme}:// is read, not written: name a file or folder here and copy it there"
        )),
        None => Ok(PathBuf::from(text)),
    }
}

pub(crate) fn fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(fraction) if fraction > 0.0 && fraction <= 1.0 => Ok(fraction),
        _ => {
            let hint = in_percent(text).unwrap_or_default();
            Err(format!("must be a number above 0 and at most 1{hint}"))
        }
    }
}

/// A share whose range the command knows; `30` and `30%` are percentages, of which there is no share.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    match in_percent(text) {
        Some(hint) => Err(format!("must be a number from 0 to 1{hint}")),
        None => text.parse().map_err(|_| format!("`{text}` is not a number")),
    }
}

/// What to add about a share that was given in percent.
fn in_percent(text: &str) -> Option<String> {
    let (number, is_marked) = match text.trim_end().strip_suffix('%') {
        Some(number) => (number, true),
        None => (text, false),
    };
    let percent: f64 = number.trim().parse().ok()?;
    let meant = (is_marked || percent > 1.0) && (0.0..=100.0).contains(&percent);
    // Written out digit by digit: 7 % is 0.07, which 7 / 100 is not quite.
    let share: f64 = format!("{percent}e-2").parse().ok()?;
    meant.then(|| format!("; for {percent} % give {share}"))
}

/// A number, which `nan` is not: compared with it every row would fail, or none.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if !number.is_nan() => Ok(number),
        _ => Err(format!("`{text}` is not a number")),
    }
}

/// A finite number above 0.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match number(text) {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("must be a finite number above 0".to_owned()),
    }
}

/// A similarity threshold's distance from 1.
pub(crate) fn epsilon(text: &str) -> Result<f64, String> {
    match number(text) {
        Ok(epsilon) if (0.0..=2.0).contains(&epsilon) => Ok(epsilon),
        _ => Err("must be a number from 0 to 2".to_owned()),
    }
}

/// A count with an optional K, M, B or T, the one format of counts: `12.8M` is 12,800,000.
pub(crate) fn count(text: &str) -> Result<f64, String> {
    match parse_count(text) {
        Some(count) if count > 0.0 => Ok(count),
        _ => Err("must be a positive count, such as 12.8e9, 12.8B or 12_800_000_000".to_owned()),
    }
}

/// A whole count, of rows or draws.
pub(crate) fn whole(text: &str) -> Result<usize, String> {
    match parse_count(text) {
        // Every whole number up to here is a float.
        Some(count) if count.fract() == 0.0 && (0.0..=9e15).contains(&count) => Ok(count as usize),
        _ => Err("must be a whole count, such as 20000, 20K or 1.5M".to_owned()),
    }
}

/// A whole count of something that there has to be.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match whole(text)? {
        0 => Err("must be at least 1".to_owned()),
        count => Ok(count),
    }
}

/// The name of a file or a column inside a folder that the program writes.
pub(crate) fn plain_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with('.') {
        return Ok(text.to_owned());
    }
    Err("must be a name of letters, digits, `-`, `_` and `.`, without a folder".to_owned())
}

/// What ids are made from.
#[derive(Args)]
pub(crate) struct IdsArg {
    /// What ids are made from where samples have keys and no uid: key, or shard-and-key where keys
    /// begin anew in every shard.
    #[arg(long, value_name = "FROM", value_parser = ids_from)]
    pub(crate) ids: Option<IdsFrom>,
}

fn ids_from(text: &str) -> Result<IdsFrom, String> {
    match text {
        "key" => Ok(IdsFrom::Key),
        "shard-and-key" => Ok(IdsFrom::ShardAndKey),
        _ => Err("it is `key` or `shard-and-key`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_take_units_and_refuse_the_rest() {
        assert_eq!(count("12.8M"), Ok(12.8e6));
        assert_eq!(count("34e9"), Ok(34e9));
        assert_eq!(count("1_000"), Ok(1000.0));
        assert_eq!(count("2B"), Ok(2e9));
        for bad in ["", "M", "-1", "0", "nan", "1e400", "1e300T", "12.8 million"] {
            assert!(count(bad).is_err(), "{bad}");
        }
        assert_eq!((whole("20K"), whole("0")), (Ok(20_000), Ok(0)));
        for bad in ["0.5", "1e300", "-3", "nan"] {
            assert!(whole(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_number_is_no_value() {
        for bad in ["nan", "NaN", "-nan", "", "x"] {
            assert!(number(bad).is_err() && positive(bad).is_err() && epsilon(bad).is_err());
            assert!(fraction(bad).is_err(), "{bad}");
        }
        assert_eq!((number("-inf"), number("0.3")), (Ok(f64::NEG_INFINITY), Ok(0.3)));
        assert_eq!((share("0.3"), share("-1")), (Ok(0.3), Ok(-1.0)));
        for (percent, meant) in [("30", "give 0.3"), ("30%", "give 0.3"), ("7 %", "give 0.07")] {
            let expected = |error: String| error.ends_with(meant) && error.starts_with("must be");
            assert!(share(percent).is_err_and(expected), "{percent}");
            assert!(fraction(percent).is_err_and(|error| error.ends_with(meant)), "{percent}");
        }
        assert!(fraction("300").is_err_and(|error| error.ends_with("at most 1")));
        assert!(positive("inf").is_err() && positive("0").is_err() && epsilon("2.5").is_err());
    }

    #[test]
    fn names_stay_in_their_folder() {
        for bad in
            ["../../evil", "/etc/x", "a/b", "..", ".hidden", "", "a\\b", "a\u{1b}[2J", "a\0b"]
        {
            assert!(plain_name(bad).is_err(), "{bad}");
        }
        for good in ["dfn", "clip_l14-v2.1", "größe"] {
            assert_eq!(plain_name(good).as_deref(), Ok(good));
        }
    }
}
