//! Networks from the Hugging Face hub (feature `hub`), into the cache that its own tools share.
//!
//! `hf://ORG/NAME` or `hf://ORG/NAME@REVISION` names a repository. Its files go to
//! `models--ORG--NAME/snapshots/COMMIT` in the cache folder, and `refs/REVISION` holds the commit, as
//! `huggingface_hub` has it, so that each finds what the other fetched. Files are whole or absent: a
//! download that was interrupted is resumed, and what the hub keeps with its SHA-256 must have it.

mod place;
mod repository;

use std::path::PathBuf;

use curate_core::Progress;
use curate_io::{IoError, atomic};

use place::{Place, agent};

pub use repository::{HubOptions, Repository};

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
    for shard in place.shards(needed, &snapshot)? {
        place.file(&info.sha, &shard, &snapshot.join(&shard), progress)?;
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
