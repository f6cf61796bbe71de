//! What lies at the hub, and the files that come from it.

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use curate_core::{Cancelled, Progress};
use curate_io::{IoError, Kind, digest};
use serde::Deserialize;
use ureq::{Agent, Body, http::Response};

use super::repository::{HubOptions, Repository};
use crate::hugging_face::shards;

/// How often a download that was interrupted is resumed.
const ATTEMPTS: usize = 5;
/// Bytes between two looks at whether to stop.
const BLOCK: usize = 1 << 18;
/// How often the hub may say that a repository has another name.
const RENAMES: usize = 5;

/// What a network is read from, in order of preference: open_clip's two files, or those of
/// `transformers`' `CLIPModel`, whose weights may be several files that an index names. The last of a list may
/// be absent.
const LAYOUTS: [(&[&str], &[&str]); 3] = [
    (&["open_clip_config.json", "open_clip_model.safetensors"], &[]),
    (&["config.json", "model.safetensors"], &["preprocessor_config.json"]),
    (&["config.json", shards::INDEX], &["preprocessor_config.json"]),
];

/// What the hub says of a revision.
#[derive(Deserialize)]
pub(super) struct Info {
    pub(super) sha: String,
    #[serde(default)]
    pub(super) siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
pub(super) struct Sibling {
    pub(super) rfilename: String,
}

/// What the hub says of a file.
struct Meta {
    url: String,
    /// The SHA-256 of its bytes, where the hub keeps it.
    sha256: Option<String>,
    size: Option<u64>,
}

/// A repository: where it lies at the hub, and where in the cache.
pub(super) struct Place<'a> {
    pub(super) repository: &'a Repository,
    pub(super) options: &'a HubOptions,
    pub(super) folder: PathBuf,
    pub(super) agent: Agent,
}

pub(super) fn agent() -> Agent {
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
    pub(super) fn cached(&self) -> Result<Option<PathBuf>, IoError> {
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
            LAYOUTS.iter().any(|(needed, _)| {
                needed.iter().all(|f| snapshot.join(f).exists())
                    && self.shards(needed, snapshot).is_ok_and(|shards| {
                        shards.iter().all(|shard| snapshot.join(shard).exists())
                    })
            })
        };
        match snapshot.filter(whole) {
            None if self.options.offline => {
                let problem = "is not in the cache, and HF_HUB_OFFLINE is set";
                Err(self.trouble(Kind::NotFound, problem, "fetch it once without"))
            }
            found => Ok(found),
        }
    }

    pub(super) fn info(&self) -> Result<Info, IoError> {
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
    pub(super) fn layout(
        &self,
        info: &Info,
    ) -> Result<(&'static [&'static str], Vec<&'static str>), IoError> {
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

    /// The files of weights that the index of a layout names, once it is there; none where it has no index.
    pub(super) fn shards(
        &self,
        needed: &[&str],
        snapshot: &Path,
    ) -> Result<BTreeSet<String>, IoError> {
        match needed.contains(&shards::INDEX) {
            true => shards::named(&snapshot.join(shards::INDEX)),
            false => Ok(BTreeSet::new()),
        }
    }

    /// Fetches a file of a commit, unless it is there.
    pub(super) fn file(
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
    pub(super) fn token_for(&self, url: &str) -> Option<&str> {
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
        let remedy = "fetch it again to go on where this stopped; HF_ENDPOINT names another hub";
        self.trouble(Kind::Os, problem, remedy)
    }

    pub(super) fn trouble(&self, kind: Kind, problem: impl Into<String>, remedy: &str) -> IoError {
        IoError::new(kind, self.repository.to_string(), problem, remedy)
    }
}

fn header<'a>(answer: &'a Response<Body>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

/// Scheme, host and port of an address.
pub(super) fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    &url[..end]
}
