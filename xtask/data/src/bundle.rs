//! `bundle`: from the pool to the part of it that the repository holds.
//!
//! Whole concepts are taken or left, by hash, so that the duplicates in the pool stay
//! duplicates in the bundle. Only licences that ask for nothing but their notice take part.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use half::f16;

use crate::digest;
use crate::features::Features;
use crate::layout::{self, Draft, Manifest};
use crate::packages::Store;
use crate::row::{Row, Sample};
use crate::shard::Style;
use crate::sources::is_permissive;
use crate::{notices, readme};

/// The repository's allowance, pictures, embeddings and notices together.
const MOST_BYTES: u64 = 11_500_000;
const ROWS_A_SHARD: usize = 1500;
/// Members of the bundle's `.npz`, and how many of their leading axes are kept.
const MEMBERS: [(&str, usize); 3] = [("img", 96), ("joint_img", 64), ("joint_txt", 64)];

/// Sources and the share of their concepts that is taken. Equal shares within a family keep the
/// same concept from every artist; brand logos stay out, whatever their licence.
const SHARES: [(&str, f64); 10] = [
    ("emoji-google", EMOJI),
    ("em-noto", EMOJI),
    ("em-noto-v1", EMOJI),
    ("em-fluent-emoji-flat", EMOJI),
    ("ic-tabler", ICONS),
    ("ic-lucide", ICONS),
    ("ic-ph", ICONS),
    ("ic-pinhead", ICONS),
    ("ic-healthicons", ICONS),
    ("openclipart", CLIP_ART),
];
const EMOJI: f64 = 0.10;
const ICONS: f64 = 0.205;
const CLIP_ART: f64 = 0.06;
/// Clip-arts with several names are what alias detection is for: more of them.
const ALIASES: f64 = 0.15;
/// Blank pictures are rare enough to be missed by the shares above.
const BLANK: f64 = 0.10;

pub(crate) fn run(pool: &Path, out: &Path, downloads: &Path, style: Style) -> Result<()> {
    let whole = layout::manifest(pool)?;
    let (samples, members) = layout::read(pool, &whole, MEMBERS.map(|(name, _)| name))?;
    let rows: Vec<&Row> = samples.iter().map(|sample| &sample.row).collect();
    let chosen = choose(&rows);
    let picked: Vec<Sample> = chosen.iter().map(|&row| samples[row].clone()).collect();
    let blocks: Vec<Features> = members
        .iter()
        .zip(MEMBERS)
        .map(|(block, (_, width))| shorten(&block.take(chosen.iter().copied()), width))
        .collect();
    let manifest = write(out, whole, &picked, &blocks, style)?;
    let beside = out.parent().context("the bundle needs a folder around it")?;
    notices::write(&Store::open(downloads)?, &beside.join("LICENSES"), &manifest)?;
    readme::write(&beside.join("README.md"), &manifest)?;
    crate::build::print(&manifest)?;
    let size = size(out)? + size(&beside.join("LICENSES"))?;
    println!("{} rows, {size} bytes in {}", picked.len(), out.display());
    ensure!(
        size <= MOST_BYTES,
        "the bundle is over {MOST_BYTES} bytes: lower the shares in bundle.rs"
    );
    Ok(())
}

fn choose(rows: &[&Row]) -> Vec<usize> {
    let aliased: std::collections::HashSet<&str> = rows
        .iter()
        .filter(|r| r.variant && r.source == "openclipart")
        .map(|r| r.concept.as_str())
        .collect();
    (0..rows.len()).filter(|&row| is_chosen(rows[row], &aliased)).collect()
}

fn is_chosen(row: &Row, aliased: &std::collections::HashSet<&str>) -> bool {
    let Some((_, share)) = SHARES.iter().find(|(source, _)| *source == row.source) else {
        return false;
    };
    let share = if row.std == 0.0 {
        BLANK
    } else if aliased.contains(row.concept.as_str()) {
        ALIASES
    } else {
        *share
    };
    is_permissive(&row.license)
        && !is_brand(&row.category, &row.name)
        && digest::unit("bundle", &row.concept) < share
}

/// Trademarks, which a licence of the drawing does not cover.
pub(crate) fn is_brand(category: &str, name: &str) -> bool {
    category.to_lowercase().contains("brand") || name.split('-').any(|word| word == "logo")
}

/// Whether the bundle has pictures of a source.
pub(crate) fn holds(source: &str) -> bool {
    SHARES.iter().any(|(held, _)| *held == source)
}

/// The leading axes, brought back to unit length.
fn shorten(features: &Features, width: usize) -> Features {
    let data = (0..features.data.len() / features.width)
        .flat_map(|row| {
            let kept = &features.row(row)[..width];
            let length = kept.iter().map(|x| x.to_f64().powi(2)).sum::<f64>().sqrt();
            let scale = if length > 0.0 { length.recip() } else { 0.0 };
            kept.iter().map(move |x| f16::from_f64(x.to_f64() * scale)).collect::<Vec<_>>()
        })
        .collect();
    Features { width, data }
}

fn write(
    out: &Path,
    whole: Manifest,
    samples: &[Sample],
    blocks: &[Features],
    style: Style,
) -> Result<Manifest> {
    let mut manifest = Manifest {
        name: "curate demonstration bundle".to_owned(),
        sources: Default::default(),
        caption_kinds: Default::default(),
        licenses: Default::default(),
        shards: Vec::new(),
        digests: Default::default(),
        ..whole
    };
    manifest.embeddings.retain_mut(|note| {
        let member = MEMBERS.iter().find(|(name, _)| *name == note.member);
        if let Some((_, width)) = member {
            note.processing = format!("{}; first {width} axes, unit length", note.processing);
            note.width = *width;
        }
        member.is_some()
    });
    layout::count(&mut manifest, &samples.iter().map(|s| &s.row).collect::<Vec<_>>());
    let members: Vec<_> =
        MEMBERS.iter().zip(blocks).map(|((name, _), block)| (*name, block)).collect();
    let draft = Draft::new(out)?;
    draft.fill(&mut manifest, samples, &members, ROWS_A_SHARD, style)?;
    draft.publish(manifest)
}

fn size(folder: &Path) -> Result<u64> {
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(current) = open.pop() {
        for entry in std::fs::read_dir(&current).context("cannot list the bundle")? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                bytes += entry.metadata()?.len();
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::tests::sample;

    #[test]
    fn a_concept_is_taken_from_every_artist_or_from_none() {
        for name in ["heart", "star", "cat", "house", "arrow", "cloud", "bell", "car"] {
            let of = |source: &str| {
                let mut row = sample(name).row;
                source.clone_into(&mut row.source);
                is_chosen(&row, &Default::default())
            };
            assert_eq!(of("ic-tabler"), of("ic-lucide"));
            assert!(!of("ic-logos"));
        }
    }

    #[test]
    fn brands_stay_out() {
        assert!(!is_brand("things", "heart"));
        assert!(is_brand("Brand / Logo", "heart"));
        assert!(is_brand("things", "some-logo-bold"));
    }

    #[test]
    fn attribution_licences_stay_out() {
        let mut row = sample("heart").row;
        "CC-BY-4.0".clone_into(&mut row.license);
        "ic-tabler".clone_into(&mut row.source);
        assert!(!is_chosen(&row, &Default::default()));
    }

    #[test]
    fn shortened_vectors_have_unit_length() {
        let long = Features { width: 3, data: [0.6, 0.8, 0.5].map(f16::from_f32).to_vec() };
        let short = shorten(&long, 2);
        assert!((short.row(0)[0].to_f32() - 0.6).abs() < 1e-3);
        assert_eq!(short.width, 2);
    }
}
