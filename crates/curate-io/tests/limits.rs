//! What is found although nobody asks for it (a changed byte, a pipe among files), and what is refused
//! before memory is taken for it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{fs, path::Path, process::Command, sync::Arc};

use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use common::{PNG, complaint, f32_table, npy_of, open, stored, tar_of, write_npz, write_table};
use curate_core::{EmbeddingSource, NoProgress, fault::Fault};
use curate_io::{
    Embedding, Pool, PoolOptions,
    npz::Npz,
    pool::BadShards,
    reshard::{ReshardOptions, reshard},
    subset,
    table::Reader,
    vectors::{LONGEST_VECTOR, StoredArray},
};
use parquet::{
    arrow::ArrowWriter,
    data_type::{ByteArray, ByteArrayType},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use tempfile::TempDir;
use zip::CompressionMethod;

const UIDS: [&str; 2] = ["00000000000000000000000000000001", "00000000000000000000000000000002"];

/// A pool of two rows.
fn two_rows() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_table(&folder.path().join("a.parquet"), &UIDS.map(|uid| (Some(uid), Some("x"))));
    folder
}

/// What reading rows in this order of blocks of 100 says.
fn read_blocks(rows: &Embedding, order: impl Iterator<Item = usize>) -> Result<(), String> {
    let mut out = vec![0.0; 100 * rows.dim()];
    order.into_iter().try_for_each(|block| {
        rows.read(100 * block..100 * (block + 1), &mut out).map_err(|e| {
            let cause = std::error::Error::source(&e).map(ToString::to_string);
            format!("{e} {}", cause.unwrap_or_default())
        })
    })
}

#[test]
fn a_changed_byte_of_a_stored_array_is_an_error_once_all_rows_were_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let values: Vec<f32> = (0..1000 * 64_u64).map(|i| (i * i % 977) as f32).collect();
    let table = f32_table(&values, 1000, 64);
    let fortran = String::from_utf8_lossy(&table[..128]).replace("False", "True ");
    let mut fortran_table = table.clone();
    fortran_table.splice(10..128, fortran.chars().skip(10).map(|c| c as u8));
    write_npz(&path, &[("img", table), ("columns", fortran_table)], CompressionMethod::Stored);
    let whole = fs::read(&path).unwrap();
    let read = |order: &[usize]| {
        let rows = Embedding::new(vec![Npz::open(&path).unwrap().array("img").unwrap()]).unwrap();
        read_blocks(&rows, order.iter().copied())
    };
    let (forth, back) = ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!((read(&forth), read(&back)), (Ok(()), Ok(())));
    Npz::open(&path).unwrap().verify(&NoProgress).unwrap();

    let mut changed = whole.clone();
    changed[128 + 5000] ^= 4;
    fs::write(&path, &changed).unwrap();
    for order in [forth, back, [0, 0, 2, 1, 3, 9, 8, 7, 4, 5]].iter().zip([true, true, false]) {
        let (order, all) = order;
        let error = read(order).err();
        assert_eq!(error.is_some(), all, "{order:?}: {error:?}");
        if let Some(error) = error {
            let expected = "a.npz: array `img` does not have the bytes of its checksum";
            assert!(error.contains(expected), "{error}");
        }
    }
    let error = Npz::open(&path).unwrap().verify(&NoProgress).unwrap_err().to_string();
    assert!(error.contains("a.npz: member `img.npy` does not have the bytes"), "{error}");
    Npz::open(&path).unwrap().array("columns").unwrap();

    let mut changed = whole;
    let at = changed.len() - 1000;
    changed[at] ^= 4;
    fs::write(&path, &changed).unwrap();
    assert_eq!(read(&forth), Ok(()));
    let error = Npz::open(&path).unwrap().array("columns").unwrap_err().to_string();
    assert!(error.contains("array `columns` does not have the bytes of its checksum"), "{error}");
}

#[test]
fn a_packed_array_of_other_rows_is_refused_before_it_is_unpacked() {
    let folder = two_rows();
    let npz = folder.path().join("a.npz");
    let table = f32_table(&vec![0.25; 64 * 4000], 4000, 64);
    write_npz(&npz, &[("img", table)], CompressionMethod::Deflated);
    // What is packed is broken: who unpacks it first says so.
    let mut bytes = fs::read(&npz).unwrap();
    let end = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    bytes[end - 40..end - 20].fill(0x55);
    fs::write(&npz, bytes).unwrap();
    let error = open(folder.path()).unwrap().embedding("img").unwrap_err().to_string();
    assert!(error.contains("array `img` has 4000 rows"), "{error}");
}

#[test]
fn vectors_longer_than_anyone_embeds_with_are_refused() {
    let folder = two_rows();
    let dim = LONGEST_VECTOR + 1;
    stored(&folder.path().join("a.npz"), "img", f32_table(&vec![0.5; 2 * dim], 2, dim));
    let error = open(folder.path()).unwrap().embedding("img").unwrap_err().to_string();
    assert!(error.contains("vectors of 65537 numbers, more than the limit of 65536"), "{error}");
    let npy = folder.path().join("b.npy");
    fs::write(&npy, f32_table(&vec![0.5; 2 * dim], 2, dim)).unwrap();
    assert!(StoredArray::open_npy(&npy).is_err());
    fs::write(&npy, f32_table(&vec![0.5; 2 * (dim - 1)], 2, dim - 1)).unwrap();
    assert_eq!(StoredArray::open_npy(&npy).unwrap().dim(), LONGEST_VECTOR);
    fs::write(&npy, npy_of("'<f4'", "(0, 107000000)")).unwrap();
    assert!(StoredArray::open_npy(&npy).is_err());
}

/// Writes the same batch again and again.
fn write_batches(path: &Path, column: &str, array: ArrayRef, times: usize) {
    let batch = RecordBatch::try_from_iter([(column, array)]).unwrap();
    let file = fs::File::create(path).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(None).build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    (0..times).for_each(|_| writer.write(&batch).unwrap());
    writer.close().unwrap();
}

#[test]
fn tables_of_more_rows_than_they_can_hold_ids_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let same: ArrayRef = Arc::new(StringArray::from(vec![UIDS[0]; 100_000]));
    write_batches(&path, "uid", Arc::clone(&same), 30);
    assert!(fs::metadata(&path).unwrap().len() < 20_000);
    let error = complaint(folder.path());
    assert!(error.contains("a.parquet: declares 3000000 rows, but column `uid` takes "), "{error}");
    assert!(error.contains("more than 16 rows a byte beyond the first 1048576"), "{error}");
    assert!(subset::read(&path).unwrap_err().to_string().contains("declares 3000000 rows"));
    // Labels are shared by many rows, and so are numbers.
    assert_eq!(Reader::open(&path).unwrap().text("uid", Some(&[2_999_999])).unwrap().len(), 1);
    write_batches(&path, "uid", same, 10);
    assert_eq!(open(folder.path()).unwrap().len(), 1_000_000);
}

#[test]
fn columns_of_more_vectors_than_they_can_hold_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let numbers: ArrayRef = Arc::new(Float32Array::from(vec![0.5; 1000 * 1000]));
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let vectors = FixedSizeListArray::try_new(item, 10_000, numbers, None).unwrap();
    write_batches(&path, "v", Arc::new(vectors), 20);
    let error = Reader::open(&path).unwrap().vectors("v").unwrap_err().to_string();
    assert!(error.contains("column `v` declares 20000000 numbers in "), "{error}");
    assert!(error.contains("more than 64 numbers a byte"), "{error}");
}

/// Rust's texts are UTF-8, so the file is written below Arrow.
#[test]
fn texts_that_are_no_utf8_cost_their_row_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let schema = "message m { required binary uid (UTF8); optional binary text (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer =
        SerializedFileWriter::new(fs::File::create(&path).unwrap(), schema, Arc::default())
            .unwrap();
    for part in 0..2_usize {
        let mut group = writer.next_row_group().unwrap();
        let uid = |row: usize| match 5 * part + row {
            3 => vec![0xff; 32],
            at => format!("{at:032x}").into_bytes(),
        };
        let text = |row: usize| match 5 * part + row {
            1 | 7 => b"caf\xe9".to_vec(),
            at => format!("caption {at}").into_bytes(),
        };
        // Row 4 of each part has no text.
        let columns = [
            ((0..5).map(uid).collect::<Vec<_>>(), vec![0; 5]),
            ((0..4).map(text).collect(), vec![1, 1, 1, 1, 0]),
        ];
        for (values, levels) in columns {
            let values: Vec<ByteArray> = values.into_iter().map(ByteArray::from).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    let pool = open(folder.path()).unwrap();
    let faults = [
        (1, Fault::CaptionMissing),
        (3, Fault::MalformedId),
        (4, Fault::CaptionMissing),
        (7, Fault::CaptionMissing),
        (9, Fault::CaptionMissing),
    ];
    assert_eq!((pool.len(), pool.faults()), (10, &faults[..]));
    let captions: Vec<_> =
        pool.samples(&[2, 7, 8]).unwrap().into_iter().map(|s| s.caption).collect();
    assert_eq!(captions, [Some("caption 2".into()), None, Some("caption 8".into())]);
}

#[test]
fn records_of_thousands_of_fields_are_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let fields: Vec<String> = (0..16_000).map(|i| format!("\"k{i}\": {i}")).collect();
    let record = format!("{{\"uid\": \"{}\", \"text\": \"x\", {}}}", UIDS[0], fields.join(", "));
    let good = format!("{{\"uid\": \"{}\", \"text\": \"x\", \"score\": 1}}", UIDS[1]);
    fs::write(folder.path().join("a.jsonl"), format!("{record}\n{good}\n")).unwrap();
    let pool = open(folder.path()).unwrap();
    assert_eq!(pool.faults(), [(0, Fault::RecordMalformed)]);
    assert!(
        pool.notes()[0].contains("line 1 has 16002 fields, more than 4096"),
        "{:?}",
        pool.notes()
    );
    assert_eq!(pool.numeric_columns().unwrap(), ["score"]);

    let folder = tempfile::tempdir().unwrap();
    let members = [
        ("a.png", PNG),
        ("a.json", record.as_bytes()),
        ("b.png", PNG),
        ("b.json", good.as_bytes()),
    ];
    fs::write(folder.path().join("0.tar"), tar_of(&members)).unwrap();
    let pool = open(folder.path()).unwrap();
    assert_eq!(pool.faults(), [(0, Fault::RecordMalformed)]);
}

#[cfg(unix)]
#[test]
fn pipes_sockets_and_devices_are_refused_and_links_to_files_are_not() {
    let skip = PoolOptions { bad_shards: BadShards::Skip, ..PoolOptions::default() };
    for ending in ["parquet", "tar", "jsonl", "npy"] {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) =
            (folder.path().join(format!("a.{ending}")), folder.path().join(format!("b.{ending}")));
        match ending {
            "parquet" => write_table(&good, &[(Some(UIDS[0]), Some("x"))]),
            "tar" => fs::write(&good, common::shard(&["1"])).unwrap(),
            "jsonl" => fs::write(&good, format!("{{\"uid\": \"{}\"}}\n", UIDS[0])).unwrap(),
            _ => fs::write(&good, f32_table(&[1.0, 0.0], 1, 2)).unwrap(),
        }
        assert!(Command::new("mkfifo").arg(&bad).status().unwrap().success());
        let said = complaint(folder.path());
        assert!(said.contains(&format!("b.{ending}: is a pipe, not a file")), "{said}");
        assert!(complaint(&bad).contains("is a pipe, not a file"));
        let pool = Pool::open(folder.path(), skip, &NoProgress).unwrap();
        assert_eq!((pool.len(), pool.skipped().len()), (1, 1), "{ending}");

        fs::remove_file(&bad).unwrap();
        let _listens = std::os::unix::net::UnixListener::bind(&bad).unwrap();
        assert!(complaint(folder.path()).contains("is a socket, not a file"));
        fs::remove_file(&bad).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &bad).unwrap();
        assert!(complaint(folder.path()).contains("is a device, not a file"));

        fs::remove_file(&bad).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().join("target");
        fs::rename(&good, &target).unwrap();
        std::os::unix::fs::symlink(&target, &good).unwrap();
        assert_eq!(open(folder.path()).unwrap().len(), 1, "{ending}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (shards, subset) = (folder.path().join("shards"), folder.path().join("s.txt"));
    fs::create_dir(&shards).unwrap();
    fs::write(&subset, UIDS[0]).unwrap();
    assert!(Command::new("mkfifo").arg(shards.join("b.tar")).status().unwrap().success());
    let (out, options) = (folder.path().join("out"), ReshardOptions::default());
    let error = reshard(&shards, &subset, &out, options, &NoProgress).unwrap_err().to_string();
    assert!(error.contains("b.tar: is a pipe, not a file"), "{error}");
    let folder = two_rows();
    for name in ["a.npz", "a.npy"] {
        let pipe = folder.path().join(name);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let answer = open(folder.path()).and_then(|pool| pool.embedding("embedding").map(drop));
        assert!(answer.unwrap_err().to_string().contains("is a pipe, not a file"), "{name}");
        fs::remove_file(&pipe).unwrap();
    }
    for name in ["s.npy", "s.txt", "s.jsonl", "s.parquet", "s.memmap"] {
        let pipe = folder.path().join(name);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = subset::read(&pipe).unwrap_err().to_string();
        assert!(error.contains("is a pipe, not a file"), "{error}");
    }
}
