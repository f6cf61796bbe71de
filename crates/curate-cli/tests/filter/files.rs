//! Images and captions as they are: bad files, strict captions, shards, interrupted runs.

use crate::*;

/// Images that look odd and can be decoded all the same.
const USABLE: [&str; 8] = [
    "bad/cmyk.jpg",
    "bad/grey16.png",
    "bad/rgb16.png",
    "bad/rgba16.png",
    "bad/animated.gif",
    "bad/animated.webp",
    "bad/rotated_by_exif.jpg",
    "full/one_pixel_high.png",
];

/// Images that cannot.
const UNUSABLE: [&str; 6] = [
    "bad/truncated.jpg",
    "bad/truncated.png",
    "bad/truncated.webp",
    "bad/page.jpg",
    "bad/bomb.png",
    "bad/zero_size.png",
];

/// A good pair, odd images, bad images, pairs that lack something, odd captions, the good pair again.
fn odd_members() -> Vec<Member> {
    let good = || member("full/rgb_wide.png", "a wide picture");
    let mut members = vec![good()];
    members.extend(USABLE.map(|name| member(name, "a picture")));
    members.extend(UNUSABLE.map(|name| member(name, "a picture")));
    let nothing = Some(("png", Vec::new()));
    members.push(Member { image: nothing, caption: Some("a file of no bytes".into()) });
    members.push(Member { image: None, caption: Some("no image".into()) });
    members.push(Member { image: good().image, caption: None });
    members.push(Member { image: good().image, caption: Some(" \n".into()) });
    members.extend(
        [" \u{0} ", &"word ".repeat(400_000)].map(|c| Member { caption: Some(c.into()), ..good() }),
    );
    members.push(good());
    members
}

/// Damaged and unusual files, empty and huge captions: each is embedded or quarantined with its reason,
/// counted, and changes no other pair's score.
#[test]
fn bad_files_are_counted_by_what_is_wrong_and_change_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    network(folder, 1);
    let members = odd_members();
    fs::create_dir(folder.join("pool")).unwrap();
    shard(&folder.join("pool/0.tar"), &members, 0);
    let said = said(folder, &["embed", "pool", "--network", "net", "--out", "e"]);
    let bad = UNUSABLE.len() + 4;
    assert!(said.contains(&format!("{} pairs in 1 shards", members.len())), "{said}");
    assert!(said.contains(&format!("{bad} could not be embedded")), "{said}");
    for line in [
        "  2 without a caption\n",
        "  1 without an image\n",
        "  2 of no known image format\n",
        "  1 over the pixel limit\n",
        "60000 x 60000 pixels, more than the limit of 89478485",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let scores = scores(&folder.join("e"));
    let nan: Vec<usize> = (0..scores.len()).filter(|&i| scores[i].is_nan()).collect();
    let first = 1 + USABLE.len();
    assert_eq!(nan, (first..first + bad).collect::<Vec<_>>(), "and no others");
    assert_eq!(scores[0], scores[members.len() - 1], "the same pair, other neighbors");
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

#[test]
fn a_shard_that_is_cut_off_is_refused_with_the_flag_that_leaves_it_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    network(folder, 1);
    fs::create_dir(folder.join("pool")).unwrap();
    for i in 0..2 {
        shard(&folder.join(format!("pool/{i}.tar")), &[member("full/rgb_wide.png", "x")], i);
    }
    let cut = folder.join("pool/1.tar");
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..700]).unwrap();
    let args = ["embed", "pool", "--network", "net", "--out", "e"];
    let error = refused(folder, &args);
    assert!(
        error.contains("1.tar: ") && error.contains("leave it out with --skip-bad-shards"),
        "{error}"
    );
    let told = said(folder, &[&args[..], &["--skip-bad-shards"]].concat());
    assert!(told.contains("1 pairs in 1 shards") && told.contains("left out pool/1.tar"), "{told}");
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
