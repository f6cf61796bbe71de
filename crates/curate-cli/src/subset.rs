//! `curate subset`.

use std::{fmt, path::PathBuf};

use clap::{Args, Subcommand};
use curate::{
    core::{Progress, SampleId},
    io::{
        algebra::{self, Info},
        subset::{self, SubsetFormat},
    },
    pipeline::Error,
};

use crate::{show, values::output};

#[derive(Subcommand)]
pub(crate) enum SubsetCommand {
    /// Write the ids of any of the files. An id gets as many copies as the file that has most of
    /// it; with --copies, the copies of all files together.
    Union(CopiesArgs),
    /// Write the ids that all files have. An id gets as many copies as the file that has fewest of
    /// it.
    Intersect(OperationArgs),
    /// Write the ids of the first file that no other file has. One occurrence in another file
    /// removes every copy; with --copies, it removes one.
    Minus(CopiesArgs),
    /// Count the ids of a file: all, different ones, repeated ones.
    Info(InfoArgs),
}

#[derive(Args)]
pub(crate) struct OperationArgs {
    /// Subset files: .npy, .memmap, .parquet, .jsonl or .txt, in any order of their ids.
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
    /// A subset file.
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
            let found = algebra::info(&subset::read_sorted(&args.file)?);
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
    let mut ids = subset::read_sorted(first)?;
    for other in others {
        progress.check()?;
        ids = combine(&ids, &subset::read_sorted(other)?);
    }
    progress.check()?;
    subset::write(&args.out, format, &ids)?;
    let found = algebra::info(&ids);
    show::text(format_args!(
        "wrote {} ids ({} different) to {}\n",
        found.ids,
        found.distinct,
        args.out.display()
    ))
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
