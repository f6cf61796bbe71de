//! Which repository, and where the hub and its cache are.

use std::{fmt, path::PathBuf, str::FromStr};

use curate_io::{IoError, Kind};

/// A repository of the hub at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// `ORG/NAME`.
    pub name: String,
    /// A branch, tag or commit.
    pub revision: String,
}

impl FromStr for Repository {
    type Err = IoError;

    /// Reads `hf://ORG/NAME` or `hf://ORG/NAME@REVISION`; the revision is `main` if left out.
    fn from_str(text: &str) -> Result<Self, IoError> {
        let wrong = || {
            let remedy = "write hf://ORG/NAME or hf://ORG/NAME@REVISION";
            IoError::new(Kind::Unsupported, text, "names no repository of the hub", remedy)
        };
        let rest = text.strip_prefix("hf://").ok_or_else(wrong)?;
        let (name, revision) = rest.split_once('@').unwrap_or((rest, "main"));
        let (org, model) = name.split_once('/').ok_or_else(wrong)?;
        let plain = |part: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty() && part.chars().all(known) && part != "." && !part.contains("..")
        };
        // A revision may have slashes (refs/pr/3), which are part of a path.
        if plain(org) && plain(model) && revision.split('/').all(plain) {
            return Ok(Self { name: name.to_owned(), revision: revision.to_owned() });
        }
        Err(wrong())
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf://{}@{}", self.name, self.revision)
    }
}

/// Where the hub and the cache are.
#[derive(Clone, PartialEq, Eq)]
pub struct HubOptions {
    /// The hub's address.
    pub endpoint: String,
    /// The cache folder.
    pub cache: PathBuf,
    /// The user's access token, for repositories that ask for one. Sent to the endpoint alone.
    pub token: Option<String>,
    /// Use what is in the cache and ask no one.
    pub offline: bool,
}

impl fmt::Debug for HubOptions {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, cache, offline, .. } = self;
        write!(f, "HubOptions {{ {endpoint}, {}, offline: {offline} }}", cache.display())
    }
}

impl HubOptions {
    /// The hub's address and cache as its own tools find them: by `HF_ENDPOINT`, `HF_HUB_CACHE` or
    /// `HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`; else huggingface.co and `~/.cache/huggingface/hub`.
    pub fn from_environment() -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = || var("HOME").or_else(|| var("USERPROFILE")).map(PathBuf::from);
        let root = var("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = var("XDG_CACHE_HOME").map(PathBuf::from);
            cache.or_else(|| Some(home()?.join(".cache"))).map(|cache| cache.join("huggingface"))
        });
        let cache = var("HF_HUB_CACHE").map(PathBuf::from);
        let cache = cache.or_else(|| Some(root?.join("hub")));
        let yes = |value: String| ["1", "on", "yes", "true"].contains(&&*value.to_lowercase());
        Self {
            endpoint: var("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            cache: cache.unwrap_or_else(|| PathBuf::from("huggingface")),
            token: var("HF_TOKEN"),
            offline: var("HF_HUB_OFFLINE").is_some_and(yes),
        }
    }
}
