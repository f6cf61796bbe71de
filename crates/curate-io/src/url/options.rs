//! How URLs are reached, and where their files are kept.

use std::{fmt, path::PathBuf};

#[cfg(feature = "object-store")]
use super::profile;

/// How URLs are reached, and where their files are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlOptions {
    /// The cache's folder.
    pub cache: PathBuf,
    /// The most bytes that the cache holds.
    pub limit: u64,
    /// Settings of the stores, such as `aws_endpoint`, credentials among them.
    pub settings: Vec<(String, String)>,
}

impl fmt::Debug for UrlOptions {
    /// Without the values of settings, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.settings.iter().map(|(name, _)| name.as_str()).collect();
        let Self { cache, limit, .. } = self;
        write!(f, "UrlOptions {{ {}, {limit} bytes, {names:?} }}", cache.display())
    }
}

/// Bytes that the cache may hold where `CURATE_CACHE_LIMIT` is not set.
const LIMIT_GIB: u64 = 100;

impl UrlOptions {
    /// What the environment says, see the [module's page](crate::url).
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
