//! Values of flags, as people write them.

use std::path::PathBuf;

use clap::Args;
use curate::io::pool::IdsFrom;

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
