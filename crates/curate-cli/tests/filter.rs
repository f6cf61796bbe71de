//! `curate filter` as a person or a script meets it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use curate::{
    dfn::{OpenClipConfig, Weights, network::write_folder},
    io::{subset, table},
};

const MODEL: &str = r#"{"model_cfg": {"embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 16, "width": 32, "heads": 2, "layers": 1}}}"#;

fn curate(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    command.current_dir(folder).arg("filter").args(args).arg("-q").env("COLUMNS", "100");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn said(folder: &Path, args: &[&str]) -> String {
    let output = curate(folder, args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn refused(folder: &Path, args: &[&str]) -> String {
    let output = curate(folder, args);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    text(&output.stderr)
}

/// The smallest table of the demonstration with the images beside it.
fn pool(folder: &Path) -> PathBuf {
    let demo: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "demo", "pool"].iter().collect();
    let pool = folder.join("pool");
    let files = |part: &str| {
        let entries = fs::read_dir(demo.join(part)).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
        files.sort_by_key(|p| (fs::metadata(p).unwrap().len(), p.clone()));
        files
    };
    let tables = files("metadata");
    let table = tables.iter().find(|p| p.extension().is_some_and(|e| e == "parquet")).unwrap();
    let copy = |file: &Path, part: &str| {
        fs::create_dir_all(pool.join(part)).unwrap();
        fs::copy(file, pool.join(part).join(file.file_name().unwrap())).unwrap();
    };
    copy(table, "metadata");
    files("shards").iter().for_each(|file| copy(file, "shards"));
    pool
}

fn network(folder: &Path, seed: u64) {
    let file = folder.join("model.json");
    fs::write(&file, MODEL).unwrap();
    let config = OpenClipConfig::read(&file).unwrap();
    write_folder(&folder.join("net"), &config, &Weights::random(&config.model_cfg, seed)).unwrap();
}

#[test]
fn a_pool_is_embedded_scored_and_cut() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pool = pool(folder);
    let pool = pool.to_str().unwrap();
    network(folder, 1);
    let first = said(folder, &["embed", pool, "--network", "net", "--out", "e"]);
    assert!(first.contains("in 1 shards (0 of them"), "{first}");
    let again = said(folder, &["embed", pool, "--network", "net", "--out", "e"]);
    assert!(again.contains("in 1 shards (1 of them"), "{again}");
    let cut =
        said(folder, &["score", "e", "--top", "10", "--out", "kept.npy", "--scores", "s.parquet"]);
    assert!(cut.contains("kept 10 ("), "{cut}");
    let kept = subset::read(&folder.join("kept.npy")).unwrap();
    let file = folder.join("s.parquet");
    let table = table::Reader::open(&file).unwrap();
    let scores = table.f32("score").unwrap();
    let mut sorted = scores.clone();
    sorted.sort_by(f32::total_cmp);
    let tenth = sorted[sorted.len() - 10];
    let ids = table.text("uid", None).unwrap();
    for (id, score) in ids.iter().zip(&scores) {
        let id = id.as_deref().unwrap().parse().unwrap();
        assert_eq!(kept.contains(&id), *score >= tenth);
    }
    let args = ["score", "e", "--top", "10", "--out", "kept.csv", "--scores", "early.parquet"];
    assert!(refused(folder, &args).contains("kept.csv: has no ending of a subset; name it .npy"));
    assert!(!folder.join("early.parquet").exists(), "refused before anything is written");
    let args = ["score", "e", "--by", "neg-clip-loss", "--batch", "100", "--partitions", "2"];
    assert!(said(folder, &args).contains("0 of them without a score"));
    network(folder, 2);
    let other = refused(folder, &["embed", pool, "--network", "net", "--out", "e"]);
    assert!(
        other.contains("another network") && other.contains("choose another folder"),
        "{other}"
    );
    let none = refused(folder, &["score", "nothing"]);
    assert!(none.contains("nothing: does not exist"), "{none}");
}

/// Its text tower has no row for most tokens.
#[test]
fn a_network_of_another_vocabulary_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pool = pool(folder);
    let pool = pool.to_str().unwrap();
    let mut config: OpenClipConfig = serde_json::from_str(MODEL).unwrap();
    config.model_cfg.text_cfg.vocab_size = 64;
    let weights = Weights::random(&config.model_cfg, 1);
    write_folder(&folder.join("net"), &config, &weights).unwrap();
    let problem = "`text_cfg.vocab_size` is 64, but captions have 49408";
    let error = refused(folder, &["embed", pool, "--network", "net", "--out", "e"]);
    assert!(error.contains(problem), "{error}");
    assert!(!folder.join("e").exists());
    if cfg!(feature = "train") {
        let model = "net/open_clip_config.json";
        for from in [["--from", "net"], ["--model", model]] {
            let error = refused(folder, &[&["train", pool, "--out", "x"][..], &from].concat());
            assert!(error.contains(problem), "{error}");
        }
    }
}

#[test]
fn a_card_says_what_a_folder_of_open_clips_holds() {
    let folder = tempfile::tempdir().unwrap();
    network(folder.path(), 1);
    let card = said(folder.path(), &["card", "net"]);
    assert!(
        card.starts_with("# net\n") && card.contains("| text tower | 1 layers of 32, 16 tokens |")
    );
    let json: serde_json::Value =
        serde_json::from_str(&said(folder.path(), &["card", "net", "--json"])).unwrap();
    assert_eq!(json["training"], serde_json::Value::Null);
    fs::write(folder.path().join("net/open_clip_model.safetensors"), b"x").unwrap();
    let error = refused(folder.path(), &["card", "net"]);
    assert!(error.contains("is no safetensors file"), "{error}");
}

/// A sample of a tar shard: image ending and bytes, and a caption; either may be absent.
struct Member {
    image: Option<(&'static str, Vec<u8>)>,
    caption: Option<String>,
}

fn bad_file(name: &str) -> Vec<u8> {
    let folder: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "curate-dfn", "tests", "fixtures"].iter().collect();
    fs::read(folder.join(name)).unwrap()
}

fn member(name: &'static str, caption: &str) -> Member {
    let ending = name.rsplit('.').next().unwrap();
    Member { image: Some((ending, bad_file(name))), caption: Some(caption.to_owned()) }
}

fn shard(file: &Path, members: &[Member], first: usize) {
    let mut tar = tar::Builder::new(fs::File::create(file).unwrap());
    for (i, Member { image, caption }) in members.iter().enumerate() {
        let image = image.as_ref().map(|(ending, bytes)| (*ending, &bytes[..]));
        let caption = caption.as_ref().map(|text| ("txt", text.as_bytes()));
        for (ending, data) in image.into_iter().chain(caption) {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, format!("{:06}.{ending}", first + i), data).unwrap();
        }
    }
    tar.finish().unwrap();
}

/// The scores of an embedded pool, shard after shard.
fn scores(folder: &Path) -> Vec<f32> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.to_str().unwrap().ends_with(".scores.parquet"))
        .collect();
    files.sort();
    let read = |file: &PathBuf| table::Reader::open(file).unwrap().f32("score").unwrap();
    files.iter().flat_map(read).collect()
}

/// Damaged and unusual files, empty and huge captions: each is embedded or set aside with its reason,
/// counted, and changes no other pair's score.
#[test]
fn bad_files_are_counted_by_what_is_wrong_and_change_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    network(folder, 1);
    let good = || member("full/rgb_wide.png", "a wide picture");
    let usable = [
        "bad/cmyk.jpg",
        "bad/grey16.png",
        "bad/rgb16.png",
        "bad/rgba16.png",
        "bad/animated.gif",
        "bad/animated.webp",
        "bad/rotated_by_exif.jpg",
        "full/one_pixel_high.png",
    ];
    let unusable = [
        ("bad/truncated.jpg", "cut off"),
        ("bad/truncated.png", "cut off"),
        ("bad/truncated.webp", "cut off"),
        ("bad/page.jpg", "of no known image format"),
        ("bad/bomb.png", "over the pixel limit"),
        ("bad/zero_size.png", "damaged"),
    ];
    let mut members = vec![good()];
    members.extend(usable.map(|name| member(name, "a picture")));
    members.extend(unusable.map(|(name, _)| member(name, "a picture")));
    let nothing = Some(("png", Vec::new()));
    members.push(Member { image: nothing, caption: Some("a file of no bytes".into()) });
    members.push(Member { image: None, caption: Some("no image".into()) });
    members.push(Member { image: good().image, caption: None });
    members.extend(
        ["", " \u{0} ", &"word ".repeat(400_000)]
            .map(|c| Member { caption: Some(c.into()), ..good() }),
    );
    members.push(good());
    fs::create_dir(folder.join("pool")).unwrap();
    shard(&folder.join("pool/0.tar"), &members, 0);
    let said = said(folder, &["embed", "pool", "--network", "net", "--out", "e"]);
    let bad = unusable.len() + 3;
    assert!(said.contains(&format!("{} pairs in 1 shards", members.len())), "{said}");
    assert!(said.contains(&format!("{bad} could not be embedded")), "{said}");
    for line in [
        "  1 without a caption\n",
        "  1 without an image\n",
        "  2 of no known image format\n",
        "  1 over the pixel limit\n",
        "60000 x 60000 pixels, more than the limit of 89478485",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let scores = scores(&folder.join("e"));
    let nan: Vec<usize> = (0..scores.len()).filter(|&i| scores[i].is_nan()).collect();
    let first = 1 + usable.len();
    assert_eq!(nan, (first..first + bad).collect::<Vec<_>>(), "and no others");
    assert_eq!(scores[0], scores[members.len() - 1], "the same pair, other neighbours");
    assert!(scores[first + bad..].iter().all(|s| (-1.0..=1.0).contains(s)));
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("e/0.json")).unwrap()).unwrap();
    let kinds: Vec<&str> =
        json["bad"].as_array().unwrap().iter().map(|b| b["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "unknown-format").count(), 2);
    let args = ["embed", "pool", "--network", "net", "--out", "small", "--pixel-limit", "500"];
    let limited = self::said(folder, &args);
    assert!(
        limited.contains("over the pixel limit") && limited.contains("limit of 500"),
        "{limited}"
    );
}

/// The stage `score` with a network: the same rows as the command's, bad files set aside with their
/// reason, and a result that is not taken for that of another network.
#[test]
fn a_recipe_scores_with_a_network_as_the_command_does() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    network(folder, 1);
    let words = ["cat", "dog", "boat", "old tree", "red house", "a", "two words", "sea"];
    let mut members: Vec<Member> =
        words.iter().map(|caption| member("full/rgb_wide.png", caption)).collect();
    members.insert(3, member("bad/truncated.jpg", "cut off"));
    fs::create_dir(folder.join("pool")).unwrap();
    shard(&folder.join("pool/0.tar"), &members, 0);
    let score = ["score", "pool", "--network", "net", "--embedded", "e", "--top", "3"];
    said(folder, &[&score[..], &["--out", "kept.npy"]].concat());
    let recipe = "[pool]\npath = \"pool\"\n\n[[stage]]\nkind = \"score\"\nnetwork = \"net\"\n\n\
                  [[stage]]\nkind = \"top\"\ncount = 3\n";
    fs::write(folder.join("recipe.toml"), recipe).unwrap();
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
        let args = ["run", "recipe.toml", "--out", "run", "-q"];
        command.current_dir(folder).args(args).output().unwrap()
    };
    let output = run();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let kept = |file: &str| subset::read(&folder.join(file)).unwrap();
    assert_eq!(kept("run/subset.npy"), kept("kept.npy"));
    let evidence = folder.join("run/evidence.parquet");
    let rules = table::Reader::open(&evidence).unwrap().text("rule", None).unwrap();
    let cut_off = rules.iter().flatten().filter(|rule| *rule == "image-cut-off").count();
    assert_eq!((rules.len(), cut_off), (members.len() - 3, 1));
    network(folder, 2);
    let other = text(&run().stderr);
    assert!(other.contains("stage") && other.contains("--overwrite"), "{other}");
    fs::remove_dir_all(folder.join("net")).unwrap();
    let gone = text(&run().stderr);
    assert!(gone.contains("net") && gone.contains("does not exist"), "{gone}");
}

/// open_clip takes `<end_of_text>` in a caption for the end, so that what follows has no effect; the
/// strict mode reads on.
#[test]
fn a_caption_cannot_hide_its_rest_in_strict_mode() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    network(folder, 1);
    let captions = ["a dog", "a dog <end_of_text> and a cat", "a dog <end_of_text> and a cow"];
    fs::create_dir(folder.join("pool")).unwrap();
    let members = captions.map(|caption| member("full/rgb_wide.png", caption));
    shard(&folder.join("pool/0.tar"), &members, 0);
    said(folder, &["embed", "pool", "--network", "net", "--out", "faithful"]);
    let found = scores(&folder.join("faithful"));
    assert!(found[0] == found[1] && found[1] == found[2], "{found:?}");
    let strict = ["embed", "pool", "--network", "net", "--out", "strict", "--strict-captions"];
    said(folder, &strict);
    let found = scores(&folder.join("strict"));
    assert!(found[0] != found[1] && found[1] != found[2], "{found:?}");
    let mixed = ["embed", "pool", "--network", "net", "--out", "faithful", "--strict-captions"];
    assert!(refused(folder, &mixed).contains("other settings"));
}

#[test]
fn weights_of_another_config_are_refused_with_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    network(folder, 1);
    let pool = pool(folder);
    let pool = pool.to_str().unwrap();
    let config = folder.join("net/open_clip_config.json");
    let text = fs::read_to_string(&config).unwrap();
    for (from, to, why) in [
        ("\"layers\": 1", "\"layers\": 2", "resblocks.1.attn.in_proj_bias` [96] is missing"),
        ("\"embed_dim\": 16", "\"embed_dim\": 24", "but must be [32, 24]"),
        ("\"patch_size\": 16", "\"patch_size\": 9", "is no multiple of patch_size 9"),
        ("\"quick_gelu\"", "\"quick_gelus\"", "quick_gelus"),
    ] {
        assert!(text.contains(from), "{text}");
        fs::write(&config, text.replacen(from, to, 2)).unwrap();
        let error = refused(folder, &["embed", pool, "--network", "net", "--out", "e"]);
        assert!(error.contains(why) && error.contains("net/"), "{error}");
    }
    assert!(!folder.join("e").exists());
}

/// The shard decides how many pairs go through the network together.
#[test]
fn shards_of_1_7_and_64_pairs_have_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    network(folder, 1);
    let images = ["full/rgb_wide.png", "full/rgb_tall.png", "bad/cmyk.jpg", "bad/animated.gif"];
    let members: Vec<Member> =
        (0..64).map(|i| member(images[i % 4], &"one more word ".repeat(i % 5 + 1))).collect();
    let found = [1, 7, 64].map(|size| {
        let (pool, out) = (format!("pool{size}"), format!("e{size}"));
        fs::create_dir(folder.join(&pool)).unwrap();
        for (i, members) in members.chunks(size).enumerate() {
            shard(&folder.join(&pool).join(format!("{i:03}.tar")), members, i * size);
        }
        said(folder, &["embed", &pool, "--network", "net", "--out", &out]);
        let mut arrays: Vec<PathBuf> = fs::read_dir(folder.join(&out))
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "npz"))
            .collect();
        arrays.sort();
        let mut towers = [Vec::new(), Vec::new()];
        for array in &arrays {
            let mut npz = zip::ZipArchive::new(fs::File::open(array).unwrap()).unwrap();
            for (tower, name) in towers.iter_mut().zip(["dfn_img.npy", "dfn_txt.npy"]) {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut npz.by_name(name).unwrap(), &mut bytes).unwrap();
                tower.extend_from_slice(&bytes[128..]);
            }
        }
        let bits: Vec<u32> = scores(&folder.join(&out)).iter().map(|s| s.to_bits()).collect();
        (towers, bits)
    });
    assert_eq!(found[0].1.len(), 64);
    assert!(found[0] == found[1] && found[1] == found[2]);
}

/// A process that is killed leaves whole shards and no half ones.
#[test]
fn a_killed_run_goes_on_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    network(folder, 1);
    fs::create_dir(folder.join("pool")).unwrap();
    for i in 0..6 {
        let members: Vec<Member> =
            (0..200).map(|j| member("full/rgb_wide.png", &format!("{i} {j}"))).collect();
        shard(&folder.join(format!("pool/{i}.tar")), &members, i * 1000);
    }
    let args = ["embed", "pool", "--network", "net", "--out"];
    said(folder, &[&args[..], &["whole"]].concat());
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    let mut child = command
        .current_dir(folder)
        .args(["filter", "--quiet", "--threads", "1"])
        .args(args)
        .arg("cut")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Killed in the second shard or later, unless the machine is very fast: then there is nothing
    // left to do, which is as right.
    while !folder.join("cut/0.json").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let first = fs::metadata(folder.join("cut/0.npz")).unwrap().modified().unwrap();
    let again = said(folder, &[&args[..], &["cut"]].concat());
    assert!(again.contains("1200 pairs in 6 shards") && !again.contains("(0 of them"), "{again}");
    assert_eq!(fs::metadata(folder.join("cut/0.npz")).unwrap().modified().unwrap(), first);
    let files = |name: &str| {
        let entries = fs::read_dir(folder.join(name)).unwrap().map(|e| e.unwrap());
        let mut files: Vec<_> =
            entries.map(|e| (e.file_name(), fs::read(e.path()).unwrap())).collect();
        files.sort();
        files
    };
    assert!(files("cut") == files("whole"));
}

/// Two embedded pools: the demonstration's smallest table, and a few of its pictures as good ones.
fn embedded(folder: &Path) {
    network(folder, 1);
    let pool = pool(folder);
    said(folder, &["embed", pool.to_str().unwrap(), "--network", "net", "--out", "e"]);
    fs::create_dir(folder.join("good")).unwrap();
    let members: Vec<Member> = (0..30)
        .map(|i| member(["full/rgb_wide.png", "full/rgb_tall.png"][i % 2], "a photo"))
        .collect();
    shard(&folder.join("good/0.tar"), &members, 0);
    said(folder, &["embed", "good", "--network", "net", "--out", "g"]);
}

#[test]
fn pools_are_scored_by_classifier_target_and_ensemble() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    embedded(folder);
    for of in ["images", "texts", "both"] {
        let out = format!("{of}.parquet");
        let args = ["score", "e", "--by", "classifier", "--good", "g", "--of", of];
        let told = said(folder, &[&args[..], &["--scores", &out, "--samples", "200"]].concat());
        assert!(told.contains("classifier: 30 good samples against 200 of the pool"), "{told}");
        let more = [&args[..], &["--scores", "again.parquet", "--samples", "200"]].concat();
        said(folder, &more);
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        assert!(read(&out) == read("again.parquet"), "the same seed draws the same samples");
    }
    // The good ones are better than the pool by the classifier that was fitted to them.
    let own = ["score", "g", "--by", "norm-sim", "--target", "g", "--scores", "own.parquet"];
    said(folder, &own);
    let path = folder.join("own.parquet");
    let own = table::Reader::open(&path).unwrap().f32("score").unwrap();
    assert!(own.iter().all(|s| (s - 1.0).abs() < 1e-5), "each is its own nearest target");
    for (of, norm) in [("images", "two"), ("texts", "infinity")] {
        let args = ["score", "e", "--by", "norm-sim", "--target", "g", "--of", of, "--norm", norm];
        assert!(said(folder, &args).contains("0 of them without a score"));
    }
    let both = ["score", "e", "--by", "norm-sim", "--target", "g", "--of", "both"];
    assert!(refused(folder, &both).contains("--of images or --of texts"));
    let args = ["ensemble", "images.parquet", "texts.parquet", "--weights", "3,1"];
    let more = ["--fraction", "0.1", "--out", "kept.npy", "--scores", "rank.parquet"];
    assert!(said(folder, &[&args[..], &more].concat()).contains("kept 54 (9.9 %)"));
    let path = folder.join("rank.parquet");
    let ranks = table::Reader::open(&path).unwrap().f32("score").unwrap();
    assert!(ranks.iter().all(|rank| (0.0..=1.0).contains(rank)));
    let kept = subset::read(&folder.join("kept.npy")).unwrap();
    assert_eq!(kept.len(), ranks.len() / 10);
    let wrong = ["ensemble", "images.parquet", "texts.parquet", "--weights", "1,2,3"];
    assert!(refused(folder, &wrong).contains("3 weights for 2 tables"));
    let wrong = ["score", "e", "--by", "classifier"];
    assert!(refused(folder, &wrong).contains("--good"));
}

#[test]
fn a_threshold_is_taken_from_a_sample() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    embedded(folder);
    let told = said(folder, &["score", "e", "--fraction", "0.3", "--sample", "e"]);
    let plain = said(folder, &["score", "e", "--fraction", "0.3"]);
    let threshold = |text: &str| text.rsplit("threshold ").next().unwrap().trim().to_owned();
    assert_eq!(threshold(&told), threshold(&plain), "a pool is its own sample");
    assert!(told.contains("rows of the sample\n"), "{told}");
    let other = said(folder, &["score", "e", "--fraction", "0.3", "--sample", "g"]);
    assert!(other.contains("from 30 rows of the sample"), "{other}");
    assert!(refused(folder, &["score", "e", "--top", "3", "--sample", "g"]).contains("--fraction"));
}

#[test]
fn a_pool_is_scored_in_one_command() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    embedded(folder);
    let pool = folder.join("pool");
    let args = ["score", pool.to_str().unwrap(), "--network", "net", "--embedded", "e"];
    let told = said(folder, &[&args[..], &["--top", "5"]].concat());
    assert!(
        told.contains("(1 of them from an earlier run)") && told.contains("kept 5 ("),
        "{told}"
    );
    assert!(refused(folder, &args[..4]).contains("--embedded"));
}

#[cfg(not(feature = "hub"))]
#[test]
fn a_program_without_the_hub_says_how_to_get_it() {
    let error = refused(Path::new("."), &["card", "hf://org/net"]);
    assert!(error.contains("--features hub"), "{error}");
}

#[cfg(feature = "hub")]
#[test]
fn a_network_is_named_by_its_repository() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(folder.path(), &["card", "hf://org"]);
    assert!(error.contains("hf://ORG/NAME"), "{error}");
    network(folder.path(), 1);
    let commit = "0123456789012345678901234567890123456789";
    let snapshot = folder.path().join("hub/models--org--net/snapshots").join(commit);
    fs::create_dir_all(snapshot.parent().unwrap()).unwrap();
    fs::rename(folder.path().join("net"), &snapshot).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_curate"));
    let output = command
        .current_dir(folder.path())
        .args(["filter", "card", &format!("hf://org/net@{commit}")])
        .env("HF_HUB_CACHE", folder.path().join("hub"))
        .output()
        .unwrap();
    assert!(text(&output.stdout).contains("1 layers of 32, 16 tokens"), "{}", text(&output.stderr));
}

#[test]
fn help_says_what_each_option_does() {
    let help = |args: &[&str]| text(&curate(Path::new("."), args).stdout);
    insta::assert_snapshot!(help(&["train", "--help"]));
    insta::assert_snapshot!(help(&["score", "--help"]));
    insta::assert_snapshot!(help(&["embed", "--help"]));
    insta::assert_snapshot!(help(&["ensemble", "--help"]));
}

#[cfg(not(feature = "train"))]
#[test]
fn a_program_without_training_says_how_to_get_it() {
    let error = refused(Path::new("."), &["train", "pool", "--out", "x"]);
    assert!(error.contains("--features train"), "{error}");
}

#[cfg(feature = "train")]
#[test]
fn a_trained_network_embeds_and_its_card_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pool = pool(folder);
    let pool = pool.to_str().unwrap();
    fs::write(folder.join("model.json"), MODEL).unwrap();
    let train = |out: &str, more: &[&str]| {
        let args = ["train", pool, "--out", out, "--steps", "6", "--batch", "16", "--warmup", "2"];
        said(folder, &[&args[..], more].concat())
    };
    assert!(train("net", &["--model", "model.json"]).contains("wrote net"));
    train("again", &["--model", "model.json", "--micro-batch", "16"]);
    let file =
        |name: &str| fs::read(folder.join(name).join("open_clip_model.safetensors")).unwrap();
    assert!(file("net") == file("again"), "the same seed gives the same network");
    train("other", &["--model", "model.json", "--seed", "1"]);
    assert!(file("net") != file("other"));
    train("tuned", &["--from", "net", "--ensemble", "0"]);
    assert!(file("tuned") == file("net"), "an ensemble of nothing but the start");
    let card: serde_json::Value =
        serde_json::from_str(&said(folder, &["card", "net", "--json"])).unwrap();
    assert_eq!(card["training"]["params"]["steps"], 6);
    assert_eq!(card["training"]["curve"].as_array().unwrap().len(), 6);
    said(folder, &["embed", pool, "--network", "net", "--out", "e"]);
    let wrong = ["train", pool, "--out", "x", "--from", "net", "--ensemble", "1.5"];
    assert!(refused(folder, &wrong).contains("must be a number from 0 to 1"));
    let wrong = ["train", pool, "--out", "x", "--model", "model.json", "--device", "gpu"];
    assert!(refused(folder, &wrong).contains("`gpu` is not a device"));
    let wrong = ["train", pool, "--out", "x", "--model", "model.json", "--lr", "0", "--batch", "1"];
    let error = refused(folder, &wrong);
    assert!(error.contains("`batch` is 1") && error.contains("`lr` is 0"), "{error}");
}

/// Fine-tuning on class names: captions through templates, drawn by the seed.
#[cfg(feature = "train")]
#[test]
fn class_names_become_captions_through_templates() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pool = pool(folder);
    let pool = pool.to_str().unwrap();
    network(folder, 1);
    let train = |out: &str, more: &[&str]| {
        let args = ["train", pool, "--from", "net", "--out", out, "--steps", "3", "--batch", "8"];
        said(folder, &[&args[..], &["--no-augment"], more].concat())
    };
    let file =
        |name: &str| fs::read(folder.join(name).join("open_clip_model.safetensors")).unwrap();
    train("captions", &[]);
    train("labels", &["--labels", "label"]);
    fs::write(folder.join("one.txt"), "a drawing of a {}\n\n").unwrap();
    train("one", &["--labels", "label", "--templates", "one.txt"]);
    assert!(file("captions") != file("labels") && file("labels") != file("one"));
    train("half", &["--labels", "label", "--half"]);
    assert!(file("half").len() < file("labels").len() * 6 / 10);
    let card = said(folder, &["card", "half"]);
    assert!(card.contains("| captions | column `label` in 80 templates |"), "{card}");
    let refuse = |more: &[&str]| {
        let args = ["train", pool, "--from", "net", "--out", "x", "--steps", "3", "--batch", "8"];
        refused(folder, &[&args[..], more].concat())
    };
    fs::write(folder.join("none.txt"), "a drawing\n").unwrap();
    let error = refuse(&["--labels", "label", "--templates", "none.txt"]);
    assert!(error.contains("a text with {} in it"), "{error}");
    assert!(refuse(&["--labels", "lable"]).contains("no sample has a class name in `lable`"));
    assert!(refuse(&["--siglip"]).contains("has no logit bias"));
    let other = ["train", pool, "--from", "net", "--out", "labels", "--steps", "3", "--batch", "8"];
    let error = refused(folder, &[&other[..], &["--no-augment"]].concat());
    assert!(error.contains("other settings, weights or pairs"), "{error}");
}
