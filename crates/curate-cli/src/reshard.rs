//! `curate reshard`.

mod datacomp;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;
use curate::{
    io::{
        pool::BadShards,
        reshard::{Part, ReshardOptions, Resharded, Shuffle, reshard},
        stamp::Check,
    },
    pipeline::compare::subset_file,
    report::counted,
};

use crate::{
    failure::Failure,
    progress::Shown,
    show,
    tasks::PartArgs,
    values::{IdsArg, output},
};

#[derive(Args)]
pub(crate) struct ReshardArgs {
    /// The shards: a folder, a tar file, or a pattern such as `shards/{00000..00099}.tar`.
    #[arg(required_unless_present = "input_dir")]
    pool: Option<PathBuf>,
    /// The same, as DataComp's resharder.py takes it.
    #[arg(
        long,
        short,
        alias = "input_dir",
        value_name = "FOLDER",
        conflicts_with = "pool",
        hide = true
    )]
    input_dir: Option<PathBuf>,
    /// Threads, as DataComp's resharder.py takes them: the same as --threads.
    #[arg(long, short = 'j', alias = "num_workers", value_name = "N", hide = true)]
    pub(crate) num_workers: Option<usize>,
    /// The selection: .npy, .memmap, .parquet, .jsonl or .txt. An id that occurs n times is written
    /// n times.
    #[arg(long, short, aliases = ["subset-file", "subset_file"], value_name = "FILE")]
    subset: PathBuf,
    /// The folder to write to.
    #[arg(
        long,
        short,
        aliases = ["output-dir", "output_dir"],
        value_name = "FOLDER",
        value_parser = output
    )]
    out: PathBuf,
    /// Samples in an output shard.
    #[arg(
        long,
        short = 'c',
        aliases = ["shard-size", "shard_size"],
        value_name = "N",
        default_value_t = 10_000
    )]
    samples_per_shard: usize,
    /// Mix the samples: a buffer of so many of them. Without it, or with 0, they stay in input order.
    #[arg(long, aliases = ["shuffle-bufsize", "shuffle_bufsize"], value_name = "SAMPLES")]
    shuffle_buffer: Option<usize>,
    /// The seed of the shuffle.
    #[arg(long, default_value_t = 0, requires = "shuffle_buffer")]
    seed: u64,
    /// Leave out shards that cannot be read, instead of stopping.
    #[arg(long)]
    skip_bad_shards: bool,
    #[command(flatten)]
    ids: IdsArg,
    /// Compare shards that are there already, byte by byte, with what would be written. Without it their
    /// lengths, times and 64 KiB of each are compared, and those of the shards that they were made from.
    #[arg(long)]
    verify: bool,
    /// Replace shards of another selection or other settings in the folder.
    #[arg(long, conflicts_with = "tasks")]
    overwrite: bool,
    #[command(flatten)]
    pub(crate) part: PartArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    datacomp: datacomp::DataCompArgs,
}

impl ReshardArgs {
    fn pool(&self) -> &Path {
        let given = self.pool.as_ref().or(self.input_dir.as_ref());
        given.expect("clap requires one of the two")
    }
}

pub(crate) fn run(args: &ReshardArgs, shown: &Shown) -> Result<(), Failure> {
    args.datacomp.refused().map_err(Failure::Usage)?;
    let buffer = args.shuffle_buffer.filter(|&buffer| buffer > 0);
    let options = ReshardOptions {
        samples_per_shard: args.samples_per_shard,
        shuffle: buffer.map(|buffer| Shuffle { buffer, seed: args.seed }),
        bad_shards: if args.skip_bad_shards { BadShards::Skip } else { BadShards::Error },
        ids: args.ids.ids,
        check: if args.verify { Check::Whole } else { Check::Sample },
        part: args.part.task()?.map(|(index, tasks)| Part { index, tasks }),
        overwrite: args.overwrite,
    };
    let found = reshard(args.pool(), &subset_file(&args.subset)?, &args.out, options, shown)?;
    let part = options.part;
    if args.json { show::json(&found) } else { show::text(Text { args, part, found: &found }) }?;
    Ok(())
}

struct Text<'a> {
    args: &'a ReshardArgs,
    part: Option<Part>,
    found: &'a Resharded,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { args, part, found } = self;
        let out = args.out.display();
        if part.is_some() && found.complete {
            let samples = counted(found.written as u64, "sample");
            let shards = counted(found.output_shards as u64, "shard");
            return writeln!(f, "{samples} in {shards}: {out} is complete");
        }
        writeln!(
            f,
            "{} in {}, from {} in {}",
            counted(found.written as u64, "sample"),
            counted(found.output_shards as u64, "shard"),
            counted(found.input_samples as u64, "sample"),
            counted(found.input_shards as u64, "shard")
        )?;
        for (count, one, many, what) in counts(found).into_iter().filter(|&(count, ..)| count > 0) {
            writeln!(f, "  {} {} {what}", count, if count == 1 { one } else { many })?;
        }
        for shard in &found.skipped {
            writeln!(f, "    {}: {}", shard.name, shard.reason)?;
        }
        for note in found.notes.iter().take(show::MOST_NOTES) {
            writeln!(f, "note: {note}")?;
        }
        if let Some(more) = found.notes.len().checked_sub(show::MOST_NOTES + 1) {
            writeln!(f, "note: {} more are in --json", more + 1)?;
        }
        let Some(Part { index, tasks }) = part else {
            return writeln!(
                f,
                "wrote {out}/00000000.tar ..., sizes.json, sample_ids.npy, meta.json"
            );
        };
        let own = counted(found.own_shards as u64, "shard");
        writeln!(f, "task {index} of 0 to {}: {own} in {out}", tasks - 1)?;
        writeln!(f, "when all tasks are done, the command without --tasks completes the folder")
    }
}

/// What is counted beside samples and shards: how many, of what for one and for many, and what became of them.
fn counts(found: &Resharded) -> [(usize, &'static str, &'static str, &'static str); 9] {
    [
        (found.found_written, "shard was", "shards were", "there already"),
        (
            found.written_again,
            "shard was",
            "shards were",
            "written again: the shard or its samples had changed",
        ),
        (found.ids_without_sample, "id has", "ids of the selection have", "no sample here"),
        (found.not_selected, "sample", "samples", "left out: not in the selection"),
        (found.without_id, "sample", "samples", "left out: the uid is no id"),
        (found.bad_records, "sample", "samples", "left out: the record is not a JSON object"),
        (found.repeated_members, "member", "members", "left out: the sample has one of that name"),
        (found.repeated_samples, "sample repeats", "samples repeat", "an earlier id and its keys"),
        (found.skipped.len(), "input shard", "input shards", "left out: not readable"),
    ]
}
