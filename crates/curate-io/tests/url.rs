//! Pools behind URLs, served by a few lines of HTTP in this process: plain files, and a bucket that
//! answers as S3 and Google Cloud Storage do.

#![cfg(feature = "object-store")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use common::shard;
use curate_core::{EmbeddingSource, NoProgress};
use curate_io::{
    IoError, Kind, Pool, PoolOptions, digest,
    pool::{BadShards, Format},
    url::{FilesWanted, UrlOptions, local, local_with},
};
use tempfile::TempDir;

type Files = BTreeMap<String, Vec<u8>>;

/// A server of files, which counts what it sends.
struct Server {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    files: Mutex<Files>,
    log: Mutex<Vec<String>>,
    /// How often a file was asked for.
    asked: Mutex<BTreeMap<String, usize>>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    /// The first byte that is asked for.
    from: Option<usize>,
}

impl Server {
    fn start(files: Files) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared { files: Mutex::new(files), ..Shared::default() });
        let server = Self { address, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let request = Request::read(&stream);
                    // Who hangs up early is not waited for.
                    let _ = shared.answer(stream, &request);
                });
            }
        });
        server
    }

    fn url(&self, path: &str) -> PathBuf {
        format!("http://{}/{path}", self.address).into()
    }

    /// The files sent since the last question.
    fn sent(&self) -> Vec<String> {
        let mut sent = std::mem::take(&mut *self.shared.log.lock().unwrap());
        sent.sort_unstable();
        sent
    }
}

impl Request {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let (mut first, mut line, mut from) = (String::new(), String::new(), None);
        reader.read_line(&mut first).unwrap();
        while reader.read_line(&mut line).unwrap() > 2 {
            let lower = line.to_lowercase();
            let range = lower.strip_prefix("range: bytes=").and_then(|r| r.split_once('-'));
            from = from.or(range.and_then(|(from, _)| from.parse().ok()));
            line.clear();
        }
        let mut words = first.split_whitespace().map(str::to_owned);
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let path = decoded(path.trim_start_matches('/'));
        Self { method, path, query: query.to_owned(), from }
    }
}

/// Google's client writes `%2F` for the slashes of an object's name.
fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        out.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
        out += &part[2..];
    }
    out
}

impl Shared {
    /// Files called `secret` may not be read, `busy` ones come at the third try, `down` ones never,
    /// `cut` ones break off in the middle once, `lying` ones each time, `untagged` ones have no tag.
    fn answer(&self, mut stream: TcpStream, request: &Request) -> std::io::Result<()> {
        let is = |kind: &str| request.path.contains(kind);
        let tries = self.count(request);
        let mut refuse = |status: &str| {
            let end = "Content-Length: 0\r\nConnection: close";
            stream.write_all(format!("HTTP/1.1 {status}\r\n{end}\r\n\r\n").as_bytes())
        };
        if is("down") || is("busy") && tries < 3 {
            return refuse("503 Slow Down");
        }
        if is("secret") {
            return refuse("403 Forbidden");
        }
        let files = self.files.lock().unwrap();
        let listed = request.query.contains("list-type=2");
        let body = match listed {
            true => Some(listing(&files, request).into_bytes()),
            false => files.get(&request.path).cloned(),
        };
        drop(files);
        let Some(body) = body else { return refuse("404 Not Found") };
        let from = request.from.unwrap_or(0);
        let length = body.len() - from + if is("lying") { 10 } else { 0 };
        let mut head = match request.from {
            Some(from) => {
                let (last, all) = (body.len() - 1, body.len());
                format!("HTTP/1.1 206 Part\r\nContent-Range: bytes {from}-{last}/{all}\r\n")
            }
            None => "HTTP/1.1 200 OK\r\n".to_owned(),
        };
        write!(head, "Content-Length: {length}\r\nConnection: close\r\n").unwrap();
        if !is("untagged") {
            let date = "Last-Modified: Tue, 15 Nov 1994 12:45:26 GMT";
            write!(head, "ETag: \"{}\"\r\n{date}\r\n", digest::of_bytes(&body)).unwrap();
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        if request.method != "GET" {
            return Ok(());
        }
        if !listed {
            let range = request.from.map_or(String::new(), |from| format!(" from {from}"));
            self.log.lock().unwrap().push(format!("{}{range}", request.path));
        }
        let end = if is("cut") && tries == 1 { body.len() / 2 } else { body.len() };
        stream.write_all(&body[from..end])
    }

    fn count(&self, request: &Request) -> usize {
        if request.method != "GET" {
            return usize::MAX;
        }
        let mut asked = self.asked.lock().unwrap();
        let tries = asked.entry(request.path.clone()).or_default();
        *tries += 1;
        *tries
    }
}

/// Entries of a page of a listing.
const PAGE: usize = 2;

/// A page of what S3 lists of a bucket's folder.
fn listing(files: &Files, request: &Request) -> String {
    let value = |key: &str| {
        let mut pairs = request.query.split('&');
        let found = pairs.find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_default().replace("%2F", "/")
    };
    let prefix = value("prefix");
    let start = format!("{}/", request.path.trim_end_matches('/'));
    let mut entries = Vec::new();
    for (name, bytes) in files {
        let Some(key) = name.strip_prefix(&start) else { continue };
        let Some(rest) = key.strip_prefix(&prefix) else { continue };
        if let Some((folder, _)) = rest.split_once('/') {
            entries.push(format!(
                "<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>"
            ));
            continue;
        }
        let (size, tag) = (bytes.len(), digest::of_bytes(bytes));
        entries.push(format!(
            "<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>\
             <ETag>\"{tag}\"</ETag><Size>{size}</Size></Contents>"
        ));
    }
    entries.dedup();
    let first: usize = value("continuation-token").parse().unwrap_or(0);
    let end = entries.len().min(first + PAGE);
    let more = match end < entries.len() {
        true => format!("<NextContinuationToken>{end}</NextContinuationToken>"),
        false => String::new(),
    };
    format!(
        "<ListBucketResult><IsTruncated>{}</IsTruncated>{more}{}</ListBucketResult>",
        end < entries.len(),
        entries[first..end].concat()
    )
}

/// A cache of its own, and the stores at the server's address.
fn options(cache: &TempDir, server: &Server) -> UrlOptions {
    let endpoint = format!("http://{}", server.address);
    let settings = [
        ("aws_endpoint", endpoint.as_str()),
        ("aws_allow_http", "true"),
        ("aws_skip_signature", "true"),
        ("aws_region", "us-east-1"),
        ("google_base_url", endpoint.as_str()),
        ("google_skip_signature", "true"),
        ("google_allow_http", "true"),
        ("allow_http", "true"),
    ];
    UrlOptions {
        cache: cache.path().to_owned(),
        limit: 1 << 30,
        settings: settings.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
    }
}

fn open(url: &Path, options: &UrlOptions, wanted: FilesWanted) -> Result<Pool, IoError> {
    Pool::open_url(url, PoolOptions::default(), wanted, options, &NoProgress)
}

/// The fixture's metadata under a folder of the server.
fn metadata(folder: &str) -> Files {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/datacomp_mini/metadata");
    let entries = fs::read_dir(fixture).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            (format!("{folder}/{name}"), fs::read(&path).unwrap())
        })
        .collect()
}

#[test]
fn metadata_in_buckets_is_fetched_once_and_embeddings_when_they_are_asked_for() {
    for scheme in ["s3", "gs"] {
        let mut files = metadata("bucket/pools/mini/metadata");
        files.insert("bucket/pools/mini/shards/00000000.tar".into(), vec![1; 5000]);
        files.insert("bucket/pools/mini/README.md".into(), b"not needed".to_vec());
        files.insert("bucket/pools/other/0.parquet".into(), b"not asked for".to_vec());
        let (server, cache) = (Server::start(files), tempfile::tempdir().unwrap());
        let options = options(&cache, &server);
        let url = PathBuf::from(format!("{scheme}://bucket/pools/mini/"));
        let pool = open(&url, &options, FilesWanted::Tables).unwrap();
        assert_eq!((pool.len(), pool.format(), pool.path()), (300, Format::Datacomp, &*url));
        assert_eq!(pool.column("clip_l14_similarity_score").unwrap().len(), 300);
        assert!(pool.embedding_names().unwrap().is_empty());
        let sent = server.sent();
        assert!(sent.len() == 3 && sent.iter().all(|name| name.ends_with(".parquet")), "{sent:?}");

        let again = open(&url, &options, FilesWanted::Tables).unwrap();
        assert_eq!((again.ids(), server.sent().len()), (pool.ids(), 0));
        let whole = open(&url, &options, FilesWanted::Embeddings).unwrap();
        let features = whole.embedding("l14_img").unwrap();
        assert_eq!((features.rows(), features.dim(), server.sent().len()), (300, 768, 6));

        // A shard that is gone there is gone here, and one that changed is fetched again.
        let mut files = server.shared.files.lock().unwrap();
        let parquet = |name: &&String| name.ends_with(".parquet") && name.contains("mini");
        let names: Vec<String> = files.keys().filter(parquet).cloned().collect();
        files.remove(&names[0]);
        let other = files[&names[2]].clone();
        files.insert(names[1].clone(), other);
        drop(files);
        let less = open(&url, &options, FilesWanted::Tables).unwrap();
        assert_eq!((less.shards().len(), server.sent()), (2, vec![names[1].clone()]));
    }
}

#[test]
fn shards_and_arrays_are_read_over_http_by_name_and_by_pattern() {
    let mut files = Files::new();
    for name in ["00", "01", "03"] {
        files.insert(format!("s/{name}.tar"), shard(&[name]));
    }
    files.insert("s/00_stats.json".into(), b"{\"successes\": 1}".to_vec());
    let array = common::f32_table(&[1.0, 0.0, 0.0, 1.0], 2, 2);
    files.insert("v/a.npy".into(), array);
    let (server, cache) = (Server::start(files), tempfile::tempdir().unwrap());
    let options = options(&cache, &server);
    let pool = open(&server.url("s/{00..01}.tar"), &options, FilesWanted::Tables).unwrap();
    assert_eq!((pool.len(), pool.format()), (2, Format::Webdataset));
    assert_eq!(server.sent(), ["s/00.tar", "s/00_stats.json", "s/01.tar"]);
    let pool = open(&server.url("v/a.npy"), &options, FilesWanted::Embeddings).unwrap();
    let mut out = [0.0; 4];
    pool.embedding("embedding").unwrap().read(0..2, &mut out).unwrap();
    assert_eq!(out, [1.0, 0.0, 0.0, 1.0]);

    // A gap in a pattern is what it is for files of this machine.
    let gap = server.url("s/{00..03}.tar");
    let error = open(&gap, &options, FilesWanted::Tables).err().unwrap();
    assert!(error.to_string().contains("is in the pattern but does not exist"), "{error}");
    let skip = PoolOptions { format: None, bad_shards: BadShards::Skip, ids: None };
    let pool = Pool::open_url(&gap, skip, FilesWanted::Tables, &options, &NoProgress).unwrap();
    assert_eq!((pool.len(), pool.skipped().len()), (3, 1));
}

#[test]
fn what_cannot_be_fetched_is_named_and_leaves_nothing() {
    let mut files = metadata("bucket/m");
    files.insert("lying/a.npy".into(), vec![0; 1000]);
    let (server, cache) = (Server::start(files), tempfile::tempdir().unwrap());
    let small = UrlOptions { limit: 100_000, ..options(&cache, &server) };
    let options = options(&cache, &server);
    let of = |url: &Path, options| open(url, options, FilesWanted::Embeddings).err().unwrap();
    let missing = of(&server.url("none/a.tar"), &options);
    assert_eq!(missing.kind, Kind::NotFound);
    assert!(missing.to_string().contains("none/a.tar: does not exist; check the URL"), "{missing}");
    let folder = of(&server.url("m"), &options).to_string();
    assert!(folder.contains("over HTTP no folder can be listed"), "{folder}");
    let refused = of(&server.url("secret/a.tar"), &options).to_string();
    assert!(
        refused.contains("secret/a.tar: may not be read; only what needs no login"),
        "{refused}"
    );
    let empty = of(Path::new("s3://bucket/nothing"), &options).to_string();
    assert!(empty.contains("holds no pool, or nothing at all"), "{empty}");
    let scheme = of(Path::new("ftp://host/a.tar"), &options).to_string();
    assert!(scheme.contains("has the scheme `ftp`"), "{scheme}");
    let large = of(Path::new("s3://bucket/m"), &small);
    assert_eq!(large.kind, Kind::DiskFull);
    assert!(large.to_string().contains("raise CURATE_CACHE_LIMIT"), "{large}");
    let cut = of(&server.url("lying/a.npy"), &options);
    assert!(cut.to_string().contains("lying/a.npy"), "{cut}");
    let left = fs::read_dir(cache.path())
        .unwrap()
        .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let left: Vec<_> = left
        .map(|entry| entry.unwrap().file_name())
        .filter(|n| n != ".curate-remote.json")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_file_without_a_tag_is_fetched_each_time_and_paths_are_left_alone() {
    let files = Files::from([("untagged/a.tar".to_owned(), shard(&["1"]))]);
    let (server, cache) = (Server::start(files), tempfile::tempdir().unwrap());
    let options = options(&cache, &server);
    let url = server.url("untagged/a.tar");
    for _ in 0..2 {
        let here = local_with(&url, None, FilesWanted::Shards, &options, &NoProgress).unwrap();
        assert_eq!(fs::read(here).unwrap(), shard(&["1"]));
        assert_eq!(server.sent(), ["untagged/a.tar"]);
    }
    let here = Path::new("some/folder");
    assert_eq!(local(here, FilesWanted::Tables, &NoProgress).unwrap(), here);
}

#[test]
fn a_busy_server_is_asked_again_and_a_cut_file_gone_on_with() {
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let array = [curate_io::npy::header_bytes("'<f4'", &[3000, 1000]), bytes].concat();
    let files = ["busy/a.npy", "cut/a.npy"].map(|name| (name.to_owned(), array.clone()));
    let (server, cache) = (Server::start(Files::from(files)), tempfile::tempdir().unwrap());
    let options = options(&cache, &server);
    let fetch = |path: &str| {
        local_with(&server.url(path), None, FilesWanted::Embeddings, &options, &NoProgress).unwrap()
    };
    assert!(fs::read(fetch("busy/a.npy")).unwrap() == array);
    assert_eq!(server.sent(), ["busy/a.npy"]);
    assert!(fs::read(fetch("cut/a.npy")).unwrap() == array);
    let sent = server.sent();
    let down = server.url("down/a.npy");
    let error =
        local_with(&down, None, FilesWanted::Embeddings, &options, &NoProgress).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("down/a.npy: could not be read: "), "{said}");
    assert!(said.contains("503") && said.ends_with("; check the URL and the network"), "{said}");
    let (whole, rest) = (&sent[0], &sent[1]);
    assert!(whole == "cut/a.npy" && rest.starts_with("cut/a.npy from "), "{sent:?}");
}

#[test]
fn buckets_that_refuse_name_the_variables_to_set() {
    let (server, cache) = (Server::start(metadata("secret/m")), tempfile::tempdir().unwrap());
    let options = options(&cache, &server);
    let of = |url: &str, options: &UrlOptions| {
        open(Path::new(url), options, FilesWanted::Tables).err().unwrap().to_string()
    };
    for (url, variable) in [
        ("s3://secret/m", "AWS_ACCESS_KEY_ID"),
        ("gs://secret/m", "GOOGLE_APPLICATION_CREDENTIALS"),
    ] {
        let refused = of(url, &options);
        assert!(refused.starts_with(&format!("{url}: may not be read; set ")), "{refused}");
        assert!(refused.contains(variable), "{refused}");
    }
    let none = UrlOptions { settings: vec![], ..options.clone() };
    let refused = of("s3://secret/m", &none);
    assert!(refused.starts_with("s3://secret/m: needs credentials, and none are set"), "{refused}");
    assert!(refused.contains("AWS_SKIP_SIGNATURE=true for a public bucket"), "{refused}");
    let missing = of("s3://nowhere/m", &options);
    assert!(missing.contains("s3://nowhere/m"), "{missing}");
    let shown = format!(
        "{:?}",
        UrlOptions { settings: vec![("aws_secret_access_key".into(), "hush".into())], ..options }
    );
    assert!(shown.contains("aws_secret_access_key") && !shown.contains("hush"), "{shown}");
}
