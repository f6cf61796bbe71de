//! Embedding, scoring, cutting, training and naming networks.

use crate::*;

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

#[test]
fn jobs_of_an_array_share_the_shards_of_a_pool() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pool = pool(folder);
    network(folder, 1);
    let embed = ["embed", pool.to_str().unwrap(), "--network", "net", "--out", "e"];
    let task = |index: &'static str| [&embed[..], &["--tasks", "2", "--index", index]].concat();
    let first = said(folder, &task("0"));
    assert!(first.contains("\ntask 0 of 0 to 1\n") && first.contains("without --tasks"), "{first}");
    assert!(refused(folder, &["score", "e"]).contains("which completes the folder"));
    let none = said(folder, &task("1"));
    assert!(none.starts_with("0 pairs in 0 shards"), "the pool has one shard: {none}");
    let whole = said(folder, &embed);
    assert!(whole.contains("in 1 shards (1 of them from an earlier run)"), "{whole}");
    said(folder, &["score", "e", "--fraction", "0.5"]);
    // Again, as a scheduler may: the folder stays whole.
    let again = said(folder, &task("0"));
    assert!(again.contains("1 of them from an earlier run") && !again.contains("without --tasks"));
    said(folder, &["score", "e", "--fraction", "0.5"]);
    let wrong = curate(folder, &task("2"));
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
    assert!(text(&wrong.stderr).contains("--index is 2, but the tasks are 0 to 1"));
    let alone = FolderLock::take(&folder.join("e")).unwrap();
    let busy = curate(folder, &task("0"));
    assert_eq!(busy.status.code(), Some(75), "{}", text(&busy.stderr));
    drop(alone);
}

/// `RÄ«ga` is Rīga to ftfy 6.3 alone.
#[test]
fn captions_are_repaired_by_the_version_that_is_named_and_files_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pool = pool(folder);
    let pool = pool.to_str().unwrap();
    network(folder, 1);
    let embed = |out: &str, repair: &str| {
        said(
            folder,
            &["embed", pool, "--network", "net", "--out", out, "--caption-repair", repair],
        );
        let manifest = fs::read(folder.join(out).join("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        manifest["reading"]["captions"].as_str().unwrap().to_owned()
    };
    assert_eq!(embed("new", "ftfy-6.3"), "ftfy 6.3.1");
    assert_eq!(embed("old", "ftfy-6.2"), "ftfy 6.2.3");
    let mixed = ["embed", pool, "--network", "net", "--out", "old"];
    assert!(refused(folder, &mixed).contains("other settings for images and captions"));
    let card = said(folder, &["card", "net"]);
    assert!(card.contains("| captions repaired by | ftfy 6.3.1 |"), "{card}");
    let wrong = [&mixed[..], &["--caption-repair", "ftfy"]].concat();
    assert!(refused(folder, &wrong).contains("there are ftfy-6.1, ftfy-6.2, ftfy-6.3"));
}

#[test]
fn an_embedding_in_integers_says_so_and_does_not_mix_with_another() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pool = pool(folder);
    network(folder, 1);
    let embed = ["embed", pool.to_str().unwrap(), "--network", "net", "--out", "out"];
    let near = [&embed[..], &["--precision", "int8"]].concat();
    said(folder, &near);
    let manifest = fs::read(folder.join("out/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["arithmetic"], "int8");
    assert!(said(folder, &near).contains("of them from an earlier run"));
    assert!(refused(folder, &embed).contains("layers in int8, not in f32"));
    let half = [&embed[..], &["--precision", "bf16"]].concat();
    assert!(refused(folder, &half).contains("layers in int8, not in bf16"));
    let wrong = [&embed[..], &["--precision", "int4"]].concat();
    assert!(refused(folder, &wrong).contains("[possible values: f32, bf16, int8]"));
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
    assert!(error.contains("is not a safetensors file"), "{error}");
}

/// A sample of a tar shard: image ending and bytes, and a caption; either may be absent.

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
    assert!(error.contains("none.txt") && error.contains("a text with {} in it"), "{error}");
    assert!(refuse(&["--labels", "lable"]).contains("no sample has a class name in `lable`"));
    assert!(refuse(&["--siglip"]).contains("has no logit bias"));
    let other = ["train", pool, "--from", "net", "--out", "labels", "--steps", "3", "--batch", "8"];
    let error = refused(folder, &[&other[..], &["--no-augment"]].concat());
    assert!(error.contains("other settings, weights or pairs"), "{error}");
}
