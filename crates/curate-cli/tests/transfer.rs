//! `curate transfer` on npy files as numpy writes them.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use curate::{
    core::SampleId,
    io::{
        npy,
        subset::{self, SubsetFormat},
    },
};

fn transfer(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    command.current_dir(folder).arg("transfer").args(args).arg("-q").env("COLUMNS", "100");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(folder: &Path, args: &[&str]) -> String {
    let output = transfer(folder, args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn refused(folder: &Path, args: &[&str]) -> String {
    let output = transfer(folder, args);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    text(&output.stderr)
}

/// As `numpy.save` writes int64 of one axis.
fn whole(folder: &Path, name: &str, numbers: &[i64]) {
    let mut bytes = npy::header_bytes("'<i8'", &[numbers.len()]);
    bytes.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
    fs::write(folder.join(name), bytes).unwrap();
}

fn floats(folder: &Path, name: &str, columns: usize, numbers: &[f32]) {
    let bytes = npy::f32_table(numbers, numbers.len() / columns, columns).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

/// Eight source rows of four classes and one of none.
fn source(folder: &Path) {
    whole(folder, "labels.npy", &[0, 0, 0, 1, 1, 2, 2, -1, 3]);
    let ids: Vec<SampleId> = (0..9).map(|i| SampleId(100 - i)).collect();
    // A subset file sorts its ids; rows have them in their own order.
    let lines: Vec<String> = ids.iter().map(SampleId::to_string).collect();
    fs::write(folder.join("ids.txt"), lines.join("\n")).unwrap();
}

#[test]
fn labels_and_features_rank_the_same_classes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    source(folder);
    whole(folder, "predictions.npy", &[2, 2, 1, 2, 0]);
    floats(folder, "centroids.npy", 1, &[0.0, 10.0, 20.0, 90.0]);
    floats(folder, "features.npy", 1, &[19.0, 21.0, 9.5, 22.0, -3.0]);
    floats(folder, "source.npy", 1, &[-1.0, 0.0, 1.0, 9.0, 11.0, 18.0, 22.0, 7.0, 90.0]);
    let one = |class: i32| (0..4).map(|c| if c == class { 1.0 } else { 0.0 }).collect::<Vec<f32>>();
    let logits: Vec<f32> = [2, 2, 1, 2, 0].into_iter().flat_map(one).collect();
    floats(folder, "logits.npy", 4, &logits);
    let keep = ["--top", "2", "--out", "kept.npy", "--ids", "ids.txt", "--ranking", "ranking.csv"];
    for by in [
        &["--predictions", "predictions.npy"][..],
        &["--logits", "logits.npy"],
        &["--features", "features.npy", "--centroids", "centroids.npy"],
        &["--features", "features.npy", "--source-features", "source.npy"],
    ] {
        let told = said(folder, &[&["--labels", "labels.npy"], by, &keep].concat());
        assert!(told.starts_with("2 of 4 classes kept, 5 of 9 rows\n"), "{told}");
        assert!(told.contains("1 classes got no vote") && !told.contains("note:"), "{told}");
        // Class 2 has three votes; of classes 0 and 1, with one each, 0 is the smaller number.
        let kept = subset::read(&folder.join("kept.npy")).unwrap();
        assert_eq!(kept, [94, 95, 98, 99, 100].map(SampleId), "{by:?}");
        let ranking = fs::read_to_string(folder.join("ranking.csv")).unwrap();
        assert_eq!(ranking, "class,number,rows,kept\n2,3,2,1\n0,1,3,1\n1,1,2,0\n3,0,1,0\n");
    }
    let by = ["--labels", "labels.npy", "--predictions", "predictions.npy"];
    let json = said(folder, &[&by[..], &["--cover", "0.6", "--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["kept_classes"], &json["kept_rows"]), (&1.into(), &2.into()));
    let rows = said(folder, &[&by[..], &["--rows", "5", "--out", "rows.txt"]].concat());
    assert!(rows.starts_with("2 of 4 classes kept, 5 of 9 rows"), "{rows}");
    let kept = subset::read(&folder.join("rows.txt")).unwrap();
    assert_eq!(kept, [0, 1, 2, 5, 6].map(SampleId), "without ids rows have their numbers");
    assert_eq!(SubsetFormat::of_path(Path::new("rows.txt")).unwrap(), SubsetFormat::Ids);
    let all = said(folder, &[&by[..], &["--top", "4"]].concat());
    assert!(all.contains("note: 1 of them are kept by their number alone"), "{all}");
    let least = said(folder, &[&by[..], &["--reverse"]].concat());
    assert!(least.starts_with("4 classes, 9 rows\n  class 3 "), "{least}");
}

#[test]
fn controls_rank_without_a_target() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    source(folder);
    let mut bytes = npy::header_bytes("'<f4'", &[9]);
    let norms = [1.0_f32, 1.0, 1.0, 5.0, 3.0, 2.0, 2.0, 9.0, 8.0];
    bytes.extend(norms.iter().flat_map(|n| n.to_le_bytes()));
    fs::write(folder.join("norms.npy"), bytes).unwrap();
    let labels = ["--labels", "labels.npy"];
    let told = said(folder, &[&labels[..], &["--gradient-norms", "norms.npy"]].concat());
    let order: Vec<&str> =
        told.lines().filter_map(|l| l.strip_prefix("  class ")?.split(' ').next()).collect();
    assert_eq!(order, ["3", "1", "2", "0"]);
    let random = |seed: &str| said(folder, &[&labels[..], &["--random", "--seed", seed]].concat());
    assert_eq!(random("1"), random("1"));
    assert_ne!(random("1"), random("2"));
}

#[test]
fn what_does_not_fit_is_named_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    source(folder);
    whole(folder, "predictions.npy", &[2, -1]);
    floats(folder, "features.npy", 2, &[0.0, 1.0]);
    let labels = ["--labels", "labels.npy"];
    let error = |args: &[&str]| refused(folder, &[&labels[..], args].concat());
    let negative = error(&["--predictions", "predictions.npy"]);
    assert!(negative.contains("predictions.npy: row 1 is -1, which is no class"), "{negative}");
    let alone = error(&["--features", "features.npy"]);
    assert!(alone.contains("--features needs --centroids or --source-features"), "{alone}");
    let table = error(&["--predictions", "features.npy"]);
    assert!(table.contains("is an array of the shape (1, 2), not of one axis"), "{table}");
    let few = error(&["--random", "--classes", "2"]);
    assert!(few.contains("`labels`: row 5 is of class 2, but there are 2"), "{few}");
    assert!(error(&[]).contains("--predictions"));
    assert!(error(&["--random", "--out", "x.npy"]).contains("--top"));
    fs::write(folder.join("two.txt"), format!("{}\n", SampleId(1))).unwrap();
    let ids = error(&["--random", "--top", "1", "--out", "x.npy", "--ids", "two.txt"]);
    assert!(ids.contains("two.txt: has 1 ids for 9 labels"), "{ids}");
    assert!(!folder.join("x.npy").exists());
    whole(folder, "none.npy", &[-1, -1]);
    let none = refused(folder, &["--labels", "none.npy", "--random"]);
    assert!(none.contains("`classes` is 0, but must be from 1"), "{none}");
}
