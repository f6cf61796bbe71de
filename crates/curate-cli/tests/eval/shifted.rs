//! Pools from other sources.

use super::*;

#[test]
fn models_are_asked_about_pools_from_other_sources_too() {
    let folder = setting();
    let pool = pool_name();
    // A partition of the demonstration stands for another source.
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    for end in ["npz", "parquet"] {
        let file = format!("1549c0d130db1d701bdd0f6520803e01.{end}");
        fs::copy(demo().join("metadata").join(&file), other.join(&file)).unwrap();
    }
    let rows = Pool::open(&other, PoolOptions::default(), &NoProgress).unwrap().len();
    let more = ["even.npy", "odd.npy", "--shifted", "icons=other", "--out", "out"];
    let told = said(folder.path(), &args(&pool, &more));
    assert!(told.contains("on icons"), "{told}");
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("on icons (%)"));
    let json: Value = serde_json::from_str(&said(
        folder.path(),
        &args(&pool, &[&more[..], &["--json"]].concat()),
    ))
    .unwrap();
    assert_eq!(json["cost"]["made"], 4);
    let left_out = &json["left_out"]["even"]["of a pool from another source"];
    assert!(left_out.as_u64().unwrap() >= rows as u64 / 2 - 1, "{left_out} of {rows}");
    let ranked = &json["rankings"][0]["selections"][0];
    assert!(ranked["shifted"]["icons"].as_f64().unwrap() > 0.0, "{ranked}");
    assert!(json["runs"][0]["shifted"]["icons"]["retrieval"]["rows"].as_u64().unwrap() > 1);
    let twice = [&more[..], &["--shifted", "icons=other"]].concat();
    assert_eq!(
        refused(folder.path(), &args(&pool, &twice)),
        "error: two pools from other sources are called `icons`: give each a name of its own\n"
    );
    let missing = ["even.npy", "--shifted", "x=nowhere"];
    assert!(refused(folder.path(), &args(&pool, &missing)).contains("nowhere"));
}
