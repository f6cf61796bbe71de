//! Networks from the Hugging Face hub (feature `hub`), into the cache that its own tools share.
//!
//! `hf://ORG/NAME` or `hf://ORG/NAME@REVISION` names a repository. Its files go to
//! `models--ORG--NAME/snapshots/COMMIT` in the cache folder, and `refs/REVISION` holds the commit, as
//! `huggingface_hub` has it, so that each finds what the other fetched. Files are whole or absent: a
//! part that was interrupted is gone on with, and what the hub keeps with its SHA-256 must have it.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use curate_core::{Cancelled, Progress};
use curate_io::{IoError, Kind, atomic, digest};
use serde::Deserialize;
use ureq::{Agent, Body, http::Response};

/// How often a download that broke off is gone on with.
const ATTEMPTS: usize = 5;
/// Bytes between two looks at whether to stop.
const BLOCK: usize = 1 << 18;
/// How often the hub may say that a repository has another name.
const RENAMES: usize = 5;

/// What a network is read from, in order of preference: open_clip's two files, or those of
/// `transformers`' `CLIPModel`. The last of a list may be absent.
const LAYOUTS: [(&[&str], &[&str]); 2] = [
    (&["open_clip_config.json", "open_clip_model.safetensors"], &[]),
    (&["config.json", "model.safetensors"], &["preprocessor_config.json"]),
];

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

/// What the hub says of a revision.
#[derive(Deserialize)]
struct Info {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// What the hub says of a file.
struct Meta {
    url: String,
    /// The SHA-256 of its bytes, where the hub keeps it.
    sha256: Option<String>,
    size: Option<u64>,
}

struct Place<'a> {
    repository: &'a Repository,
    options: &'a HubOptions,
    folder: PathBuf,
    agent: Agent,
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .user_agent(concat!("curate/", env!("CARGO_PKG_VERSION")));
    Agent::new_with_config(config.build())
}

impl Place<'_> {
    /// The snapshot that needs no question: a commit that was fetched, or, offline, the revision.
    fn cached(&self) -> Result<Option<PathBuf>, IoError> {
        let revision = &self.repository.revision;
        let is_commit = revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit());
        let commit = if is_commit {
            Some(revision.clone())
        } else if self.options.offline {
            fs::read_to_string(self.folder.join("refs").join(revision)).ok()
        } else {
            None
        };
        let snapshot = commit.map(|commit| self.folder.join("snapshots").join(commit.trim()));
        let whole = |snapshot: &PathBuf| {
            LAYOUTS.iter().any(|(needed, _)| needed.iter().all(|f| snapshot.join(f).exists()))
        };
        match snapshot.filter(whole) {
            None if self.options.offline => {
                let problem = "is not in the cache, and HF_HUB_OFFLINE is set";
                Err(self.trouble(Kind::NotFound, problem, "fetch it once without"))
            }
            found => Ok(found),
        }
    }

    fn info(&self) -> Result<Info, IoError> {
        let Repository { name, revision } = self.repository;
        let revision = revision.replace('/', "%2F");
        let endpoint = self.options.endpoint.trim_end_matches('/');
        let mut url = format!("{endpoint}/api/models/{name}/revision/{revision}");
        let mut answer = self.get(&url, None)?;
        for _ in 0..RENAMES {
            let Some(to) = self.renamed(&answer) else { break };
            url = to;
            answer = self.get(&url, None)?;
        }
        self.check(&answer, &url)?;
        let text = answer.body_mut().read_to_string().map_err(|e| self.broken(&e))?;
        let info: Info = serde_json::from_str(&text).map_err(|e| {
            let problem = format!("{url} answered what is no description of a model");
            self.trouble(Kind::Malformed, problem, "check HF_ENDPOINT").caused_by(e)
        })?;
        // It becomes the name of a folder.
        if info.sha.is_empty() || !info.sha.bytes().all(|b| b.is_ascii_alphanumeric()) {
            let problem = format!("the hub names the commit `{}`", info.sha);
            return Err(self.trouble(Kind::Malformed, problem, "check HF_ENDPOINT"));
        }
        Ok(info)
    }

    /// The files to fetch: those of the first layout that is there whole.
    fn layout(&self, info: &Info) -> Result<(&'static [&'static str], Vec<&'static str>), IoError> {
        let there = |file: &str| info.siblings.iter().any(|s| s.rfilename == file);
        for (needed, wanted) in LAYOUTS {
            if needed.iter().all(|file| there(file)) {
                return Ok((needed, wanted.iter().copied().filter(|file| there(file)).collect()));
            }
        }
        let problem = if there("open_clip_pytorch_model.bin") || there("pytorch_model.bin") {
            "holds its weights as a PyTorch pickle alone, which can run code of its author"
        } else {
            "holds neither open_clip's network nor transformers' CLIPModel as safetensors"
        };
        let remedy = "name another repository, or save the weights as safetensors";
        Err(self.trouble(Kind::Unsupported, problem, remedy))
    }

    /// Fetches a file of a commit, unless it is there.
    fn file(
        &self,
        commit: &str,
        name: &str,
        target: &Path,
        progress: &dyn Progress,
    ) -> Result<(), IoError> {
        if target.exists() {
            return Ok(());
        }
        let meta = self.meta(commit, name)?;
        let parent = target.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent).map_err(|e| IoError::os(parent, "created", e))?;
        let part = self.folder.join(format!("{commit}.{name}.incomplete"));
        let failed = |e| IoError::os(&part, "written", e);
        let mut how = OpenOptions::new();
        let how = how.create(true).read(true).append(true);
        let mut file = how.open(&part).map_err(failed)?;
        // Two programs that fetch the same file take turns.
        file.lock().map_err(failed)?;
        if target.exists() {
            return Ok(());
        }
        progress.start(&format!("fetch {name}"), meta.size.unwrap_or(0), "bytes");
        self.download(&meta, &mut file, &part, progress)?;
        progress.finish();
        if let Some(expected) = &meta.sha256 {
            let found = digest::of_file(&part)?;
            if found != *expected {
                fs::remove_file(&part).map_err(failed)?;
                let problem = format!("{name} has the SHA-256 {found}, the hub says {expected}");
                return Err(self.trouble(Kind::Disagree, problem, "fetch it again"));
            }
        }
        file.sync_all().map_err(failed)?;
        fs::rename(&part, target).map_err(failed)
    }

    /// Appends to the part until it has the size that the hub says.
    fn download(
        &self,
        meta: &Meta,
        file: &mut File,
        part: &Path,
        progress: &dyn Progress,
    ) -> Result<(), IoError> {
        let failed = |e| IoError::os(part, "written", e);
        let mut told = 0;
        for attempt in 1.. {
            let there = file.seek(SeekFrom::End(0)).map_err(failed)?;
            if meta.size.is_some_and(|size| there > size) {
                file.set_len(0).map_err(failed)?;
                continue;
            }
            progress.advance(there.saturating_sub(told));
            told = told.max(there);
            if meta.size == Some(there) {
                return Ok(());
            }
            let end = self.append(meta, file, there, part, progress);
            let now = file.seek(SeekFrom::End(0)).map_err(failed)?;
            told = told.max(now);
            match end {
                // Without a size, the end of the answer is that of the file.
                Ok(()) if meta.size.is_none_or(|size| size == now) => return Ok(()),
                Err(e) if e.kind == Kind::Cancelled || attempt == ATTEMPTS => return Err(e),
                Ok(()) if attempt == ATTEMPTS => {
                    let problem = format!("{} ended after {now} bytes", meta.url);
                    return Err(self.trouble(Kind::Truncated, problem, "fetch it again"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Asks for the bytes from `from` on and appends what comes.
    fn append(
        &self,
        meta: &Meta,
        file: &mut File,
        from: u64,
        part: &Path,
        progress: &dyn Progress,
    ) -> Result<(), IoError> {
        let failed = |e| IoError::os(part, "written", e);
        let mut answer = self.get(&meta.url, Some(from).filter(|&from| from > 0))?;
        self.check(&answer, &meta.url)?;
        if from > 0 && answer.status() != 206 {
            // The whole file comes.
            file.set_len(0).map_err(failed)?;
        }
        let mut bytes = vec![0; BLOCK];
        let mut body = answer.body_mut().as_reader();
        loop {
            progress.check().map_err(|Cancelled| IoError::cancelled(part))?;
            let count = body.read(&mut bytes).map_err(|e| self.broken(&e))?;
            if count == 0 {
                return Ok(());
            }
            file.write_all(&bytes[..count]).map_err(failed)?;
            progress.advance(count as u64);
        }
    }

    /// Where a file's bytes are, and what they must be.
    fn meta(&self, commit: &str, name: &str) -> Result<Meta, IoError> {
        let endpoint = self.options.endpoint.trim_end_matches('/');
        let mut url = format!("{endpoint}/{}/resolve/{commit}/{name}", self.repository.name);
        let mut answer = self.head(&url)?;
        for _ in 0..RENAMES {
            let Some(to) = self.renamed(&answer) else { break };
            url = to;
            answer = self.head(&url)?;
        }
        self.check(&answer, &url)?;
        let header = |name: &str| header(&answer, name).map(|v| v.trim_matches('"').to_owned());
        let is_sha256 = |v: &String| v.len() == 64 && v.bytes().all(|b| b.is_ascii_hexdigit());
        let direct = answer.status().is_success();
        let length = || if direct { header("content-length") } else { None };
        Ok(Meta {
            sha256: header("x-linked-etag").or_else(|| header("etag")).filter(is_sha256),
            size: header("x-linked-size").or_else(length).and_then(|size| size.parse().ok()),
            // The address of the store, where the bytes are elsewhere; it takes no token.
            url: header("location").filter(|_| !direct).unwrap_or(url),
        })
    }

    /// The address that the hub sends to on its own host.
    fn renamed(&self, answer: &Response<Body>) -> Option<String> {
        let to = header(answer, "location").filter(|_| answer.status().is_redirection())?;
        let endpoint = self.options.endpoint.trim_end_matches('/');
        to.starts_with('/').then(|| format!("{}{to}", origin(endpoint)))
    }

    fn get(&self, url: &str, from: Option<u64>) -> Result<Response<Body>, IoError> {
        let mut url = url.to_owned();
        for _ in 0..RENAMES {
            let mut request = self.agent.get(&url).header("Accept-Encoding", "identity");
            if let Some(token) = self.token_for(&url) {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            if let Some(from) = from {
                request = request.header("Range", format!("bytes={from}-"));
            }
            let answer = request.call().map_err(|e| self.broken(&e))?;
            match header(&answer, "location") {
                Some(to) if answer.status().is_redirection() && to.contains("://") => {
                    url = to.to_owned();
                }
                _ => return Ok(answer),
            }
        }
        Err(self.trouble(Kind::Os, "sends from one address to the next", "try again later"))
    }

    fn head(&self, url: &str) -> Result<Response<Body>, IoError> {
        let mut request = self.agent.head(url).header("Accept-Encoding", "identity");
        if let Some(token) = self.token_for(url) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|e| self.broken(&e))
    }

    /// The token, for the hub itself and no other host.
    fn token_for(&self, url: &str) -> Option<&str> {
        let ours = origin(url) == origin(&self.options.endpoint);
        self.options.token.as_deref().filter(|_| ours)
    }

    fn check(&self, answer: &Response<Body>, url: &str) -> Result<(), IoError> {
        match answer.status().as_u16() {
            200..=399 => Ok(()),
            401 | 403 => {
                let problem = "does not exist, or asks for access";
                let remedy = "check the name; accept its terms on the hub and set HF_TOKEN";
                Err(self.trouble(Kind::Os, problem, remedy))
            }
            404 => {
                let problem = format!("does not exist ({url})");
                Err(self.trouble(Kind::NotFound, problem, "check the name and the revision"))
            }
            status => {
                let problem = format!("{url} answered with status {status}");
                Err(self.trouble(Kind::Os, problem, "try again later"))
            }
        }
    }

    fn broken(&self, error: &dyn fmt::Display) -> IoError {
        let problem = format!("could not be fetched from {}: {error}", self.options.endpoint);
        let remedy = "run the same command again to go on; HF_ENDPOINT names another hub";
        self.trouble(Kind::Os, problem, remedy)
    }

    fn trouble(&self, kind: Kind, problem: impl Into<String>, remedy: &str) -> IoError {
        IoError::new(kind, self.repository.to_string(), problem, remedy)
    }
}

fn header<'a>(answer: &'a Response<Body>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

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
