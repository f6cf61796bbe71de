//! Fetching from a hub on this machine.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use common::{bytes, path};
use curate_core::{NoProgress, Progress};
use curate_dfn::{
    hub::{HubOptions, Repository, fetch},
    network::read_folder,
};
use curate_io::{Kind, digest};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub with one repository, `org/net`.
#[derive(Default)]
struct Hub {
    files: BTreeMap<String, Vec<u8>>,
    /// The digest that is told of the weights, where it is not theirs.
    told: Option<String>,
    /// The most bytes of an answer; the connection ends behind them.
    most: Option<usize>,
    /// Whether a token is asked for.
    gated: bool,
    log: Mutex<Vec<String>>,
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
}

fn request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    Some(Request { method, path, headers })
}

impl Hub {
    fn network() -> Self {
        let files = ["open_clip_config.json", "open_clip_model.safetensors"];
        let files = files.map(|name| (name.to_owned(), bytes(&format!("tiny/{name}"))));
        Self { files: files.into_iter().collect(), ..Self::default() }
    }

    /// Serves on this machine for as long as the test runs; answers the hub's address. The bytes lie at
    /// another, as they do in the world.
    fn serve(self: &Arc<Self>) -> String {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (hub, store) = (listen(), listen());
        let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (own, base) = (address(&hub), address(&store));
        for listener in [hub, store] {
            let (hub, base) = (Arc::clone(self), base.clone());
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if let Some(request) = request(&stream) {
                        hub.answer(&request, stream, &base);
                    }
                }
            });
        }
        own
    }

    fn answer(&self, request: &Request, mut stream: TcpStream, base: &str) {
        let Request { method, path, headers } = request;
        let range = headers.get("range").cloned().unwrap_or_default();
        self.log.lock().unwrap().push(format!("{method} {path} {range}"));
        let resolved = path.strip_prefix(&format!("/org/net/resolve/{COMMIT}/"));
        let token = headers.get("authorization").map(String::as_str);
        let mut say = |head: String, body: &[u8]| {
            let length = body.len();
            let head =
                format!("HTTP/1.1 {head}connection: close\r\ncontent-length: {length}\r\n\r\n");
            let most = self.most.filter(|_| path.starts_with("/store/")).unwrap_or(length);
            // The other side may have gone.
            let _ = stream.write_all(head.as_bytes());
            if method != "HEAD" {
                let _ = stream.write_all(&body[..length.min(most)]);
            }
        };
        if self.gated && !path.starts_with("/store/") && token != Some("Bearer t") {
            say("401 Unauthorized\r\n".into(), b"");
        } else if path == "/api/models/org/old/revision/main" {
            say("307 Moved\r\nlocation: /api/models/org/net/revision/main\r\n".into(), b"");
        } else if let Some(file) = path.strip_prefix("/org/old/resolve/") {
            say(format!("307 Moved\r\nlocation: /org/net/resolve/{file}\r\n"), b"");
        } else if path.starts_with("/api/models/org/net/revision/") {
            let names = self.files.keys().map(|name| format!(r#"{{"rfilename": "{name}"}}"#));
            let names = names.collect::<Vec<_>>().join(", ");
            let json = format!(r#"{{"sha": "{COMMIT}", "siblings": [{names}], "private": false}}"#);
            say("200 OK\r\n".into(), json.as_bytes());
        } else if let Some(name) = resolved.filter(|name| name.ends_with(".json")) {
            say("200 OK\r\netag: \"1234\"\r\n".into(), &self.files[name]);
        } else if let Some((name, file)) = resolved.and_then(|name| self.files.get_key_value(name))
        {
            let sha256 = self.told.clone().unwrap_or_else(|| digest::of_bytes(file));
            let head = format!(
                "302 Found\r\nlocation: {base}/store/{name}\r\nx-linked-size: {}\r\n\
                 x-linked-etag: \"{sha256}\"\r\n",
                file.len()
            );
            say(head, b"");
        } else if let Some(file) = path.strip_prefix("/store/").and_then(|n| self.files.get(n)) {
            assert_eq!(token, None, "the store is given no token");
            match range.strip_prefix("bytes=").and_then(|r| r.strip_suffix('-')?.parse().ok()) {
                Some(from) => say("206 Partial\r\n".into(), &file[from..]),
                None => say("200 OK\r\n".into(), file),
            }
        } else {
            say("404 Not Found\r\n".into(), b"");
        }
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().drain(..).collect()
    }
}

fn options(endpoint: &str, cache: &Path) -> HubOptions {
    HubOptions {
        endpoint: endpoint.to_owned(),
        cache: cache.to_owned(),
        token: None,
        offline: false,
    }
}

fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

#[test]
fn a_network_is_fetched_once_and_then_found() {
    let (hub, cache) = (Arc::new(Hub::network()), tempfile::tempdir().unwrap());
    let mut options = options(&hub.serve(), cache.path());
    let folder = fetch(&repository("hf://org/net"), &options, &NoProgress).unwrap();
    let expected = read_folder(&path("tiny")).unwrap();
    assert_eq!(read_folder(&folder).unwrap(), expected);
    // The layout of huggingface_hub, which the cache's own folder is read by, too.
    let root = cache.path().join("models--org--net");
    assert_eq!(folder, root.join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(read_folder(&root).unwrap(), expected);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 2, "no part is left");
    hub.log();
    fetch(&repository("hf://org/net"), &options, &NoProgress).unwrap();
    assert_eq!(hub.log(), ["GET /api/models/org/net/revision/main "], "nothing but the commit");
    let pinned = repository(&format!("hf://org/net@{COMMIT}"));
    fetch(&pinned, &options, &NoProgress).unwrap();
    options.offline = true;
    fetch(&repository("hf://org/net"), &options, &NoProgress).unwrap();
    assert!(hub.log().is_empty(), "a commit is asked for once, and offline no one is asked");
    let error = fetch(&repository("hf://org/other"), &options, &NoProgress).unwrap_err();
    assert!(error.to_string().contains("not in the cache"), "{error}");
}

/// A `CLIPModel` of two files of weights.
fn in_shards() -> Hub {
    let index = r#"{"metadata": {"total_size": 1}, "weight_map": {
        "a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
        "c": "model-00001-of-00002.safetensors"}}"#;
    let files = [
        ("config.json", "{}"),
        ("preprocessor_config.json", "{}"),
        ("model.safetensors.index.json", index),
        ("model-00001-of-00002.safetensors", "first"),
        ("model-00002-of-00002.safetensors", "second"),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    Hub { files: files.into_iter().collect(), ..Hub::default() }
}

#[test]
fn weights_in_several_files_come_with_their_index_and_are_checked_alike() {
    let (hub, cache) = (Arc::new(in_shards()), tempfile::tempdir().unwrap());
    let mut here = options(&hub.serve(), cache.path());
    let folder = fetch(&repository("hf://org/net"), &here, &NoProgress).unwrap();
    for (name, bytes) in &hub.files {
        assert!(fs::read(folder.join(name)).unwrap() == *bytes, "{name}");
    }
    // A commit counts as fetched once all its shards are there.
    let pinned = repository(&format!("hf://org/net@{COMMIT}"));
    hub.log();
    fetch(&pinned, &here, &NoProgress).unwrap();
    assert!(hub.log().is_empty());
    let second = folder.join("model-00002-of-00002.safetensors");
    fs::remove_file(&second).unwrap();
    here.offline = true;
    let error = fetch(&pinned, &here, &NoProgress).unwrap_err().to_string();
    assert!(error.contains("is not in the cache"), "{error}");
    here.offline = false;
    fetch(&pinned, &here, &NoProgress).unwrap();
    assert_eq!(fs::read(second).unwrap(), b"second");

    let refused = |hub: Hub| {
        let cache = tempfile::tempdir().unwrap();
        let options = options(&Arc::new(hub).serve(), cache.path());
        fetch(&repository("hf://org/net"), &options, &NoProgress).unwrap_err().to_string()
    };
    let other = refused(Hub { told: Some("0".repeat(64)), ..in_shards() });
    assert!(other.contains("model-00001-of-00002.safetensors has the SHA-256"), "{other}");
    let mut lost = in_shards();
    lost.files.remove("model-00002-of-00002.safetensors");
    assert!(refused(lost).contains("does not exist"));
    let mut elsewhere = in_shards();
    let index = br#"{"weight_map": {"a": "../../evil"}}"#.to_vec();
    elsewhere.files.insert("model.safetensors.index.json".into(), index);
    let error = refused(elsewhere);
    assert!(error.contains("names ../../evil, which is no file of this folder"), "{error}");
}

#[test]
fn a_download_that_breaks_off_is_gone_on_with() {
    let mut hub = Hub::network();
    let size = hub.files["open_clip_model.safetensors"].len();
    hub.most = Some(size / 3 + 1);
    let (hub, cache) = (Arc::new(hub), tempfile::tempdir().unwrap());
    let folder =
        fetch(&repository("hf://org/net"), &options(&hub.serve(), cache.path()), &NoProgress)
            .unwrap();
    assert_eq!(read_folder(&folder).unwrap(), read_folder(&path("tiny")).unwrap());
    let store: Vec<String> = hub.log().into_iter().filter(|l| l.contains("/store/")).collect();
    let third = size / 3 + 1;
    let from = |at: usize| format!("GET /store/open_clip_model.safetensors bytes={at}-");
    assert_eq!(store[1..], [from(third), from(2 * third)]);
}

/// Cancels after the first bytes.
struct Stop(AtomicBool);

impl Progress for Stop {
    fn start(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, by: u64) {
        self.0.fetch_or(by > 10_000, Ordering::Relaxed);
    }
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn a_cancelled_download_leaves_no_file_and_goes_on_later() {
    let (hub, cache) = (Arc::new(Hub::network()), tempfile::tempdir().unwrap());
    let options = options(&hub.serve(), cache.path());
    let repository = repository("hf://org/net");
    let error = fetch(&repository, &options, &Stop(AtomicBool::new(false))).unwrap_err();
    assert_eq!(error.kind, Kind::Cancelled);
    let snapshot = cache.path().join("models--org--net/snapshots").join(COMMIT);
    assert!(!snapshot.join("open_clip_model.safetensors").exists());
    assert!(!cache.path().join("models--org--net/refs").exists());
    hub.log();
    let folder = fetch(&repository, &options, &NoProgress).unwrap();
    assert!(hub.log().iter().any(|line| line.contains("bytes=")), "not from the start");
    assert_eq!(read_folder(&folder).unwrap(), read_folder(&path("tiny")).unwrap());
}

#[test]
fn other_bytes_than_the_hub_says_are_refused() {
    let hub = Hub { told: Some("0".repeat(64)), ..Hub::network() };
    let (hub, cache) = (Arc::new(hub), tempfile::tempdir().unwrap());
    let options = options(&hub.serve(), cache.path());
    let error = fetch(&repository("hf://org/net"), &options, &NoProgress).unwrap_err();
    assert!(error.to_string().contains("the hub says 0000"), "{error}");
    let snapshot = cache.path().join("models--org--net/snapshots").join(COMMIT);
    assert!(!snapshot.join("open_clip_model.safetensors").exists());
}

#[test]
fn what_cannot_be_fetched_is_an_error_with_its_remedy() {
    let cache = tempfile::tempdir().unwrap();
    let refused = |hub: Hub, name: &str| {
        let address = Arc::new(hub).serve();
        let error = fetch(&repository(name), &options(&address, cache.path()), &NoProgress);
        error.unwrap_err().to_string()
    };
    let missing = refused(Hub::network(), "hf://org/none");
    assert!(missing.contains("does not exist") && missing.contains("check the name"), "{missing}");
    let mut pickled = Hub::default();
    pickled.files.insert("open_clip_pytorch_model.bin".into(), vec![1]);
    let pickled = refused(pickled, "hf://org/net");
    assert!(pickled.contains("pickle") && pickled.contains("safetensors"), "{pickled}");
    let gated = refused(Hub { gated: true, ..Hub::network() }, "hf://org/net");
    assert!(gated.contains("HF_TOKEN"), "{gated}");
    let nobody = options("http://127.0.0.1:1", cache.path());
    let error = fetch(&repository("hf://org/net"), &nobody, &NoProgress).unwrap_err();
    assert!(error.to_string().contains("could not be fetched from http://127.0.0.1:1"), "{error}");
}

#[test]
fn a_token_opens_a_gated_repository_and_names_may_change() {
    let (hub, cache) = (Arc::new(Hub::network()), tempfile::tempdir().unwrap());
    let options = options(&hub.serve(), cache.path());
    let folder = fetch(&repository("hf://org/old"), &options, &NoProgress).unwrap();
    assert_eq!(read_folder(&folder).unwrap(), read_folder(&path("tiny")).unwrap());
    let gated = Arc::new(Hub { gated: true, ..Hub::network() });
    let options = HubOptions { token: Some("t".into()), endpoint: gated.serve(), ..options };
    fetch(&repository("hf://org/net"), &options, &NoProgress).unwrap();
}
