//! Files that lie on purpose: sizes far beyond the file, endless names, deep nesting, every byte
//! turned over. Each is an error that names the file, or rows set aside and counted; never a panic,
//! and never more memory than the file earns.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use common::{PNG, f32_table, npy, npy_of, open, shard, tar_of, write_npz, write_table};
use curate_core::{EmbeddingSource, NoProgress, SampleId};
use curate_io::{
    Pool,
    npy::{MAGIC, UID_PAIR, header_bytes},
    npz::Npz,
    reshard::{ReshardOptions, reshard},
    sorted::SortedIds,
    subset::{self, SubsetFormat},
    table::Reader,
    vectors::StoredArray,
};
use peak_alloc::PeakAlloc;
use zip::CompressionMethod;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What the heap may hold beyond what a file of these sizes needs: buffers of readers.
const ROOM: usize = 48 << 20;

/// Held by every test from its start: the heap belongs to all threads of this process, and what one
/// test prepares would be counted against another.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most bytes on the heap while something is done, beyond those before.
fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let answer = work();
    (MEMORY.peak_usage().saturating_sub(before), answer)
}

/// What reading everything of a pool says is wrong with it.
fn complaints(path: &Path) -> Vec<String> {
    let pool = match open(path) {
        Ok(pool) => pool,
        Err(e) => return vec![e.to_string()],
    };
    let mut said = pool.notes().to_vec();
    let mut note = |answer: Result<(), String>| said.extend(answer.err());
    let rows: Vec<usize> = (0..pool.len().min(8)).collect();
    note(pool.samples_with_images(&rows).map(drop).map_err(|e| e.to_string()));
    note(pool.labels("text").map(drop).map_err(|e| e.to_string()));
    note(pool.numeric_columns().map_err(|e| e.to_string()).and_then(|names| {
        names.iter().try_for_each(|name| pool.column(name).map(drop).map_err(|e| e.to_string()))
    }));
    note(read_embeddings(&pool));
    said
}

fn read_embeddings(pool: &Pool) -> Result<(), String> {
    for name in pool.embedding_names().map_err(|e| e.to_string())? {
        let embedding = pool.embedding(&name).map_err(|e| e.to_string())?;
        let rows = embedding.rows().min(8);
        let mut out = vec![0.0; rows * embedding.dim()];
        embedding.read(0..rows, &mut out).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Everything that reads files, on one file; only a panic or a full memory is wrong.
fn read_by_all(path: &Path) {
    let _ = complaints(path);
    let _ = subset::read(path);
    let _ = SortedIds::open(path).map(|ids| ids.find(SampleId(1)));
    let _ = StoredArray::open_npy(path).map(|part| part.rows());
    let _ = Npz::open(path).map(|mut npz| {
        npz.names().iter().map(|name| npz.array(name).is_ok()).filter(|ok| *ok).count()
    });
    let _ = Reader::open(path)
        .map(|reader| reader.vector_columns().iter().all(|name| reader.vectors(name).is_ok()));
}

/// A deflated npz file of one array.
fn npz(bytes: Vec<u8>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    write_npz(&path, &[("img", bytes)], CompressionMethod::Deflated);
    fs::read(path).unwrap()
}

/// A tar header of a member, and what follows it.
fn member(kind: u8, size_field: [u8; 12], then: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..5].copy_from_slice(b"a.png");
    header.set_mode(0o644);
    header.as_old_mut().size = size_field;
    header.as_old_mut().linkflag = [kind];
    header.set_cksum();
    let mut bytes = [header.as_bytes(), then].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// The size of a member as old programs write it.
fn octal(size: u64) -> [u8; 12] {
    format!("{size:011o}\0").into_bytes().try_into().unwrap()
}

/// The size of a member as a binary number.
fn binary(first: u8, rest: [u8; 11]) -> [u8; 12] {
    let mut field = [first; 12];
    field[1..].copy_from_slice(&rest);
    field
}

/// Name, bytes and what is said of the file.
type Case = (&'static str, Vec<u8>, &'static str);

fn arrays() -> Vec<Case> {
    let deep = "[".repeat(500_000);
    let axes = "1,".repeat(300_000);
    let mut endless = [MAGIC.as_slice(), &[2, 0], &u32::MAX.to_le_bytes()].concat();
    endless.extend([b' '; 4096]);
    vec![
        ("a.npy", npy_of("'<f4'", "(1152921504606846976, 4)"), "promises 1152921504606846976 x 4"),
        ("a.npy", npy_of("'<f2'", "(9223372036854775807, 2)"), "but the file ends before"),
        ("a.npy", npy_of("'<f4'", "(99999999999999999999999, 4)"), "is no dictionary"),
        ("a.npy", npy_of("'<f4'", "(-1, 4)"), "is no dictionary"),
        ("a.npy", npy_of("'<f4'", "(1152921504606846976, 0)"), "holds vectors of 0 numbers"),
        ("a.npy", npy_of("'<f4'", &format!("({axes})")), "is no dictionary"),
        ("a.npy", npy_of("'|O'", "(4, 4)"), "has the element type '|O'"),
        ("a.npy", npy_of(&deep, "(4, 4)"), "is no dictionary"),
        ("a.npy", npy_of(&format!("'{deep}'"), "(4, 4)"), "is no dictionary"),
        (
            "a.npy",
            npy_of(&format!("'<V{}'", "9".repeat(500_000)), "(4, 4)"),
            "has the element type",
        ),
        ("a.npy", endless, "declares an npy header of 4294967295 bytes"),
        ("a.npy", npy(7, "{}"), "has npy version 7"),
        ("a.npy", vec![], "ends within its npy header"),
        ("a.npy", b"\x93NUMPY\x01\x00\xff\xff{'descr'".to_vec(), "ends within its npy header"),
    ]
}

#[test]
fn arrays_that_promise_the_world_are_refused() {
    let _alone = alone();
    check(arrays());
}

#[test]
fn packed_arrays_that_promise_the_world_are_refused_before_they_are_unpacked() {
    let _alone = alone();
    let zeros = vec![0; 64 << 20];
    let bomb = |shape: &[usize]| npz([header_bytes("'<f4'", shape), zeros.clone()].concat());
    let beside = |bytes: Vec<u8>, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        write_table(&folder.path().join("a.parquet"), &[(Some("1"), Some("x"))]);
        fs::write(folder.path().join("a.npz"), bytes).unwrap();
        let (bytes, said) = peak(|| complaints(folder.path()).join("\n"));
        assert!(said.contains("a.npz") && said.contains(expected), "{expected}: {said}");
        assert!(bytes < ROOM, "{expected}: {bytes} bytes");
    };
    beside(bomb(&[1 << 60, 4]), "promises 1152921504606846976 x 4 numbers, but");
    beside(bomb(&[1 << 62, 1 << 62]), "but the file ends before");
    beside(npz(npy(2, "{}")), "is no dictionary");
    beside(npz(vec![]), "ends within its npy header");

    // Sizes in the list of members that are no sizes of these members, and a list that is elsewhere.
    let whole = npz(f32_table(&[1.0; 64], 1, 64));
    let listed = whole.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    let end = whole.windows(4).rposition(|four| four == b"PK\x05\x06").unwrap();
    let changed = |at: usize, bytes: &[u8]| {
        let mut changed = whole.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    beside(changed(listed + 24, &[16, 0, 0, 0]), "array `img`");
    beside(changed(listed + 42, &[0xfe, 0xff, 0xff, 0x7f]), "array `img`");
    beside(changed(end + 8, &[0xff; 4]), "is not an npz file, or is cut off");
    beside(changed(end + 16, &[0xfe, 0xff, 0xff, 0x7f]), "is not an npz file, or is cut off");
}

#[test]
fn a_packed_array_with_a_path_for_a_name_is_never_written_there() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("pool");
    fs::create_dir(&inner).unwrap();
    write_table(&inner.join("a.parquet"), &[(Some("1"), Some("x"))]);
    let outside = folder.path().join("out.npy");
    let absolute = folder.path().join("out");
    let names = ["../out", absolute.to_str().unwrap(), "a/../../out"];
    let arrays = names.map(|name| (name, f32_table(&[1.0, 2.0], 1, 2)));
    write_npz(&inner.join("a.npz"), &arrays, CompressionMethod::Deflated);
    let pool = open(&inner).unwrap();
    for name in pool.embedding_names().unwrap() {
        let mut out = [0.0; 2];
        pool.embedding(&name).unwrap().read(0..1, &mut out).unwrap();
        assert_eq!(out, [1.0, 2.0]);
    }
    assert!(!outside.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn shards() -> Vec<Case> {
    let end = [0; 1024];
    let endless = |kind, then: &[u8]| {
        let size = octal(u64::try_from(then.len()).unwrap());
        [member(kind, size, then), shard(&["1"])].concat()
    };
    let long = vec![b'x'; 64 << 20];
    let mut pax = b"67108864 path=".to_vec();
    pax.resize((64 << 20) - 1, b'y');
    pax.push(b'\n');
    let deep = [vec![b'['; 200_000], vec![b']'; 200_000]].concat();
    let nested = tar_of(&[("a.png", PNG), ("a.json", &deep)]);
    let listed: &[u8] = b"[1, 2]";
    let pax_size = b"28 size=9223372036854775000\n";
    vec![
        ("a.tar", [member(b'0', octal((1 << 33) - 1), PNG), end.to_vec()].concat(), "is cut off"),
        (
            "a.tar",
            [member(b'0', binary(0x80, [0x7f; 11]), PNG), end.to_vec()].concat(),
            "is cut off",
        ),
        (
            "a.tar",
            [member(b'0', binary(0xff, [0xff; 11]), PNG), end.to_vec()].concat(),
            "is cut off",
        ),
        ("a.tar", [member(b'0', *b"99999999999\0", PNG), end.to_vec()].concat(), "is cut off"),
        (
            "a.tar",
            [member(b'x', octal(28), pax_size), member(b'0', octal(8), PNG), end.to_vec()].concat(),
            "is cut off",
        ),
        ("a.tar", endless(b'L', &long), "longer than"),
        ("a.tar", endless(b'K', &long), "longer than"),
        ("a.tar", endless(b'x', &pax), "longer than"),
        ("a.tar", nested, "`a.json` is not JSON"),
        ("a.tar", tar_of(&[("a.png", PNG), ("a.json", listed)]), "`a.json` is not a JSON object"),
        ("a.tar", vec![], "is empty"),
        ("a.tar", b"<!DOCTYPE html>".repeat(100), "is not a tar file"),
    ]
}

#[test]
fn shards_that_lie_about_sizes_and_names_are_refused() {
    let _alone = alone();
    check(shards());
}

#[test]
fn members_that_are_no_files_are_no_samples() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0.tar");
    let links: Vec<u8> = b"123456".iter().flat_map(|&kind| member(kind, octal(0), b"")).collect();
    fs::write(&path, [links, shard(&["7"])].concat()).unwrap();
    assert_eq!(open(&path).unwrap().len(), 1);
}

#[test]
fn resharding_takes_nothing_from_names() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let uid = SampleId(7).to_string();
    let record = format!("{{\"uid\": \"{uid}\"}}").into_bytes();
    let escape: &[u8] = b"{\"uid\": \"../../../evil\"}";
    let members: [(&str, &[u8]); 6] = [
        ("../../evil.png", PNG),
        ("../../evil.json", &record),
        ("/etc/evil2.png", PNG),
        ("/etc/evil2.json", escape),
        ("b.png", PNG),
        ("b.a/../../c", PNG),
    ];
    fs::create_dir(at("in")).unwrap();
    fs::write(at("in/0.tar"), tar_of(&members)).unwrap();
    subset::write(&at("s.npy"), SubsetFormat::Npy, &[SampleId(7)]).unwrap();
    let done = reshard(&at("in"), &at("s.npy"), &at("out"), ReshardOptions::default(), &NoProgress)
        .unwrap();
    assert_eq!(done.written, 1);
    let written = fs::read(at("out/00000000.tar")).unwrap();
    let mut archive = tar::Archive::new(&written[..]);
    let names: Vec<PathBuf> =
        archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().into_owned()).collect();
    assert_eq!(names, [format!("{uid}-0.json"), format!("{uid}-0.png")].map(PathBuf::from));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

fn lines() -> Vec<Case> {
    let deep = [vec![b'['; 1 << 20], vec![b']'; 1 << 20]].concat();
    let object = [br#"{"uid": "1", "x": "#.as_slice(), &deep, b"}\n"].concat();
    vec![
        ("a.jsonl", deep, "line 1 is not JSON"),
        ("a.jsonl", object, "line 1 is not JSON"),
        ("a.jsonl", vec![b'{'; 40 << 20], "line 1 is longer than 16 MiB"),
        ("a.jsonl", b"{\"uid\": \"1\"}\n\0\0\0\0\n".to_vec(), "line 2 is not JSON"),
        ("a.jsonl", b"{\"uid\": \"\xff\xfe\"}\n".to_vec(), "line 1 is not JSON"),
        ("a.jsonl", b"[1]\n".to_vec(), "line 1 is not a JSON object"),
    ]
}

#[test]
fn records_that_are_endless_or_bottomless_are_refused() {
    let _alone = alone();
    check(lines());
}

fn tables() -> Vec<Case> {
    let foot = |length: u32| [b"PAR1", &[7; 64][..], &length.to_le_bytes(), b"PAR1"].concat();
    let mut broken = [u32::MAX, i32::MAX.unsigned_abs(), 64, 0].map(foot).to_vec();
    broken.extend([vec![], f32_table(&[1.0], 1, 1)]);
    let refusal = "is not a Parquet file, or is cut off";
    broken.into_iter().map(|bytes| ("a.parquet", bytes, refusal)).collect()
}

#[test]
fn tables_with_impossible_footers_are_refused() {
    let _alone = alone();
    check(tables());
}

fn check(cases: Vec<Case>) {
    let folder = tempfile::tempdir().unwrap();
    for (number, (name, bytes, expected)) in cases.into_iter().enumerate() {
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        drop(bytes);
        let (bytes, said) = peak(|| complaints(&path).join("\n"));
        let short: String = said.chars().take(300).collect();
        let what = format!("{name}, case {number}");
        assert!(said.contains(name) && said.contains(expected), "{what}: {expected}: {short}");
        assert!(said.len() < 2000, "{what}: an error of {} bytes", said.len());
        assert!(bytes < ROOM, "{what}: {bytes} bytes on the heap");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn selections_that_are_none_say_so() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let header = |shape: &[usize]| header_bytes(UID_PAIR, shape);
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("s.npy", header(&[1 << 60]), "s.npy"),
        ("s.npy", [header(&[2]), vec![0; 16]].concat(), "s.npy"),
        ("s.npy", [header(&[1, 1]), vec![0; 16]].concat(), "s.npy"),
        ("s.npy", f32_table(&[1.0; 4], 1, 4), "s.npy"),
        ("s.memmap", vec![0; 17], "s.memmap"),
        ("s.txt", vec![0xff; 40], "s.txt: is not text; fetch or write the file again"),
        ("s.txt", b"1\n../../x\n".to_vec(), "../../x"),
        ("s.jsonl", b"{\"uid\": 5.5}\n".to_vec(), "s.jsonl"),
        ("s.jsonl", [vec![b'['; 1 << 20], vec![b']'; 1 << 20]].concat(), "s.jsonl"),
    ];
    for (name, bytes, expected) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let (bytes, [read, sorted]) = peak(|| {
            [subset::read(&path).err(), SortedIds::open(&path).err()]
                .map(|e| e.map(|e| e.to_string()).unwrap_or_default())
        });
        for said in [read, sorted] {
            assert!(said.contains(expected) && said.len() < 500, "{name}: {expected}: {said}");
        }
        assert!(bytes < ROOM, "{name}: {bytes} bytes on the heap");
    }
}

/// Small whole files of every format.
fn whole_files(folder: &Path) -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pools");
    let from = |name: &str| (name.rsplit('/').next().unwrap().to_owned(), data.join(name));
    let copied = ["parquet/f2/a.parquet", "parquet/f8/a.parquet", "npy/b.npy", "jsonl/a.jsonl"];
    let mut files: Vec<PathBuf> = Vec::new();
    for (number, (name, path)) in copied.map(from).into_iter().enumerate() {
        let inner = folder.join(number.to_string());
        fs::create_dir(&inner).unwrap();
        fs::copy(path, inner.join(&name)).unwrap();
        files.push(inner.join(name));
    }
    write_table(&folder.join("t.parquet"), &[(Some("1"), Some("x")), (None, None)]);
    for (name, method) in
        [("s.npz", CompressionMethod::Stored), ("d.npz", CompressionMethod::Deflated)]
    {
        let arrays = [("img", f32_table(&[0.5; 8], 2, 4)), ("txt", f32_table(&[0.25; 4], 2, 2))];
        write_npz(&folder.join(name), &arrays, method);
    }
    fs::write(folder.join("w.tar"), shard(&["1", "2"])).unwrap();
    subset::write(&folder.join("u.npy"), SubsetFormat::Npy, &[SampleId(1), SampleId(2)]).unwrap();
    files.extend(["t.parquet", "s.npz", "d.npz", "w.tar", "u.npy"].map(|name| folder.join(name)));
    files
}

/// Turns over bytes of whole files, one or four at a time, and cuts the files.
#[test]
fn no_byte_of_a_file_can_make_a_reader_panic_or_take_the_memory() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let files = whole_files(folder.path());
    // A caught panic of a library is no trouble, and no news.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let wrong: Vec<String> = files.iter().flat_map(|path| trouble_with(path)).collect();
    std::panic::set_hook(hook);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What goes wrong when single places of a file are damaged.
fn trouble_with(path: &Path) -> Vec<String> {
    let whole = fs::read(path).unwrap();
    let mut wrong = Vec::new();
    for at in (0..whole.len()).step_by(whole.len().div_ceil(400)) {
        for junk in [&[0xff][..], &[0], &[0x80], &[0xff, 0xff, 0xff, 0x7f], &[]] {
            let end = whole.len().min(at + junk.len());
            let rest = if junk.is_empty() { &[] } else { &whole[end..] };
            fs::write(path, [&whole[..at], &junk[..end - at], rest].concat()).unwrap();
            let read = AssertUnwindSafe(|| read_by_all(path));
            let (bytes, outcome) = peak(|| catch_unwind(read));
            if outcome.is_err() || bytes >= ROOM {
                let panicked = if outcome.is_err() { "a panic, " } else { "" };
                wrong.push(format!(
                    "{panicked}{bytes} bytes: {} at {at}: {junk:x?}",
                    path.display()
                ));
            }
        }
    }
    fs::write(path, whole).unwrap();
    wrong
}
