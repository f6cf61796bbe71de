//! `curate subset`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use curate::{
    core::{Progress, SampleId},
    io::{
        algebra::{self, Info},
        subset::{self, SubsetFormat},
    },
    pipeline::{Error, compare::subset_file},
    report::counted,
};

use crate::{show, values::output};

#[derive(Subcommand)]
pub(crate) enum SubsetCommand {
    /// Write the ids of any of the files. An id gets as many copies as the file that has most of
    /// it; with --copies, the copies of all files together.
    #[command(after_help = "Example:\n  curate subset union a.npy b.parquet --out c.npy")]
    Union(CopiesArgs),
    /// Write the ids that all files have. An id gets as many copies as the file that has fewest of
    /// it.
    #[command(after_help = "Example:\n  curate subset intersect runs/demo a.npy --out c.npy")]
    Intersect(OperationArgs),
    /// Write the ids of the first file that no other file has. One occurrence in another file
    /// removes every copy; with --copies, it removes one.
    #[command(after_help = "Example:\n  curate subset minus a.npy b.txt --out c.npy")]
    Minus(CopiesArgs),
    /// Count the ids of a file: all, different ones, repeated ones.
    #[command(after_help = "Example:\n  curate subset info runs/demo")]
    Info(InfoArgs),
}

#[derive(Args)]
pub(crate) struct OperationArgs {
    /// Subset files (.npy, .memmap, .parquet, .jsonl or .txt, in any order of their ids), or folders of
    /// finished runs.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The file to write, ids sorted; its ending says the form.
    #[arg(long, short, value_name = "FILE", value_parser = output)]
    out: PathBuf,
}

#[derive(Args)]
pub(crate) struct CopiesArgs {
    #[command(flatten)]
    operation: OperationArgs,
    /// Add or subtract copies instead of treating an id's copies as one.
    #[arg(long)]
    copies: bool,
}

#[derive(Args)]
pub(crate) struct InfoArgs {
    /// A subset file, or the folder of a finished run.
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &SubsetCommand, progress: &dyn Progress) -> Result<(), Error> {
    match command {
        SubsetCommand::Union(CopiesArgs { operation, copies: false }) => {
            write(operation, algebra::union, progress)
        }
        SubsetCommand::Union(CopiesArgs { operation, copies: true }) => {
            write(operation, algebra::sum, progress)
        }
        SubsetCommand::Intersect(operation) => write(operation, algebra::intersect, progress),
        SubsetCommand::Minus(CopiesArgs { operation, copies: false }) => {
            write(operation, algebra::minus, progress)
        }
        SubsetCommand::Minus(CopiesArgs { operation, copies: true }) => {
            write(operation, algebra::subtract, progress)
        }
        SubsetCommand::Info(args) => {
            let found = algebra::info(&sorted(&args.file)?);
            if args.json { show::json(&found) } else { show::text(Text(&found)) }
        }
    }
}

fn write(
    args: &OperationArgs,
    combine: impl Fn(&[SampleId], &[SampleId]) -> Vec<SampleId>,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let format = SubsetFormat::of_path(&args.out)?;
    let (first, others) = args.files.split_first().expect("clap requires a file");
    let mut ids = sorted(first)?;
    for other in others {
        progress.check()?;
        ids = combine(&ids, &sorted(other)?);
    }
    progress.check()?;
    subset::write(&args.out, format, &ids)?;
    let found = algebra::info(&ids);
    show::text(format_args!(
        "wrote {} ({} different) to {}\n",
        counted(found.ids as u64, "id"),
        found.distinct,
        args.out.display()
    ))
}

/// The ids of a subset file or a run, sorted, with their repeats.
fn sorted(path: &Path) -> Result<Vec<SampleId>, Error> {
    Ok(subset::read_sorted(&subset_file(path)?)?)
}

struct Text<'a>(&'a Info);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Info { ids, distinct, repeated, most_copies, range } = self.0;
        writeln!(f, "ids          {ids:>12}")?;
        writeln!(f, "different    {distinct:>12}")?;
        writeln!(f, "repeated     {repeated:>12}   the most frequent {most_copies} times")?;
        if let Some([first, last]) = range {
            writeln!(f, "smallest     {first}")?;
            writeln!(f, "largest      {last}")?;
        }
        Ok(())
    }
}
