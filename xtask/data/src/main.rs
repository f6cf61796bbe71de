//! Builds the demonstration pool: real pictures, real captions, real embeddings, and nothing
//! that was drawn at random.
//!
//! ```sh
//! cargo xtask data build            # packages -> data/pool (about 74,000 pairs)
//! cargo xtask data bundle           # data/pool -> demo/pool (the part that is committed)
//! cargo xtask data clean            # packages -> data/clean (what demo/filter is trained on)
//! cargo xtask data check-encoder    # is the image encoder loaded rightly?
//! ```
//!
//! * **Packages** (`packages.toml`) are fetched by `npm pack`, `apt-get download` and `pip
//!   download` and accepted only with the pinned digest. Nothing is unpacked: members are read
//!   out of the archives.
//! * **Pictures** are rendered without system fonts, so their bytes are the same everywhere.
//! * **Choices** (which icons, which keywords, which captions are wrong) are hashes of names
//!   (`digest.rs`): a second run writes the same bytes, and a row's fate does not depend on the
//!   other rows, except that boilerplate is counted and swapped captions change hands.
//! * **Image features** come from EfficientNet-Lite0 (`encoders/lite0.rs`). Of the twenty
//!   ImageNet photographs in the `foolbox` package, shrunk to 224 pixels, it names 19 rightly and
//!   has all 20 among its first five. Its checkpoint holds strided tensors: read without their
//!   strides it names none.
//! * **Text features** come from all-MiniLM-L6-v2 (`encoders/minilm.rs`).
//! * **The joint space** (`joint.rs`) is a regularised canonical correlation analysis of both,
//!   fitted on curated pairs and measured on concepts that it has not seen. It is an honest
//!   score of agreement, and a weak one beside a CLIP model's.
#![allow(clippy::print_stdout, reason = "a command-line task: standard output is its result")]

mod archive;
mod build;
mod bundle;
mod captions;
mod check;
mod clean;
mod digest;
mod encoders;
mod features;
mod joint;
mod layout;
mod linear;
mod notices;
mod npz;
mod packages;
mod readme;
mod render;
mod row;
mod shard;
mod sources;
mod table;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Builds the demonstration pool from pinned packages.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask data", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
    /// Folder of the fetched packages [default: data/downloads].
    #[arg(long, global = true, value_name = "FOLDER")]
    downloads: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Fetches the packages, renders, captions and embeds the whole pool.
    Build {
        /// Folder of the pool [default: data/pool].
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// Folder of the features kept between runs [default: data/cache].
        #[arg(long, value_name = "FOLDER")]
        cache: Option<PathBuf>,
        /// Take only so many rows, for a quick look.
        #[arg(long, value_name = "ROWS")]
        limit: Option<usize>,
    },
    /// Takes from the pool the part that the repository holds.
    Bundle {
        /// Folder of the pool [default: data/pool].
        #[arg(long, value_name = "FOLDER")]
        pool: Option<PathBuf>,
        /// Folder of the bundle; licences and README go beside it [default: demo/pool].
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// Put captions and records into the shards too; the result is too large to be committed.
        #[arg(long)]
        records: bool,
    },
    /// Renders the pairs that the demonstration's filter network is trained on.
    Clean {
        /// Folder of the shards [default: data/clean].
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
    /// Runs the image encoder on twenty labelled photographs.
    CheckEncoder,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = |name: &str| root.join("data").join(name);
    let downloads = arguments.downloads.unwrap_or_else(|| data("downloads"));
    match arguments.task {
        Task::Build { out, cache, limit } => build::run(&build::Options {
            out: out.unwrap_or_else(|| data("pool")),
            downloads,
            cache: cache.unwrap_or_else(|| data("cache")),
            limit,
        }),
        Task::Bundle { pool, out, records } => bundle::run(
            &pool.unwrap_or_else(|| data("pool")),
            &out.unwrap_or_else(|| root.join("demo/pool")),
            &downloads,
            if records { shard::Style::Full } else { shard::Style::Compact },
        ),
        Task::Clean { out } => clean::run(&out.unwrap_or_else(|| data("clean")), &downloads),
        Task::CheckEncoder => check::run(&downloads),
    }
}
