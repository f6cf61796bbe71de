//! Values of flags, as people write them.

use std::path::PathBuf;

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
        _ => Err("must be a number above 0 and at most 1".to_owned()),
    }
}
