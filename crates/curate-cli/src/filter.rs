//! `curate filter`: data filtering networks.

use std::path::Path;

use curate::{
    core::{Cut, EmbeddingSource, rank::Direction},
    dfn::{
        Network,
        filter::{
            BadRow, EmbedParams, Embedded, Precision,
            align::{NegClipLossParams, Norm, neg_clip_loss, norm_sim},
            card::{FilterCard, known_limits, network_digest},
            embed,
        },
        network::read_folder,
    },
    io::{
        Embedding, IoError, Kind, Pool, PoolOptions,
        pool::BadShards,
        subset::{self, SubsetFormat},
        table::{self, Column},
        vectors::Part,
    },
};

use crate::{
    args::{CardArgs, EmbedArgs, FilterCommand, Method, ScoreArgs},
    failure::Failure,
    progress::Shown,
    show,
};

pub(crate) fn carry_out(command: &FilterCommand, shown: &Shown) -> Result<(), Failure> {
    match command {
        #[cfg(feature = "train")]
        FilterCommand::Train(args) => crate::train::train(args, shown),
        #[cfg(not(feature = "train"))]
        FilterCommand::Train(_) => Err(Failure::NoTraining),
        FilterCommand::Embed(args) => embed_pool(args, shown),
        FilterCommand::Score(args) => score(args, shown),
        FilterCommand::Card(args) => card(args),
    }
}

fn embed_pool(args: &EmbedArgs, shown: &Shown) -> Result<(), Failure> {
    let bad_shards = if args.skip_bad_shards { BadShards::Skip } else { BadShards::Error };
    let (config, weights) = read_folder(&args.network)?;
    config.takes_captions(&args.network.join("open_clip_config.json"))?;
    let pool = Pool::open(&args.pool, PoolOptions { bad_shards, ..PoolOptions::default() }, shown)?;
    let digest = network_digest(&config, &weights);
    let precision = if args.half { Precision::F16 } else { Precision::F32 };
    let params = EmbedParams { out: args.out.clone(), name: args.name.clone(), precision };
    let report = embed(&Network::new(config, &weights), &digest, &pool, &params, shown)?;
    show::text(format_args!(
        "{} pairs in {} shards ({} of them from an earlier run), {} could not be embedded\n{}\
         wrote {}\n",
        report.rows,
        report.shards + report.reused,
        report.reused,
        report.bad.len(),
        reasons(&report.bad),
        args.out.display(),
    ))?;
    Ok(())
}

/// The first bad rows, one a line.
fn reasons(bad: &[BadRow]) -> String {
    const SHOWN: usize = 5;
    let mut lines: String =
        bad.iter().take(SHOWN).map(|row| format!("  {}: {}\n", row.id, row.reason)).collect();
    if bad.len() > SHOWN {
        lines += "  the others are listed in the shards' JSON files\n";
    }
    lines
}

fn score(args: &ScoreArgs, shown: &Shown) -> Result<(), Failure> {
    // Said now, not after an hour of scoring.
    let format = args.out.as_deref().map(SubsetFormat::of_path).transpose()?;
    let embedded = Embedded::open(&args.embedded, &args.name)?;
    let scores = match args.by {
        Method::Cosine => embedded.scores.clone(),
        Method::NegClipLoss => {
            let ScoreArgs { temperature, batch, partitions, seed, .. } = *args;
            let params = NegClipLossParams { temperature, batch, partitions, seed };
            params.check()?;
            neg_clip_loss(&embedded.images, &embedded.texts, &embedded.ids, &params, shown)?
        }
        Method::NormSim => {
            let file = args.target.as_deref().expect("clap requires it");
            let target = read_target(file, embedded.images.dim())?;
            norm_sim(&embedded.images, &target, Norm::Infinity, shown)?
        }
    };
    let unscored = scores.iter().filter(|s| s.is_nan()).count();
    show::text(format_args!("{} rows, {unscored} of them without a score\n", scores.len()))?;
    if let Some(file) = &args.scores {
        let ids = embedded.ids.iter().map(ToString::to_string).collect();
        let columns = vec![("uid", Column::Text(ids)), ("score", Column::F32(scores.clone()))];
        table::write(file, columns)?;
        show::text(format_args!("wrote {}\n", file.display()))?;
    }
    match args.cut.cut() {
        Some(cut) => keep(&embedded, &scores, cut, args.out.as_deref().zip(format)),
        None => Ok(()),
    }
}

fn read_target(file: &Path, dim: usize) -> Result<Vec<f32>, IoError> {
    let part = Part::open_npy(file)?;
    if part.dim() != dim {
        let problem =
            format!("holds vectors of {} numbers, the pool\u{2019}s have {dim}", part.dim());
        return Err(IoError::new(Kind::Disagree, file, problem, "embed both with one network"));
    }
    let target = Embedding::new(vec![part])?;
    let mut rows = vec![0.0; target.rows() * dim];
    target
        .read(0..target.rows(), &mut rows)
        .map_err(|e| IoError::malformed(file, e.to_string()))?;
    Ok(rows)
}

fn keep(
    embedded: &Embedded,
    scores: &[f32],
    cut: Cut,
    out: Option<(&Path, SubsetFormat)>,
) -> Result<(), Failure> {
    let outcome = cut.apply(scores, &embedded.ids, Direction::HigherIsBetter);
    let kept: Vec<_> = embedded.ids.iter().zip(&outcome.kept).filter(|(_, kept)| **kept).collect();
    let share = 100.0 * kept.len() as f64 / scores.len().max(1) as f64;
    let threshold = outcome.threshold.map(|t| format!(", threshold {t}")).unwrap_or_default();
    show::text(format_args!("kept {} ({share:.1} %){threshold}\n", kept.len()))?;
    let Some((out, format)) = out else { return Ok(()) };
    let ids: Vec<_> = kept.into_iter().map(|(id, _)| *id).collect();
    subset::write(out, format, &ids)?;
    show::text(format_args!("wrote {}\n", out.display()))?;
    Ok(())
}

/// The card of a network; one is made up for a folder of open_clip's, which has none.
fn card(args: &CardArgs) -> Result<(), Failure> {
    let (config, weights) = read_folder(&args.network)?;
    let digest = network_digest(&config, &weights);
    let card = match FilterCard::read(&args.network) {
        Ok(card) if card.digest == digest => card,
        Ok(_) => {
            let file = args.network.join("filter_card.json");
            let problem = "describes another network than the one beside it";
            return Err(IoError::new(Kind::Disagree, file, problem, "remove the card").into());
        }
        Err(e) if e.kind == Kind::NotFound => FilterCard {
            name: args.network.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config,
            digest,
            training: None,
            limits: known_limits(),
        },
        Err(e) => return Err(e.into()),
    };
    if args.json { show::json(&card) } else { show::text(card.markdown()) }?;
    Ok(())
}
