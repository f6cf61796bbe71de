//! `curate filter`: data filtering networks.

pub(crate) mod args;
mod score;
#[cfg(feature = "train")]
pub(crate) mod train;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use curate::{
    dfn::{
        Network, Reading, Tokenizer,
        filter::{
            BadKind, EmbedParams, EmbedReport, Precision,
            card::{FilterCard, known_limits, network_digest},
        },
        image::Limits,
        network::read_folder,
        tokenizer::{Ftfy, SpecialText},
    },
    io::{IoError, Kind, PoolOptions, pool::BadShards},
};

use crate::{
    failure::Failure,
    filter::args::{CardArgs, EmbedArgs, FilterCommand, HowArgs},
    progress::Shown,
    show,
};

pub(crate) fn carry_out(command: &FilterCommand, shown: &Shown) -> Result<(), Failure> {
    match command {
        #[cfg(feature = "train")]
        FilterCommand::Train(args) => train::train(args, shown),
        #[cfg(not(feature = "train"))]
        FilterCommand::Train(_) => Err(Failure::NoTraining),
        FilterCommand::Embed(args) => embed(args, shown),
        FilterCommand::Score(args) => score::score(args, shown),
        FilterCommand::Ensemble(args) => score::ensemble(args, shown),
        FilterCommand::Card(args) => card(args, shown),
    }
}

/// The folder of a network that the user named.
pub(crate) fn network_folder(name: &str, shown: &Shown) -> Result<PathBuf, Failure> {
    if name.starts_with("hf://") { fetched(name, shown) } else { Ok(PathBuf::from(name)) }
}

#[cfg(feature = "hub")]
fn fetched(name: &str, shown: &Shown) -> Result<PathBuf, Failure> {
    use curate::dfn::hub::{HubOptions, fetch};
    Ok(fetch(&name.parse()?, &HubOptions::from_environment(), shown)?)
}

#[cfg(not(feature = "hub"))]
fn fetched(_: &str, _: &Shown) -> Result<PathBuf, Failure> {
    Err(Failure::NoHub)
}

fn embed(args: &EmbedArgs, shown: &Shown) -> Result<(), Failure> {
    let EmbedArgs { pool, network, out, name, how, part } = args;
    let task = part.task()?;
    let report = embed_pool(pool, network, out, name, (how, task), shown)?;
    show::text(said_of(&report, pool, out))?;
    if let Some((index, tasks)) = task {
        let last = tasks - 1;
        show::text(format_args!("task {index} of 0 to {last}\n"))?;
    }
    if report.complete {
        show::text(joins(args))?;
    } else {
        show::text("when all tasks are done, the command without --tasks completes the folder\n")?;
    }
    Ok(())
}

/// How the embeddings come to the pool: nobody has to copy files among its shards.
fn joins(args: &EmbedArgs) -> String {
    let EmbedArgs { pool, out, name, .. } = args;
    let (pool, out) = (pool.display(), out.display());
    format!(
        "in a recipe, name this folder beside the pool, and {name}_img and {name}_txt as embeddings:\n  \
         [pool]\n  path = \"{pool}\"\n  embeddings = \"{out}\"\n"
    )
}

fn embed_pool(
    pool: &Path,
    network: &str,
    out: &Path,
    name: &str,
    (how, task): (&HowArgs, Option<(usize, usize)>),
    shown: &Shown,
) -> Result<EmbedReport, Failure> {
    let bad_shards = if how.skip_bad_shards { BadShards::Skip } else { BadShards::Error };
    let options = PoolOptions { bad_shards, ids: how.ids.ids, ..PoolOptions::default() };
    let folder = network_folder(network, shown)?;
    let (config, weights) = read_folder(&folder)?;
    config.takes_captions(&folder)?;
    let precision = if how.half { Precision::F16 } else { Precision::F32 };
    let params = EmbedParams::new(out).name(name).precision(precision);
    let mut embed = params.verify(how.verify).check()?;
    if let Some((index, tasks)) = task {
        embed = embed.part(index, tasks);
    }
    let mut network = Network::new(config, &weights)?;
    drop(weights);
    network = network.with_arithmetic(how.precision)?;
    let limits = Limits { pixels: how.pixel_limit };
    let transform = network.transform().clone().with_limits(limits);
    network = network.with_transform(transform)?;
    let special = if how.strict_captions { SpecialText::Plain } else { SpecialText::AsOpenClip };
    network = network.with_tokenizer(Tokenizer::new(special).with_repair(how.caption_repair));
    Ok(embed.run_path(&network, pool, options, shown)?)
}

fn said_of(report: &EmbedReport, pool: &Path, out: &Path) -> String {
    let EmbedReport { rows, shards, reused, again, bad, skipped, notes, complete: _ } = report;
    let mut said = format!(
        "{rows} pairs in {} shards ({reused} of them from an earlier run), {} could not be embedded\n",
        shards + reused,
        bad.total(),
    );
    // Writing to a string does not fail.
    if *again > 0 {
        let _ = writeln!(said, "  {again} shards were embedded again: their files had changed");
    }
    for (kind, count) in &bad.kinds {
        let _ = writeln!(said, "  {count} {kind}");
    }
    for row in &bad.examples {
        let _ = writeln!(said, "  for example {}: {}", row.id, row.reason);
    }
    if bad.total() > bad.examples.len() {
        said += "  the others are listed in the shards' JSON files\n";
    }
    if bad.kinds.get(&BadKind::NoImage) == Some(rows) {
        said += "no sample has an image: name the folder of the tar shards as the pool\n";
    }
    for (shard, reason) in skipped {
        let _ = writeln!(said, "left out {}: {reason}", shard.display());
    }
    for note in notes.iter().take(show::MOST_NOTES) {
        let _ = writeln!(said, "note: {note}");
    }
    if let Some(more) = notes.len().checked_sub(show::MOST_NOTES).filter(|more| *more > 0) {
        let _ =
            writeln!(said, "note: {more} more, which `curate inspect {}` shows", pool.display());
    }
    let _ = writeln!(said, "wrote {}", out.display());
    said
}

/// The card of a network; one is made up for a folder of open_clip's, which has none.
fn card(args: &CardArgs, shown: &Shown) -> Result<(), Failure> {
    let folder = network_folder(&args.network, shown)?;
    let (config, weights) = read_folder(&folder)?;
    let digest = network_digest(&config, &weights);
    let card = match FilterCard::read(&folder) {
        Ok(card) if card.digest == digest => card,
        Ok(_) => {
            let file = folder.join("filter_card.json");
            let problem = "describes another network than the one beside it";
            return Err(IoError::new(Kind::Disagree, file, problem, "remove the card").into());
        }
        Err(e) if e.kind == Kind::NotFound => FilterCard {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config,
            digest,
            training: None,
            reading: Some(Reading::of(Ftfy::default())),
            limits: known_limits(),
        },
        Err(e) => return Err(e.into()),
    };
    if args.json { show::json(&card) } else { show::text(card.markdown()) }?;
    Ok(())
}
