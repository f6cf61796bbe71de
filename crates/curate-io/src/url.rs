//! Pools behind URLs: `s3://bucket/folder`, `gs://bucket/folder`, `https://host/{00000..00099}.tar`.
//!
//! With the feature `object-store`, the files that a pool needs are fetched into a folder of this
//! machine (the cache) and read there; a file that has not changed since is not fetched again. What
//! is fetched goes to disk in pieces of a few megabytes and is counted against a limit beforehand,
//! so neither memory nor the disk is filled. Embeddings are fetched only where they are asked for.
//!
//! | variable | meaning | left out |
//! |---|---|---|
//! | `CURATE_CACHE` | the cache's folder | `curate` in `XDG_CACHE_HOME` or in `~/.cache` |
//! | `CURATE_CACHE_LIMIT` | the most that the cache holds, in GiB | 100 |
//! | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` | access to S3; `AWS_SKIP_SIGNATURE=true` for public buckets | an error |
//! | `AWS_ENDPOINT_URL` | another store of S3's kind; `AWS_ALLOW_HTTP=true` without TLS | Amazon's |
//! | `GOOGLE_APPLICATION_CREDENTIALS` or `GOOGLE_SERVICE_ACCOUNT` | a file with access to Google Cloud Storage; `GOOGLE_SKIP_SIGNATURE=true` for public buckets | what `gcloud auth application-default login` left, or an error |
//!
//! What these do not say for S3, the profile `AWS_PROFILE` (or `default`) of `~/.aws/credentials` and
//! `~/.aws/config` does: keys, region and endpoint. For profiles that log in otherwise,
//! `aws configure export-credentials --format env` prints variables. Roles of containers and of web
//! identities are found by the variables that their platforms set; the role of a machine is asked for
//! where `AWS_METADATA_ENDPOINT` names its address.
//!
//! Servers that are busy or break off are asked again, for the rest of a file alone where they know
//! ranges and tags.
//!
//! Folders are listed on S3 and Google Cloud Storage. Over HTTP nothing can be listed: name a file or
//! a pattern.

#[cfg(feature = "object-store")]
mod access;
#[cfg(feature = "object-store")]
mod cache;
#[cfg(feature = "object-store")]
mod needed;
mod options;
#[cfg(feature = "object-store")]
mod profile;
#[cfg(feature = "object-store")]
mod store;

use std::path::{Path, PathBuf};

use curate_core::Progress;

use crate::{error::IoError, layouts::Format};

pub use crate::layout::FilesWanted;
pub use options::UrlOptions;

/// True for a URL, which is not a path on this machine.
pub fn is_url(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains("://"))
}

/// The path on this machine of a pool: `path` itself, or where its files lie once they are fetched.
///
/// # Errors
/// When a URL cannot be reached, holds nothing of the kind, or is too large for the cache; without
/// the feature `object-store`, for every URL.
pub fn local(
    path: &Path,
    wanted: FilesWanted,
    progress: &dyn Progress,
) -> Result<PathBuf, IoError> {
    if is_url(path) {
        return local_with(path, None, wanted, &UrlOptions::from_env(), progress);
    }
    Ok(path.to_owned())
}

/// As [`local`], with options of the caller's and the layout, where it is known.
///
/// # Errors
/// As [`local`].
#[cfg(feature = "object-store")]
pub fn local_with(
    url: &Path,
    format: Option<Format>,
    wanted: FilesWanted,
    options: &UrlOptions,
    progress: &dyn Progress,
) -> Result<PathBuf, IoError> {
    needed::pool(url, format, wanted, options, progress)
}

/// As [`local`]: an error, since the feature `object-store` is off.
///
/// # Errors
/// Always.
#[cfg(not(feature = "object-store"))]
pub fn local_with(
    url: &Path,
    _format: Option<Format>,
    _wanted: FilesWanted,
    _options: &UrlOptions,
    _progress: &dyn Progress,
) -> Result<PathBuf, IoError> {
    let problem = "is a URL, which this program was built not to read";
    let remedy = "build it with `--features object-store`, or fetch the files";
    Err(IoError::new(crate::error::Kind::Unsupported, url, problem, remedy))
}
