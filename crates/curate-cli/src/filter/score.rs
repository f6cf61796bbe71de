//! `curate filter score` and `curate filter ensemble`.

use std::{fmt::Display, path::Path};

use curate::{
    core::{Cut, EmbeddingSource, SampleId, rank::Direction},
    dfn::filter::{
        Classifier, ClassifierParams, Embedded, Features, ScoreInputs, ScoreParams, Scorer, Scores,
        align::{NegClipLossParams, Norm},
        ensemble::{self, Member},
        read_scores, sample,
    },
    io::{
        Embedding, IoError, Kind, SubsetWriter,
        subset::{self, SubsetFormat},
        table::{self, Column},
        vectors::StoredArray,
    },
};

use crate::{
    failure::Failure,
    filter::{
        args::{By, EnsembleArgs, NormName, Of, ScoreArgs, WrittenArgs},
        embed_pool, said_of,
    },
    progress::Shown,
    show,
};

/// Rows that a table of scores is given at once.
const ROWS: usize = 1 << 16;

pub(super) fn score(args: &ScoreArgs, shown: &Shown) -> Result<(), Failure> {
    // Said now, not after an hour of scoring.
    let format = form(&args.written)?;
    if args.sample.is_some() && args.written.cut.fraction.is_none() {
        return Err(Failure::Usage(
            "--sample asks for --fraction: how much of it to keep".to_owned(),
        ));
    }
    let embedded = open(args, shown)?;
    let dim = width(&embedded)?;
    let of = of(args)?;
    let scorer = params(args, of).check()?;
    let target = (args.by == By::NormSim).then(|| read_target(args, of, dim, shown)).transpose()?;
    let fit = || fit(args, &embedded, of, dim, shown);
    let classifier = (args.by == By::Classifier).then(fit).transpose()?;
    let inputs = ScoreInputs { target: target.as_deref(), classifier: classifier.as_ref() };
    let scores = scorer.run_with(&embedded, inputs, shown)?;
    let count = (scores.rows(), scores.unscored());
    show::text(format_args!("{} rows, {} of them without a score\n", count.0, count.1))?;
    if let Some(file) = &args.written.scores {
        write_scores(&scores, file)?;
    }
    let Some(mut cut) = args.written.cut.cut() else { return Ok(()) };
    if let Some(folder) = &args.sample {
        cut = transferred(&opened(folder, args)?, scorer, inputs, cut, shown)?;
    }
    keep(&scores, cut, args.written.out.as_deref().zip(format))
}

fn params(args: &ScoreArgs, of: Features) -> ScoreParams {
    match args.by {
        By::Cosine => ScoreParams::Cosine,
        By::NegClipLoss => {
            let ScoreArgs { temperature, batch, partitions, seed, .. } = *args;
            let params = NegClipLossParams::new().temperature(temperature).batch(batch);
            ScoreParams::NegClipLoss(params.partitions(partitions).seed(seed))
        }
        By::NormSim => {
            let norm = match args.norm {
                NormName::Infinity => Norm::Infinity,
                NormName::Two => Norm::Two,
            };
            ScoreParams::NormSim { norm, of }
        }
        By::Classifier => ScoreParams::Classifier { of },
    }
}

fn form(args: &WrittenArgs) -> Result<Option<SubsetFormat>, IoError> {
    args.out.as_deref().map(SubsetFormat::of_path).transpose()
}

/// The embedded pool; with a network it is embedded first.
fn open(args: &ScoreArgs, shown: &Shown) -> Result<Embedded, Failure> {
    let folder = match args.network.as_deref().zip(args.embedded.as_deref()) {
        None => &args.pool,
        Some((network, folder)) => {
            let report =
                embed_pool(&args.pool, network, folder, &args.name, (&args.how, None), shown)?;
            show::text(said_of(&report, &args.pool, folder))?;
            folder
        }
    };
    Ok(opened(folder, args)?)
}

fn opened(folder: &Path, args: &ScoreArgs) -> Result<Embedded, IoError> {
    Embedded::open_checked(folder, &args.name, args.how.check())
}

fn width(embedded: &Embedded) -> Result<usize, IoError> {
    Ok(embedded.shard(0)?.images.dim())
}

fn of(args: &ScoreArgs) -> Result<Features, Failure> {
    if args.by == By::NormSim && args.of == Of::Both {
        let what = "--by norm-sim looks at images or texts: give --of images or --of texts";
        return Err(Failure::Usage(what.to_owned()));
    }
    Ok(args.of.into())
}

/// The target vectors: of an npy file, or of an embedded pool.
fn read_target(
    args: &ScoreArgs,
    of: Features,
    dim: usize,
    shown: &Shown,
) -> Result<Vec<f32>, Failure> {
    let path = args.target.as_deref().expect("clap requires it");
    if path.is_dir() {
        let embedded = opened(path, args)?;
        same_width(path, width(&embedded)?, dim)?;
        return Ok(sample(&embedded, of, usize::MAX, args.seed, shown)?);
    }
    let part = StoredArray::open_npy(path)?;
    same_width(path, part.dim(), dim)?;
    let target = Embedding::new(vec![part])?;
    let mut rows = vec![0.0; target.rows() * dim];
    target
        .read(0..target.rows(), &mut rows)
        .map_err(|e| IoError::malformed(path, e.to_string()))?;
    Ok(rows)
}

fn same_width(path: &Path, found: usize, dim: usize) -> Result<(), IoError> {
    if found == dim {
        return Ok(());
    }
    let problem = format!("holds vectors of {found} numbers, the pool\u{2019}s have {dim}");
    Err(IoError::new(Kind::Disagree, path, problem, "embed both with one network"))
}

fn fit(
    args: &ScoreArgs,
    embedded: &Embedded,
    of: Features,
    dim: usize,
    shown: &Shown,
) -> Result<Classifier, Failure> {
    let folder = args.good.as_deref().expect("clap requires it");
    let good = opened(folder, args)?;
    same_width(folder, width(&good)?, dim)?;
    let good = sample(&good, of, args.samples, args.seed, shown)?;
    let others = sample(embedded, of, args.samples, args.seed, shown)?;
    let params = ClassifierParams::default();
    let classifier = Classifier::fit(&good, &others, of.dim(dim), &params)?;
    show::text(format_args!(
        "classifier: {} good samples against {} of the pool, {} steps\n",
        good.len() / of.dim(dim),
        others.len() / of.dim(dim),
        classifier.steps
    ))?;
    Ok(classifier)
}

/// The threshold that keeps the fraction of a sample.
fn transferred(
    sample: &Embedded,
    scorer: Scorer,
    inputs: ScoreInputs<'_>,
    cut: Cut,
    shown: &Shown,
) -> Result<Cut, Failure> {
    let scores = scorer.run_with(sample, inputs, shown)?;
    let threshold = scores.streamed(cut)?.threshold.ok_or_else(|| {
        Failure::Usage("the fraction keeps nothing of the sample: give a larger one".to_owned())
    })?;
    show::text(format_args!("threshold {threshold}, from {} rows of the sample\n", scores.rows()))?;
    Ok(Cut::Threshold(threshold.into()))
}

fn write_scores(scores: &Scores, file: &Path) -> Result<(), Failure> {
    let mut table: Option<table::Writer<'_>> = None;
    let (mut ids, mut values) = (Vec::new(), Vec::new());
    let mut flush = |ids: &mut Vec<String>, values: &mut Vec<f32>| -> Result<(), Failure> {
        let (ids, values) = (std::mem::take(ids), std::mem::take(values));
        let columns = (Column::Text(ids), Column::F32(values));
        match &mut table {
            Some(table) => table.write(vec![columns.0, columns.1])?,
            None => {
                let columns = vec![("uid", columns.0), ("score", columns.1)];
                table = Some(table::Writer::create(file, columns)?);
            }
        }
        Ok(())
    };
    scores.each(|score, id| {
        ids.push(id.to_string());
        values.push(score);
        if ids.len() == ROWS { flush(&mut ids, &mut values) } else { Ok(()) }
    })?;
    flush(&mut ids, &mut values)?;
    if let Some(table) = table {
        table.finish()?;
    }
    show::text(format_args!("wrote {}\n", file.display()))?;
    Ok(())
}

fn keep(scores: &Scores, cut: Cut, out: Option<(&Path, SubsetFormat)>) -> Result<(), Failure> {
    let mut rule = scores.streamed(cut)?;
    let mut kept = 0_usize;
    let mut writer = out.map(|(path, format)| SubsetWriter::new(path, format));
    scores.each(|score, id| -> Result<(), Failure> {
        if !rule.keeps(score, id) {
            return Ok(());
        }
        kept += 1;
        Ok(writer.as_mut().map_or(Ok(()), |writer| writer.push(id))?)
    })?;
    tell(kept, scores.rows(), rule.threshold)?;
    if let Some((writer, (path, _))) = writer.zip(out) {
        writer.finish()?;
        show::text(format_args!("wrote {}\n", path.display()))?;
    }
    Ok(())
}

fn tell(kept: usize, rows: usize, threshold: Option<impl Display>) -> Result<(), Failure> {
    let share = 100.0 * kept as f64 / rows.max(1) as f64;
    let threshold = threshold.map(|t| format!(", threshold {t}")).unwrap_or_default();
    show::text(format_args!("kept {kept} ({share:.1} %){threshold}\n"))?;
    Ok(())
}

/// Ranks need all scores at once: 32 bytes a row and table.
pub(super) fn ensemble(args: &EnsembleArgs, _shown: &Shown) -> Result<(), Failure> {
    let format = form(&args.written)?;
    let weights = match args.weights.len() {
        0 => vec![1.0; args.tables.len()],
        n if n == args.tables.len() => args.weights.clone(),
        n => {
            let tables = args.tables.len();
            return Err(Failure::Usage(format!("{n} weights for {tables} tables: give one each")));
        }
    };
    let tables: Result<Vec<_>, IoError> =
        args.tables.iter().map(|file| read_scores(file)).collect();
    let joined = ensemble::join(tables?)?;
    let ids = &joined.ids;
    let members = joined.scores.iter().zip(weights);
    let members: Vec<Member<'_, f64>> =
        members.map(|(scores, weight)| Member { weight, ..Member::new(scores) }).collect();
    let scores = ensemble::by_rank(&members)?;
    let unscored = scores.iter().filter(|score| score.is_nan()).count();
    show::text(format_args!("{} rows, {unscored} of them without a score\n", ids.len()))?;
    if let Some(file) = &args.written.scores {
        let uids = ids.iter().map(SampleId::to_string).collect();
        let columns = vec![("uid", Column::Text(uids)), ("score", Column::F64(scores.clone()))];
        table::write(file, columns)?;
        show::text(format_args!("wrote {}\n", file.display()))?;
    }
    let Some(cut) = args.written.cut.cut() else { return Ok(()) };
    let outcome = cut.apply(&scores, ids, Direction::HigherIsBetter)?;
    let kept: Vec<SampleId> = outcome.kept.iter().map(|row| ids[row]).collect();
    tell(kept.len(), ids.len(), outcome.threshold)?;
    if let Some((path, format)) = args.written.out.as_deref().zip(format) {
        subset::write(path, format, &kept)?;
        show::text(format_args!("wrote {}\n", path.display()))?;
    }
    Ok(())
}
