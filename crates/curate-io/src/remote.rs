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

use std::{
    fmt,
    path::{Path, PathBuf},
};

use curate_core::Progress;

use crate::{IoError, pool::Format};

#[cfg(feature = "object-store")]
mod cache;
#[cfg(feature = "object-store")]
mod fetch;
#[cfg(feature = "object-store")]
mod profile;
#[cfg(feature = "object-store")]
mod store;

/// Which files of a pool are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Ids, captions and columns: no files of embeddings.
    Tables,
    /// The same and the embeddings.
    Embeddings,
    /// Tar shards with their counts.
    Shards,
}

/// How URLs are reached, and where their files are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteOptions {
    /// The cache's folder.
    pub cache: PathBuf,
    /// The most bytes that the cache holds.
    pub limit: u64,
    /// Settings of the stores, such as `aws_endpoint`, credentials among them.
    pub settings: Vec<(String, String)>,
}

impl fmt::Debug for RemoteOptions {
    /// Without the values of settings, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.settings.iter().map(|(name, _)| name.as_str()).collect();
        let Self { cache, limit, .. } = self;
        write!(f, "RemoteOptions {{ {}, {limit} bytes, {names:?} }}", cache.display())
    }
}

/// Bytes that the cache may hold where `CURATE_CACHE_LIMIT` is not set.
const LIMIT_GIB: u64 = 100;

impl RemoteOptions {
    /// What the environment says, see the [module's page](self).
    pub fn from_env() -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = || Some(PathBuf::from(var("HOME")?).join(".cache"));
        let caches = var("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
        let caches = caches.unwrap_or_else(std::env::temp_dir);
        let cache = var("CURATE_CACHE").map_or_else(|| caches.join("curate"), PathBuf::from);
        let limit = var("CURATE_CACHE_LIMIT").and_then(|gib| gib.to_str()?.parse::<u64>().ok());
        let ours = |(name, _): &(String, String)| {
            ["aws_", "google_"].iter().any(|start| name.starts_with(start))
        };
        let settings = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.to_str()?.to_lowercase(), value.into_string().ok()?))
        });
        let settings: Vec<(String, String)> = settings.filter(ours).collect();
        #[cfg(feature = "object-store")]
        let settings = profile::added(settings);
        Self { cache, limit: limit.unwrap_or(LIMIT_GIB).saturating_mul(1 << 30), settings }
    }
}

/// True for a URL, which is no path of this machine.
pub fn is_url(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains("://"))
}

/// The path on this machine of a pool: `path` itself, or where its files lie once they are fetched.
///
/// # Errors
/// When a URL cannot be reached, holds nothing of the kind, or is too large for the cache; without
/// the feature `object-store`, for every URL.
pub fn local(path: &Path, wanted: Wanted, progress: &dyn Progress) -> Result<PathBuf, IoError> {
    if is_url(path) {
        return local_with(path, None, wanted, &RemoteOptions::from_env(), progress);
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
    wanted: Wanted,
    options: &RemoteOptions,
    progress: &dyn Progress,
) -> Result<PathBuf, IoError> {
    fetch::pool(url, format, wanted, options, progress)
}

/// As [`local`]: an error, since the feature `object-store` is off.
///
/// # Errors
/// Always.
#[cfg(not(feature = "object-store"))]
pub fn local_with(
    url: &Path,
    _format: Option<Format>,
    _wanted: Wanted,
    _options: &RemoteOptions,
    _progress: &dyn Progress,
) -> Result<PathBuf, IoError> {
    let problem = "is a URL, which this program was built not to read";
    let remedy = "build it with `--features object-store`, or fetch the files";
    Err(IoError::new(crate::Kind::Unsupported, url, problem, remedy))
}
