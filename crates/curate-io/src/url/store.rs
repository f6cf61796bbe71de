//! A place behind a URL: what lies there, and its bytes.

use std::{fmt::Display, future::Future, io::Write, path::Path, time::Duration};

use curate_core::Progress;
use futures_util::StreamExt;
use object_store::{
    ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig, aws::AmazonS3Builder,
    gcp::GoogleCloudStorageBuilder, http::HttpBuilder, path::Path as Key,
};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

use super::{
    access::{check_access, is_refusal, remedy_of_access},
    options::UrlOptions,
};
use crate::{
    atomic::AtomicFile,
    digest,
    error::{IoError, Kind},
};

/// A folder behind a URL.
pub(super) struct Store {
    url: String,
    store: Box<dyn ObjectStore>,
    folder: Key,
    lists: bool,
    runtime: Runtime,
}

/// A file there.
pub(super) struct Object {
    key: Key,
    /// Its path below the folder, with `/`.
    pub(super) name: String,
    pub(super) bytes: u64,
    /// What changes when the file does; `None` where the server says nothing of the kind.
    pub(super) tag: Option<String>,
}

impl Store {
    /// `url` is that of a folder, without a slash at its end.
    pub(super) fn open(url: &str, options: &UrlOptions) -> Result<Self, IoError> {
        let failed = |e: &dyn Display| wrong(url, e);
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let (host, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let folder = Key::parse(folder).map_err(|e| failed(&e))?;
        check_access(url, scheme, &options.settings)?;
        // reqwest and object_store are built without a cryptography library of their own choice.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store = match scheme {
            "s3" | "s3a" => bucket_of_s3(host, options).map_err(|e| failed(&e))?,
            "gs" => bucket_of_google(host, options).map_err(|e| failed(&e))?,
            "http" | "https" => server(scheme, host).map_err(|e| failed(&e))?,
            other => {
                let problem = format!("has the scheme `{other}`");
                let remedy = "URLs of s3, gs, http and https are read; fetch the files otherwise";
                return Err(IoError::new(Kind::Unsupported, url, problem, remedy));
            }
        };
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|e| failed(&e))?;
        let lists = !scheme.starts_with("http");
        Ok(Self { url: url.to_owned(), store, folder, lists, runtime })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The error about a file that is not there.
    pub(super) fn missing(&self, name: &str) -> IoError {
        let url = format!("{}/{name}", self.url);
        IoError::new(Kind::NotFound, url, "does not exist", "check the URL")
    }

    fn wait<T>(
        &self,
        name: &str,
        answer: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, IoError> {
        self.runtime.block_on(answer).map_err(|e| self.failed(name, e))
    }

    fn failed(&self, name: &str, error: object_store::Error) -> IoError {
        let url = if name.is_empty() { self.url.clone() } else { format!("{}/{name}", self.url) };
        match error {
            object_store::Error::NotFound { .. } => self.missing(name),
            refused if is_refusal(&refused) => {
                let remedy = remedy_of_access(self.url.split("://").next().unwrap_or_default());
                IoError::new(Kind::Os, url, "may not be read", remedy)
            }
            other => wrong(&url, &other),
        }
    }

    /// The files in the folder itself and in those of its folders that `wanted` names.
    pub(super) fn list(&self, wanted: &[&str]) -> Result<Vec<Object>, IoError> {
        if !self.lists {
            let problem = "is no file, and over HTTP no folder can be listed";
            let remedy = "name a file or a pattern, as in https://host/{00000..00099}.tar";
            return Err(IoError::new(Kind::Unsupported, &self.url, problem, remedy));
        }
        let found = self.wait("", self.store.list_with_delimiter(Some(&self.folder)))?;
        let mut objects: Vec<Object> =
            found.objects.into_iter().filter_map(|meta| self.object(meta)).collect();
        for inner in found.common_prefixes {
            if inner.filename().is_some_and(|name| wanted.contains(&name)) {
                let found = self.wait("", self.store.list_with_delimiter(Some(&inner)))?;
                objects.extend(found.objects.into_iter().filter_map(|meta| self.object(meta)));
            }
        }
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    }

    /// The file `name` of the folder, if it is there.
    pub(super) fn find(&self, name: &str) -> Result<Option<Object>, IoError> {
        let mut parts: Vec<_> = self.folder.parts().collect();
        parts.push(name.into());
        let key = Key::from_iter(parts);
        match self.runtime.block_on(self.store.head(&key)) {
            Ok(meta) => Ok(self.object(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(name, e)),
        }
    }

    fn object(&self, meta: ObjectMeta) -> Option<Object> {
        let parts: Vec<String> =
            meta.location.prefix_match(&self.folder)?.map(|p| p.as_ref().to_owned()).collect();
        let plain = |part: &String| !part.starts_with('.') && !part.contains(['/', '\\']);
        if parts.is_empty() || !parts.iter().all(plain) {
            return None;
        }
        let dated = meta.last_modified.timestamp() > 0;
        let date = dated.then(|| meta.last_modified.to_rfc3339());
        let name = parts.join("/");
        Some(Object { key: meta.location, name, bytes: meta.size, tag: meta.e_tag.or(date) })
    }

    /// Writes a file's bytes to `path` as they come, and answers their SHA-256.
    pub(super) fn fetch(
        &self,
        object: &Object,
        path: &Path,
        progress: &dyn Progress,
    ) -> Result<String, IoError> {
        let mut file = AtomicFile::create(path)?;
        let (mut hasher, mut bytes) = (Sha256::new(), 0_u64);
        let found = self.wait(&object.name, self.store.get(&object.key))?;
        let mut stream = found.into_stream();
        while let Some(piece) = self.runtime.block_on(stream.next()) {
            progress.check().map_err(|_| IoError::cancelled(path))?;
            let piece = piece.map_err(|e| self.failed(&object.name, e))?;
            bytes += piece.len() as u64;
            if bytes > object.bytes {
                break;
            }
            hasher.update(&piece);
            file.write_all(&piece).map_err(|e| IoError::os(path, "written", e))?;
            progress.advance(piece.len() as u64);
        }
        if bytes != object.bytes {
            let url = format!("{}/{}", self.url, object.name);
            let problem =
                format!("has other bytes than it said: {bytes} came, {} were said", object.bytes);
            return Err(IoError::new(Kind::Truncated, url, problem, "fetch it once more"));
        }
        file.commit()?;
        Ok(digest::hex(&hasher.finalize()))
    }
}

/// Servers that are busy are asked again, for a minute at most.
fn retry() -> RetryConfig {
    RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() }
}

/// The settings go to the builder by name; those of other stores, and what it does not know, are none
/// of its own.
fn bucket_of_s3(name: &str, options: &UrlOptions) -> object_store::Result<Box<dyn ObjectStore>> {
    let mut builder = AmazonS3Builder::new().with_bucket_name(name).with_retry(retry());
    for (name, value) in &options.settings {
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    Ok(Box::new(builder.build()?))
}

fn bucket_of_google(
    name: &str,
    options: &UrlOptions,
) -> object_store::Result<Box<dyn ObjectStore>> {
    let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(name).with_retry(retry());
    for (name, value) in &options.settings {
        if let Ok(key) = name.parse() {
            builder = builder.with_config(key, value);
        }
    }
    Ok(Box::new(builder.build()?))
}

fn server(scheme: &str, host: &str) -> object_store::Result<Box<dyn ObjectStore>> {
    let client = ClientOptions::new().with_allow_http(scheme == "http");
    let builder = HttpBuilder::new().with_url(format!("{scheme}://{host}"));
    Ok(Box::new(builder.with_client_options(client).with_retry(retry()).build()?))
}

/// What a library says, in one line.
fn wrong(url: &str, error: &dyn Display) -> IoError {
    let said: String = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let said: String = said.chars().take(400).collect();
    IoError::new(
        Kind::Os,
        url,
        format!("could not be read: {said}"),
        "check the URL and the network",
    )
}
