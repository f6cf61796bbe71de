//! A pool of real files through a network to a filter.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use common::{bytes, path, small_config as config};
use curate_core::{Cut, EmbeddingSource, NoProgress, Progress, SampleId, rank::Direction};
use curate_dfn::{
    Network, Reading, Weights,
    filter::{
        BadKind, Classifier, Embed, EmbedParams, EmbedReport, Embedded, Features, FilterError,
        Precision, ScoreInputs, ScoreParams, ScoreTable, Scores,
        align::{NegClipLossParams, Norm, cosines, neg_clip_loss, norm_sim},
        card::{FilterCard, known_limits, network_digest, thinned},
        sample, score_pairs,
    },
    tokenizer::Ftfy,
};
use curate_io::{Pool, PoolOptions, pool::BadShards};

fn network_of(seed: u64) -> Network {
    let config = config();
    let weights = Weights::random(&config.model_cfg, seed);
    Network::new(config, &weights).unwrap()
}

fn network() -> Network {
    network_of(3)
}

/// Three shards of good and bad files.
fn shards(folder: &Path) {
    let good = [
        "full/rgb_wide.png",
        "full/rgb_tall.png",
        "bad/cmyk.jpg",
        "bad/animated.gif",
        "bad/grey16.png",
    ];
    let bad = ["bad/truncated.jpg", "bad/bomb.png", "bad/page.jpg", "bad/zero_size.png"];
    for shard in 0..3 {
        let mut tar =
            tar::Builder::new(fs::File::create(folder.join(format!("{shard:05}.tar"))).unwrap());
        for i in 0..20_usize {
            let file = if shard == 1 && i < 4 { bad[i] } else { good[i % good.len()] };
            let ending = file.rsplit('.').next().unwrap();
            let key = format!("{shard:05}{i:04}");
            let caption = match i {
                7 => "\u{0}".to_owned(),
                8 => "very long ".repeat(5000),
                _ => format!("picture number {i} of {shard}"),
            };
            for (ending, data) in [(ending, bytes(file)), ("txt", caption.into_bytes())] {
                let mut header = tar::Header::new_gnu();
                header.set_size(data.len() as u64);
                header.set_mode(0o644);
                tar.append_data(&mut header, format!("{key}.{ending}"), &data[..]).unwrap();
            }
        }
        tar.finish().unwrap();
    }
}

fn pool(folder: &Path) -> Pool {
    Pool::open(folder, PoolOptions::default(), &NoProgress).unwrap()
}

fn params(out: &Path) -> Embed {
    EmbedParams::new(out).check().unwrap()
}

fn embed(
    network: &Network,
    pool: &Pool,
    embed: &Embed,
    progress: &dyn Progress,
) -> Result<EmbedReport, FilterError> {
    embed.run(network, pool, progress)
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(p).unwrap()))
        .collect()
}

struct Stop(AtomicBool);

impl Progress for Stop {
    fn start(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, _: u64) {
        self.0.store(true, Ordering::Relaxed);
    }
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn an_interrupted_embedding_goes_on_at_its_shard_with_the_same_bytes() {
    let (data, whole, cut) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    shards(data.path());
    let pool = pool(data.path());
    let network = network();
    let report = embed(&network, &pool, &params(whole.path()), &NoProgress).unwrap();
    assert_eq!((report.rows, report.shards, report.reused), (60, 3, 0));
    // Cancelled after the first shard.
    let stopped = embed(&network, &pool, &params(cut.path()), &Stop(AtomicBool::new(false)));
    assert!(stopped.unwrap_err().is_cancelled());
    assert_eq!(files(cut.path()).len(), 5, "a shard, the manifest and the lock");
    // A file that was written without its record does not count.
    fs::write(cut.path().join("00001.npz"), b"half").unwrap();
    let threads = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let report =
        threads.install(|| embed(&network, &pool, &params(cut.path()), &NoProgress)).unwrap();
    assert_eq!((report.shards, report.reused), (2, 1));
    assert!(files(cut.path()) == files(whole.path()));
    let again = embed(&network, &pool, &params(whole.path()), &NoProgress).unwrap();
    assert_eq!((again.shards, again.reused, again.bad.total()), (0, 3, 4));
    let other = embed(&network_of(4), &pool, &params(whole.path()), &NoProgress);
    assert!(other.unwrap_err().to_string().contains("another network"));
}

#[test]
fn bad_files_are_set_aside_with_their_reason_and_nothing_else_changes() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    shards(data.path());
    let pool = pool(data.path());
    let network = network();
    let report = embed(&network, &pool, &params(out.path()), &NoProgress).unwrap();
    let reasons: Vec<&str> = report.bad.examples.iter().map(|bad| &*bad.reason).collect();
    assert_eq!(reasons.len(), 4);
    let kinds = [BadKind::Truncated, BadKind::TooLarge, BadKind::UnknownFormat];
    assert!(kinds.iter().all(|kind| report.bad.kinds[kind] == 1), "{:?}", report.bad.kinds);
    for (reason, part) in
        reasons.iter().zip(["cut off", "more than the limit", "no image file", ""])
    {
        assert!(reason.contains(part), "{reason}");
    }
    let embedded = Embedded::open(out.path(), "dfn").unwrap();
    let (images, texts, ids) = embedded.whole().unwrap();
    assert_eq!(ids, pool.ids());
    let scores: Vec<f32> =
        (0..3).flat_map(|shard| embedded.scored(shard).unwrap().scores).collect();
    let nan: Vec<usize> = (0..60).filter(|&i| scores[i].is_nan()).collect();
    assert_eq!(nan, [20, 21, 22, 23]);
    let again = cosines(&images, &texts, &NoProgress).unwrap();
    assert!(
        again
            .iter()
            .zip(&scores)
            .all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan())
    );
    // Alone, without bad neighbors, an image has the same embedding.
    let pixels = network.transform().apply(&bytes("full/rgb_wide.png")).unwrap();
    let mut row = vec![0.0; 16];
    images.read(25..26, &mut row).unwrap();
    assert_eq!(row, network.embed_images(&pixels).unwrap());
}

#[test]
fn half_precision_keeps_the_scores() {
    let (data, single, half) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    shards(data.path());
    let pool = pool(data.path());
    let network = network();
    embed(&network, &pool, &params(single.path()), &NoProgress).unwrap();
    let params = EmbedParams::new(half.path()).precision(Precision::F16).check().unwrap();
    embed(&network, &pool, &params, &NoProgress).unwrap();
    let (a, b) = (files(single.path()), files(half.path()));
    assert_eq!(a["00000.scores.parquet"], b["00000.scores.parquet"]);
    assert!(b["00000.npz"].len() < a["00000.npz"].len());
    let opened = Embedded::open(half.path(), "other").unwrap().shard(0);
    assert!(opened.err().unwrap().to_string().contains("other_img"));
}

#[test]
fn a_card_says_what_the_filter_is_and_is_read_back() {
    let config = config();
    let weights = Weights::random(&config.model_cfg, 3);
    let digest = network_digest(&config, &weights);
    assert_ne!(digest, network_digest(&config, &Weights::random(&config.model_cfg, 4)));
    let card = FilterCard {
        name: "tiny".into(),
        version: "0".into(),
        config,
        digest: digest.clone(),
        training: None,
        reading: Some(Reading::of(Ftfy::V6_2)),
        limits: known_limits(),
    };
    let folder = tempfile::tempdir().unwrap();
    card.write(folder.path()).unwrap();
    assert_eq!(FilterCard::read(folder.path()).unwrap(), card);
    let text = card.markdown();
    assert!(text.contains("| captions repaired by | ftfy 6.2.3 |"), "{text}");
    assert!(text.contains("| resize | shortest, bicubic |"), "{text}");
    assert!(text.contains("| images decoded by | libjpeg-turbo in "), "{text}");
    assert!(text.contains(&digest) && text.contains("| activation | GELU |"), "{text}");
    let mut early: serde_json::Value = serde_json::to_value(&card).unwrap();
    early.as_object_mut().unwrap().remove("reading");
    fs::write(folder.path().join("filter_card.json"), early.to_string()).unwrap();
    assert_eq!(FilterCard::read(folder.path()).unwrap().reading, None);
    assert!(thinned(&[], 5).is_empty());
    assert!(path("bad").exists());
}

/// One template gives the text's own embedding; several a unit vector halfway between them.
#[test]
fn a_class_is_the_mean_of_its_templates() {
    let network = network();
    let names = ["cat", "dog"];
    let one = network.embed_classes(&names, &["a photo of a {}."]).unwrap();
    let texts = network.embed_texts(&["a photo of a cat.", "a photo of a dog."]).unwrap();
    assert!(one.iter().zip(&texts).all(|(a, b)| (a - b).abs() < 1e-6));
    let both = network.embed_classes(&names, &["a photo of a {}.", "art of the {}"]).unwrap();
    let art = network.embed_texts(&["art of the cat", "art of the dog"]).unwrap();
    let dim = network.dim();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for class in 0..2 {
        let at = class * dim..(class + 1) * dim;
        let (found, a, b) = (&both[at.clone()], &texts[at.clone()], &art[at]);
        assert!((dot(found, found) - 1.0).abs() < 1e-5);
        assert!((dot(found, a) - dot(found, b)).abs() < 1e-5, "as near to one as to the other");
        assert!(
            (dot(found, a) - (0.5 * (1.0 + dot(a, b))).sqrt()).abs() < 1e-5,
            "and between them"
        );
        assert!(dot(a, b) < 0.999, "the templates differ");
    }
    let error = network.embed_classes(&names, &["{}", "a photo"]).unwrap_err().to_string();
    assert!(error.contains("a photo"), "{error}");
    assert!(network.embed_classes(&names, &[]).is_err());
}

/// Opened one at a time, the shards have the bytes that they have in an open pool.
#[test]
fn shards_that_are_opened_one_by_one_have_the_same_bytes() {
    let (data, whole, single) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    shards(data.path());
    let network = network();
    embed(&network, &pool(data.path()), &params(whole.path()), &NoProgress).unwrap();
    let by_path =
        |options| params(single.path()).run_path(&network, data.path(), options, &NoProgress);
    let report = by_path(PoolOptions::default()).unwrap();
    assert_eq!((report.rows, report.shards, report.bad.total()), (60, 3, 4));
    assert!(files(single.path()) == files(whole.path()));
    // A shard that cannot be read is an error before anything is embedded, or left out.
    fs::write(data.path().join("00003.tar"), [1; 700]).unwrap();
    assert!(by_path(PoolOptions::default()).unwrap_err().to_string().contains("00003.tar"));
    let skip = PoolOptions { bad_shards: BadShards::Skip, ..PoolOptions::default() };
    let report = by_path(skip).unwrap();
    assert_eq!((report.rows, report.reused, report.skipped.len()), (60, 3, 1));
    assert!(report.skipped[0].0.ends_with("00003.tar"));
}

/// What a cut keeps and removes, held or streamed, is what it keeps of all scores in memory.
fn cuts_agree(scores: &Scores, held: &[f32], ids: &[SampleId], embedded: &Embedded) {
    for cut in [Cut::Top(7), Cut::Fraction(0.15), Cut::Threshold(0.0)] {
        let expected = cut.apply(held, ids, Direction::HigherIsBetter).unwrap();
        assert_eq!(scores.select(cut).unwrap(), expected.kept);
        let mut removals = Vec::new();
        scores.removals(cut, embedded, |removal| removals.push(removal)).unwrap();
        let gone: Vec<usize> = removals.iter().map(|removal| removal.row).collect();
        let all = curate_core::Selection::all(60);
        assert_eq!(gone, all.minus(&expected.kept).rows());
        let rules = [20, 21, 23].map(|row| &*removals.iter().find(|r| r.row == row).unwrap().rule);
        assert_eq!(rules, ["image-cut-off", "image-over-pixel-limit", "image-without-pixels"]);
        let mut keep = scores.streamed(cut).unwrap();
        let pairs = held.iter().zip(ids);
        let kept = pairs.map(|(&score, &id)| keep.keeps(score, id)).collect::<Vec<_>>();
        let kept = (0..kept.len()).filter(|&row| kept[row]).collect();
        assert_eq!((kept, keep.threshold.map(f64::from)), (expected.kept, expected.threshold));
    }
}

/// Every way to score, shard by shard, gives what the functions on whole pools give, and a cut on the
/// temporary file decides as one in memory.
#[test]
fn scores_by_shard_are_those_of_the_whole_pool() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    shards(data.path());
    let network = network();
    embed(&network, &pool(data.path()), &params(out.path()), &NoProgress).unwrap();
    let embedded = Embedded::open(out.path(), "dfn").unwrap();
    let (images, texts, ids) = embedded.whole().unwrap();
    let streamed = |params: ScoreParams, inputs: ScoreInputs<'_>| {
        let mut found = (Vec::new(), Vec::new());
        let scores = params.check().unwrap().run_with(&embedded, inputs, &NoProgress).unwrap();
        let push = |score, id| {
            found.0.push(score);
            found.1.push(id);
            Ok::<_, curate_core::SourceError>(())
        };
        scores.each(push).unwrap();
        assert_eq!(found.1, ids);
        assert_eq!((scores.rows(), scores.unscored()), (60, 4));
        cuts_agree(&scores, &found.0, &ids, &embedded);
        found.0
    };
    let same =
        |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a == b || a.is_nan() && b.is_nan());
    let none = ScoreInputs::default();
    let cosine = cosines(&images, &texts, &NoProgress).unwrap();
    assert!(same(&streamed(ScoreParams::Cosine, none), &cosine));
    let params = NegClipLossParams { batch: 20, partitions: 2, ..NegClipLossParams::default() };
    let expected = neg_clip_loss(&images, &texts, &ids, &params, &NoProgress).unwrap();
    assert!(same(&streamed(ScoreParams::NegClipLoss(params), none), &expected));
    let target = sample(&embedded, Features::Texts, 5, 3, &NoProgress).unwrap();
    assert_eq!(target.len(), 5 * 16);
    let to_target = ScoreInputs { target: Some(&target), ..none };
    let texts_only = ScoreParams::NormSim { norm: Norm::Infinity, of: Features::Texts };
    let expected = norm_sim(&texts, &target, Norm::Infinity, &NoProgress).unwrap();
    let found = streamed(texts_only, to_target);
    assert!(same(&found, &expected));
    let ones = found.iter().filter(|&&s| (s - 1.0).abs() < 1e-5).count();
    assert!(ones >= 5, "the target's own rows");
    let good = sample(&embedded, Features::Both, 9, 1, &NoProgress).unwrap();
    let others = sample(&embedded, Features::Both, 1000, 2, &NoProgress).unwrap();
    assert_eq!((good.len(), others.len()), (9 * 32, 56 * 32), "rows without embeddings stay out");
    let classifier = Classifier::fit(&good, &others, 32, &Default::default()).unwrap();
    let fitted = ScoreInputs { classifier: Some(&classifier), ..none };
    let found = streamed(ScoreParams::Classifier { of: Features::Both }, fitted);
    let mut row = [0.0; 32];
    images.read(30..31, &mut row[..16]).unwrap();
    texts.read(30..31, &mut row[16..]).unwrap();
    assert_eq!(found[30], classifier.scores(&row).unwrap()[0]);
}

#[test]
fn a_sample_depends_on_ids_and_seed_and_not_on_its_size_limit() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    shards(data.path());
    let network = network();
    embed(&network, &pool(data.path()), &params(out.path()), &NoProgress).unwrap();
    let embedded = Embedded::open(out.path(), "dfn").unwrap();
    let draw = |most, seed| sample(&embedded, Features::Images, most, seed, &NoProgress).unwrap();
    assert_eq!(draw(10, 1), draw(10, 1));
    assert_ne!(draw(10, 1), draw(10, 2));
    let (few, more) = (draw(10, 1), draw(20, 1));
    let rows: Vec<&[f32]> = more.chunks_exact(16).collect();
    assert!(few.chunks_exact(16).all(|row| rows.contains(&row)), "a larger sample holds it");
}

/// In memory, with the pool's rows, what embedding the whole pool writes.
#[test]
fn scores_of_some_pairs_are_those_of_the_whole_pool_and_say_why_the_others_go() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    shards(data.path());
    let (network, pool) = (network(), pool(data.path()));
    embed(&network, &pool, &params(out.path()), &NoProgress).unwrap();
    let embedded = Embedded::open(out.path(), "dfn").unwrap();
    let ScoreTable { ids, scores } = embedded.scored(1).unwrap();
    let rows = [21, 22, 25, 30, 39].into_iter().collect();
    let found = score_pairs(&network, &pool, &rows, &NoProgress).unwrap();
    for (row, score) in rows.iter().zip(found.scores()) {
        let expected = scores[row - 20];
        assert!(score.to_bits() == expected.to_bits() || score.is_nan() && expected.is_nan());
        assert_eq!(ids[row - 20], pool.ids()[row]);
    }
    let bad: Vec<usize> = found.bad().iter().map(|pair| pair.row).collect();
    assert_eq!(bad, [21, 22]);
    let kept = found.select(Cut::Top(2)).unwrap();
    let removals = found.removals(Cut::Top(2)).unwrap();
    assert_eq!((kept.len(), removals.len()), (2, 3));
    assert_eq!(removals[0].to_string(), "row 21: image-over-pixel-limit");
    assert_eq!(removals[2].rule, "low-score");
    let beyond = score_pairs(&network, &pool, &[60].into_iter().collect(), &NoProgress);
    assert!(beyond.unwrap_err().to_string().starts_with("`rows`: 61 rows, but 60"));
    assert!(embedded.shard(3).is_err() && embedded.scored(9).is_err() && embedded.bad(3).is_err());
}
