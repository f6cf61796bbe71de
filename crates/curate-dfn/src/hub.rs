//! Networks from the Hugging Face hub (feature `hub`), into the cache that its own tools share.
//!
//! `hf://ORG/NAME` or `hf://ORG/NAME@REVISION` names a repository. Its files go to
//! `models--ORG--NAME/snapshots/COMMIT` in the cache folder, and `refs/REVISION` holds the commit, as
//! `huggingface_hub` has it, so that each finds what the other fetched. Files are whole or absent: a
//! download that was interrupted is resumed, and what the hub keeps with its SHA-256 must have it.

mod place;

use std::{fmt, path::PathBuf, str::FromStr};

use curate_core::Progress;
use curate_io::{IoError, Kind, atomic};

use place::{Place, agent};

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

/// Fetches a network, unless it is in the cache, and answers its folder, which
/// [`read_folder`](crate::network::read_folder) reads.
///
/// # Errors
/// When the repository does not exist, asks for access, holds no network that this crate reads, the
/// connection fails, a file is not what the hub says it is, or the caller cancels. What was fetched of
/// a file is kept for the next call.
pub fn fetch(
    repository: &Repository,
    options: &HubOptions,
    progress: &dyn Progress,
) -> Result<PathBuf, IoError> {
    let place = Place {
        repository,
        options,
        folder: options.cache.join(format!("models--{}", repository.name.replace('/', "--"))),
        agent: agent(),
    };
    if let Some(snapshot) = place.cached()? {
        return Ok(snapshot);
    }
    let info = place.info()?;
    let (needed, wanted) = place.layout(&info)?;
    let snapshot = place.folder.join("snapshots").join(&info.sha);
    for file in needed.iter().copied().chain(wanted) {
        place.file(&info.sha, file, &snapshot.join(file), progress)?;
    }
    let reference = place.folder.join("refs").join(&repository.revision);
    atomic::write(&reference, info.sha.as_bytes())?;
    Ok(snapshot)
}

#[cfg(test)]
mod tests {
    use super::{place::origin, *};

    #[test]
    fn a_repository_is_org_name_and_revision() {
        let parse = |text: &str| text.parse::<Repository>();
        let plain = parse("hf://apple/DFN2B-CLIP-ViT-B-16").unwrap();
        assert_eq!((&*plain.name, &*plain.revision), ("apple/DFN2B-CLIP-ViT-B-16", "main"));
        assert_eq!(parse("hf://a/b@refs/pr/3").unwrap().revision, "refs/pr/3");
        for wrong in
            ["hf://a", "hf://a/b/c", "a/b", "hf://../b", "hf://a/..", "hf://a/b@", "hf://a/b@../x"]
        {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.contains("hf://ORG/NAME"), "{error}");
        }
    }

    #[test]
    fn the_token_is_for_the_hub_alone_and_is_not_shown() {
        assert_eq!(origin("https://h.co/a/b"), "https://h.co");
        assert_eq!(origin("http://h:8"), "http://h:8");
        let options = HubOptions {
            endpoint: "https://h.co/".into(),
            cache: PathBuf::new(),
            token: Some("secret".into()),
            offline: false,
        };
        assert!(!format!("{options:?}").contains("secret"));
        let repository = "hf://a/b".parse().unwrap();
        let place = Place {
            repository: &repository,
            options: &options,
            folder: PathBuf::new(),
            agent: agent(),
        };
        assert_eq!(place.token_for("https://h.co/a/b/resolve/x"), Some("secret"));
        assert_eq!(place.token_for("https://h.co.evil/a"), None);
    }
}
