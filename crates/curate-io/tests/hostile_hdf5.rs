//! HDF5 files that lie on purpose. libhdf5 reads them; what it would do with a lie is not left to it.

#![cfg(feature = "hdf5")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::open;
use curate_core::EmbeddingSource;
use curate_io::{Pool, subset};
use hdf5::{File, types::FixedAscii};

/// What reading everything of a pool says is wrong with it.
fn complaints(path: &Path) -> String {
    match open(path) {
        Ok(pool) => read_all(&pool).err().unwrap_or_default(),
        Err(e) => e.to_string(),
    }
}

fn read_all(pool: &Pool) -> Result<(), String> {
    let text = |e: curate_io::IoError| e.to_string();
    for name in pool.embedding_names().map_err(text)? {
        let embedding = pool.embedding(&name).map_err(text)?;
        let mut out = vec![0.0; embedding.rows().min(8) * embedding.dim()];
        embedding.read(0..embedding.rows().min(8), &mut out).map_err(|e| e.to_string())?;
    }
    for name in pool.numeric_columns().map_err(text)? {
        pool.column(&name).map_err(text)?;
    }
    pool.samples(&(0..pool.len().min(1)).collect::<Vec<_>>()).map(drop).map_err(text)
}

/// A file of three rows, `uid` and `v`, and what `more` adds.
fn file(folder: &Path, more: impl FnOnce(&File) -> hdf5::Result<()>) -> PathBuf {
    let path = folder.join("a.h5");
    let file = File::create(&path).unwrap();
    let uids = ["1", "2", "3"].map(|uid| FixedAscii::<32>::from_ascii(uid).unwrap());
    file.new_dataset_builder().with_data(&uids).create("uid").unwrap();
    let vectors = file.new_dataset::<f32>().shape((3, 2)).create("v").unwrap();
    vectors.write_raw(&[0.0_f32, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    more(&file).unwrap();
    file.close().unwrap();
    path
}

#[test]
fn values_in_other_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, [7; 24]).unwrap();
    let name = secret.to_str().unwrap();
    let apart = file(folder.path(), |file| {
        let builder = file.new_dataset::<f32>().shape((3, 2));
        builder.with_dcpl(|plist| plist.external(name, 0, 24)).create("x").map(drop)
    });
    let said = complaints(&apart);
    assert!(said.contains("a.h5: dataset `x` has its values in another file"), "{said}");
    assert!(said.contains("h5repack"), "{said}");

    let other = folder.path().join("other.h5");
    fs::rename(file(folder.path(), |_| Ok(())), &other).unwrap();
    let name = other.to_str().unwrap();
    let linked = file(folder.path(), |file| file.link_external(name, "v", "x"));
    let said = complaints(&linked);
    assert!(said.contains("a.h5: dataset `x` has its values in another file"), "{said}");
    let dangling = file(folder.path(), |file| file.link_external("/nowhere.h5", "v", "x"));
    assert_eq!(complaints(&dangling), "");
    let soft = file(folder.path(), |file| file.link_soft("/nowhere", "x"));
    assert_eq!(complaints(&soft), "");
}

#[test]
fn what_is_never_read_or_never_written_spoils_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), |file| {
        // Numbers of three axes of which none is written, and a column that has no values yet.
        file.new_dataset::<f64>().shape((1 << 30, 1 << 20, 2)).create("cube")?;
        file.new_dataset::<f32>().shape(3).create("later").map(drop)
    });
    let pool = open(&path).unwrap();
    assert_eq!(complaints(&path), "");
    assert_eq!(pool.embedding_names().unwrap(), ["v"]);
    assert_eq!(pool.column("later").unwrap().to_vec(), [0.0; 3]);
}

#[test]
fn links_in_a_circle_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), |file| {
        let group = file.create_group("g")?;
        group.new_dataset::<f32>().shape((3, 1)).create("w")?.write_raw(&[1.0_f32; 3])?;
        for name in ["a", "b", "c", "d"] {
            file.link_hard("/", &format!("g/{name}"))?;
            file.link_soft("/g", &format!("s{name}"))?;
        }
        Ok(())
    });
    let pool = open(&path).unwrap();
    let names = pool.embedding_names().unwrap();
    // Under one of the names that it has.
    assert_eq!(names.iter().filter(|name| name.ends_with('w')).count(), 1, "{names:?}");
    assert_eq!(names.iter().filter(|name| name.ends_with('v')).count(), 1, "{names:?}");
    let crowded = file(folder.path(), |file| {
        (0..5000).try_for_each(|i| file.create_group(&format!("g{i}")).map(drop))
    });
    assert!(complaints(&crowded).contains("a.h5: has more than 4096 groups"));
}

#[test]
fn chunks_and_shapes_beyond_what_is_stored_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let chunk = file(folder.path(), |file| {
        let builder = file.new_dataset::<f32>().shape((3.., 4..)).chunk((1 << 16, 1 << 13));
        builder.deflate(9).create("x").map(drop)
    });
    let said = complaints(&chunk);
    assert!(said.contains("dataset `x` promises [65536, 8192] values, and 0 bytes"), "{said}");
    let shape = file(folder.path(), |file| {
        file.new_dataset::<f64>().shape((3, 1_usize << 58)).create("x").map(drop)
    });
    let said = complaints(&shape);
    assert!(said.contains("dataset `x` promises [3, 288230376151711744] values"), "{said}");
    let flat =
        file(folder.path(), |file| file.new_dataset::<f32>().shape((3, 0)).create("x").map(drop));
    let said = complaints(&flat);
    assert!(said.contains("a.h5") && said.contains("`x`"), "{said}");
}

#[test]
fn wrong_types_are_no_ids_columns_or_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.h5");
    let write = |fill: &dyn Fn(&File) -> hdf5::Result<()>| {
        let file = File::create(&path).unwrap();
        fill(&file).unwrap();
        file.close().unwrap();
    };
    write(&|file| file.new_dataset_builder().with_data(&[1_u64, 2]).create("uid").map(drop));
    let said = subset::read(&path).unwrap_err().to_string();
    assert!(said.contains("s.h5: has no dataset `uid` of text"), "{said}");
    write(&|file| file.create_group("uid").map(drop));
    let said = subset::read(&path).unwrap_err().to_string();
    assert!(said.contains("s.h5: has no dataset `uid` of text"), "{said}");
    let text = |text: &str| FixedAscii::<32>::from_ascii(text).unwrap();
    write(&|file| file.new_dataset_builder().with_data(&[text("../x")]).create("uid").map(drop));
    let said = subset::read(&path).unwrap_err().to_string();
    assert!(said.contains("s.h5") && said.contains("../x"), "{said}");
    write(&|file| file.new_dataset_builder().with_data(&[1_u8]).create("v").map(drop));
    let said = complaints(&path);
    assert!(said.contains("has no dataset of vectors; it has `v`"), "{said}");
    let vectors = file(folder.path(), |file| {
        file.new_dataset::<i32>().shape((3, 2)).create("x")?.write_raw(&[1; 6])
    });
    assert_eq!(open(&vectors).unwrap().embedding_names().unwrap(), ["v"]);
}

/// Every byte turned over: read as something else, or an error that names the file. What libhdf5 would
/// do to the process is not caught, so that a crash shows here. There is no text of variable length in
/// the file: libhdf5 1.10 trusts its lengths, and nothing of ours is asked before.
#[test]
fn no_changed_byte_is_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), |file| {
        let builder = file.new_dataset::<f32>().shape((3, 2)).chunk((2, 2)).deflate(1);
        builder.create("g/x")?.write_raw(&[0.5_f32; 6])
    });
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        fs::write(&path, changed).unwrap();
        let said = complaints(&path);
        assert!(said.is_empty() || said.contains("a.h5"), "byte {at}: {said}");
        refused += usize::from(!said.is_empty());
    }
    assert!(refused > 50, "only {refused} changes were noticed");
}
