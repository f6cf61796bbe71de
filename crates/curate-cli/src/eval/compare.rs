//! `curate eval compare`.

use std::{collections::BTreeSet, path::Path, time::Instant};

use curate::{
    dfn::Network,
    eval::{
        Order,
        compare::{
            Arena, Compare, CompareParams, Contest, Cost, Entry, Existing, Model, Report, Score,
            Source, Tests, UnknownIds,
        },
        scales,
    },
    io::{Pool, PoolOptions, atomic},
    pipeline::joined::open,
};
use serde::Serialize;

use crate::{
    eval::{
        args::{CompareArgs, ModelArg, ScoreArg, TinyArg},
        named, page, prompts,
        text::{Ranked, Spent},
    },
    failure::Failure,
    filter::network_folder,
    progress::Shown,
    show,
};

/// Steps that a rehearsal takes: without a clock and with one.
const WARM: usize = 2;
const TIMED: usize = 8;

pub(crate) fn compare(args: &CompareArgs, shown: &Shown) -> Result<(), Failure> {
    let options = PoolOptions { ids: args.runs.ids.ids, ..PoolOptions::default() };
    compare_in(args, options, shown)
}

/// What can be known to be wrong with a comparison before its selections are there: numbers out of range, and
/// embeddings and columns that the pool does not have.
pub(super) fn check(
    args: &CompareArgs,
    options: PoolOptions,
    shown: &Shown,
) -> Result<(), Failure> {
    let pool = open(&args.pool, options, args.embeddings.as_deref(), shown)?;
    let compare = settings(args, &pool)?;
    let params = compare.params();
    if params.model != Model::Cnn {
        pool.embedding(&params.images)?;
    }
    if !params.model.learns_labels() {
        pool.embedding(&params.texts)?;
    }
    if let Some(column) = &args.asked.labels {
        named::labels(&pool, column, args.asked.labels_from.as_deref(), shown)?;
    }
    test_pools(args, options, shown)?;
    Ok(())
}

/// [`compare`] in a pool that is opened with these options.
pub(super) fn compare_in(
    args: &CompareArgs,
    options: PoolOptions,
    shown: &Shown,
) -> Result<(), Failure> {
    let task = args.part.task()?;
    let chosen = named::selections(&args.selections)?;
    let pool = open(&args.pool, options, args.embeddings.as_deref(), shown)?;
    let compare = settings(args, &pool)?;
    let arena = arena(args, &compare, &pool, options, shown)?;
    arena.check_asked(&compare, score(args.asked.score))?;
    let unknown = if args.runs.skip_unknown_ids { UnknownIds::Skip } else { UnknownIds::Refuse };
    let mut entries = Vec::new();
    for (name, ids) in &chosen {
        entries.push(arena.entry(&compare, name, ids, unknown)?);
    }
    if args.everything {
        entries.push(arena.entry(&compare, "everything", pool.ids(), unknown)?);
    }
    drop(chosen);
    contest(args, task, &compare, &arena, &entries, shown)
}

fn contest(
    args: &CompareArgs,
    task: Option<(usize, usize)>,
    compare: &Compare,
    arena: &Arena,
    entries: &[Entry],
    shown: &Shown,
) -> Result<(), Failure> {
    let existing = if args.runs.overwrite { Existing::Replace } else { Existing::Keep };
    let mut contest = Contest::open(compare, arena, entries, &args.out, existing)?;
    if let Some((index, tasks)) = task {
        contest = contest.part(index, tasks);
    }
    let cost = contest.cost();
    let spent = Spent {
        cost,
        seconds: seconds(&contest, &cost, shown)?,
        test: arena.test_rows(),
        chosen_on: None,
        rows: arena.rows(),
        labeled: arena.labeled(),
        classes: arena.classes().len(),
    };
    if args.runs.dry_run {
        return Ok(if args.runs.json { show::json(&spent) } else { show::text(spent) }?);
    }
    if !args.runs.json {
        show::text(&spent)?;
    }
    if let Some((index, tasks)) = task {
        let made = contest.make(shown)?;
        let (out, last) = (args.out.display(), tasks - 1);
        let what = format!("task {index} of 0 to {last}: {made} runs made, in {out}\n");
        return if args.runs.json { Ok(show::json(&spent)?) } else { Ok(show::text(what)?) };
    }
    let report = contest.run(score(args.asked.score), args.asked.level, shown)?;
    let page = page::of(&report, &spent, compare.params());
    atomic::write(&args.out.join("report.html"), page.to_html().as_bytes())?;
    if args.runs.json {
        show::json(&Answer { cost: &spent, report: &report })?;
    } else {
        show::text(Ranked { report: &report, out: &args.out })?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Answer<'a> {
    cost: &'a Spent,
    #[serde(flatten)]
    report: &'a Report,
}

/// How long the trainings will take; `None` where there is none.
fn seconds(contest: &Contest<'_>, cost: &Cost, shown: &Shown) -> Result<Option<f64>, Failure> {
    if cost.samples == 0 {
        return Ok(None);
    }
    contest.rehearse(WARM, shown)?;
    let started = Instant::now();
    let samples = contest.rehearse(TIMED, shown)?;
    let each = started.elapsed().as_secs_f64() / samples.max(1) as f64;
    Ok(Some(each * cost.samples as f64))
}

fn settings(args: &CompareArgs, pool: &Pool) -> Result<Compare, Failure> {
    let asked = &args.asked;
    if !(asked.level > 0.0 && asked.level < 1.0) {
        return Err(Failure::Usage("--level must be between 0 and 1, for example 0.95".to_owned()));
    }
    let model = match args.model.model {
        ModelArg::Projections => Model::Projections,
        ModelArg::Linear => Model::Linear,
        ModelArg::Mlp => Model::Mlp,
        ModelArg::Cnn => Model::Cnn,
    };
    if model.learns_labels() && asked.labels.is_none() {
        let problem = "this model learns labels: name their column with --labels";
        return Err(Failure::Usage(problem.to_owned()));
    }
    let (images, texts) = match model {
        Model::Cnn => ("the pictures".to_owned(), String::new()),
        _ => {
            let named = (args.model.images.as_ref(), args.model.texts.as_ref());
            named::embeddings(pool, named, model.learns_labels())?
        }
    };
    let usual = usual(args.scale, model);
    let budgets = args.budgets.as_ref().map(|b| b.iter().map(|&budget| budget as u64).collect());
    let params = CompareParams {
        images,
        texts,
        model,
        budgets: budgets.unwrap_or(usual.budgets),
        seeds: args.seeds,
        held_out: asked.tested.held_out,
        test_rows: asked.tested.test_rows,
        pixels: args.model.pixels,
        batch: args.model.batch.unwrap_or(usual.batch),
        hidden: args.model.hidden.unwrap_or(usual.hidden),
        dim: args.model.dim.unwrap_or(usual.dim),
        rate: args.model.rate.unwrap_or(usual.rate),
        weight_decay: args.model.weight_decay,
        order: args.model.shards.map_or(Order::Epochs, Order::Shards),
        ..CompareParams::default()
    };
    let device = args.model.device;
    Ok(params.check()?.on(device.open()?, device.resolve().to_string()))
}

fn usual(scale: TinyArg, model: Model) -> CompareParams {
    let name = match scale {
        TinyArg::TinySmall => "tiny-small",
        TinyArg::Tiny => "tiny",
        TinyArg::TinyLarge => "tiny-large",
    };
    let usual = scales::tiny(name).expect("a tiny scale");
    match model {
        // A channel is worth more than an element of a hidden layer, and costs more.
        Model::Cnn => CompareParams { hidden: usual.hidden / 16, ..usual },
        _ => usual,
    }
}

fn arena(
    args: &CompareArgs,
    compare: &Compare,
    pool: &Pool,
    options: PoolOptions,
    shown: &Shown,
) -> Result<Arena, Failure> {
    let asked = &args.asked;
    let labels = |pool: &Pool| -> Result<Option<Vec<Option<String>>>, Failure> {
        let of = |column: &String| named::labels(pool, column, asked.labels_from.as_deref(), shown);
        asked.labels.as_ref().map(of).transpose()
    };
    let others = test_pools(args, options, shown)?;
    let ours = labels(pool)?;
    let source = |pool| Ok::<_, Failure>(Source { pool, labels: labels(pool)? });
    let own = others.own.as_ref().map(source).transpose()?;
    let shifted = others.shifted.iter().map(|(name, pool)| Ok((name.clone(), source(pool)?)));
    let tests = Tests { own, shifted: shifted.collect::<Result<_, Failure>>()? };
    let theirs = tests.own.iter().chain(tests.shifted.iter().map(|(_, source)| source));
    let theirs = theirs.filter_map(|source| source.labels.as_ref());
    let all: BTreeSet<&String> = ours.iter().chain(theirs).flatten().flatten().collect();
    let prompts = match &asked.network {
        Some(network) => {
            let network = Network::open(&network_folder(network, shown)?)?;
            prompts::check(&network, pool, &compare.params().texts)?;
            Some(prompts::prompts(&network, &asked.templates, &all)?)
        }
        None => None,
    };
    Ok(Arena::open(compare, Source { pool, labels: ours }, tests, prompts, shown)?)
}

/// Other pools that models are tested on: the one instead of a part that is held out, and those beside.
struct TestPools {
    own: Option<Pool>,
    shifted: Vec<(String, Pool)>,
}

fn test_pools(
    args: &CompareArgs,
    options: PoolOptions,
    shown: &Shown,
) -> Result<TestPools, Failure> {
    let open = |path: &Path| Pool::open(path, options, shown);
    let own = args.asked.tested.test.as_deref().map(open).transpose()?;
    let shifted = args.shifted.iter().map(|text| {
        let (name, path) = named::named(text, "pool")?;
        Ok((name, open(&path)?))
    });
    Ok(TestPools { own, shifted: shifted.collect::<Result<_, Failure>>()? })
}

fn score(score: ScoreArg) -> Score {
    match score {
        ScoreArg::Average => Score::Average,
        ScoreArg::Retrieval => Score::Retrieval,
        ScoreArg::ZeroShot => Score::ZeroShot,
        ScoreArg::LinearProbe => Score::LinearProbe,
        ScoreArg::Neighbors => Score::Neighbors,
        ScoreArg::Labels => Score::Labels,
    }
}
