//! `curate filter train`.

use std::path::Path;

use curate::{
    dfn::{
        OpenClipConfig, Reading, Tokenizer, Transform, Weights,
        filter::card::{FilterCard, Training, known_limits, network_digest, thinned},
        network::{
            check_templates, openai_templates, read_folder, write_folder, write_folder_half,
        },
        train::{Augment, Captions, Loss, PoolPairs, TrainParams, Trainer},
    },
    io::{IoError, Kind, Pool, PoolOptions, digest, files::read_text, lock::FolderLock, subset},
};

use crate::{
    failure::Failure,
    filter::{args::TrainArgs, network_folder},
    progress::Shown,
    show,
};

/// Steps that a card shows of the curve.
const CURVE: usize = 200;

pub(crate) fn train(args: &TrainArgs, shown: &Shown) -> Result<(), Failure> {
    let params = params(args);
    params.check()?;
    let captions = captions(args)?;
    let (config, initial, began_with) = start(args, shown)?;
    let pool = Pool::open(&args.pool, PoolOptions::default(), shown)?;
    let rows = rows(&pool, args.subset.as_deref())?;
    let ids: Vec<u8> = rows.iter().flat_map(|&row| pool.ids()[row].0.to_le_bytes()).collect();
    let model = &config.model_cfg;
    if let Some(captions) = &captions {
        has_labels(&pool, &rows, &captions.column)?;
    }
    let tokenizer = Tokenizer::default();
    let mut pairs = PoolPairs::new(
        &pool,
        rows.clone(),
        Transform::new(&config.preprocess_cfg, model.vision_cfg.image_size),
        tokenizer.clone(),
        model.text_cfg.context_length,
        params.augment,
    )?;
    if let Some(captions) = &captions {
        pairs = pairs.with_captions(captions.clone())?;
    }
    let mut trainer = Trainer::new(model, &initial, params.clone(), args.device.open()?)?;
    let _lock = FolderLock::take(&args.out)?;
    let checkpoint = args.out.join("checkpoint.safetensors");
    trainer.run(&pairs, Some(&checkpoint), shown)?;
    let weights = initial.blend(&trainer.weights()?, args.ensemble)?;
    let weights = write_network(args, &config, weights)?;
    let card = FilterCard {
        name: args.out.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        digest: network_digest(&config, &weights),
        config,
        training: Some(Training {
            data: args.pool.display().to_string(),
            pairs: rows.len(),
            ids_digest: digest::of_bytes(&ids),
            initial: began_with,
            ensemble: args.ensemble,
            captions,
            params,
            curve: thinned(trainer.history(), CURVE),
        }),
        reading: Some(Reading::of(tokenizer.repair())),
        limits: args.note.iter().cloned().chain(known_limits()).collect(),
    };
    card.write(&args.out)?;
    let last = trainer.history().last().map_or(f64::NAN, |step| step.loss);
    let bad: usize = trainer.history().iter().map(|step| step.bad).sum();
    show::text(format_args!(
        "trained on {} pairs, last loss {last:.4}, {bad} times a pair could not be read\nwrote {}\n",
        rows.len(),
        args.out.display()
    ))?;
    Ok(())
}

/// Writes the network; answers the weights as they are written.
fn write_network(
    args: &TrainArgs,
    config: &OpenClipConfig,
    weights: Weights,
) -> Result<Weights, Failure> {
    if !args.half {
        write_folder(&args.out, config, &weights)?;
        return Ok(weights);
    }
    let weights = weights.rounded_to_half();
    write_folder_half(&args.out, config, &weights)?;
    Ok(weights)
}

fn params(args: &TrainArgs) -> TrainParams {
    TrainParams {
        loss: if args.siglip { Loss::SigLip } else { Loss::Clip },
        steps: args.steps,
        batch: args.batch,
        micro_batch: args.micro_batch.unwrap_or(args.batch),
        lr: args.lr,
        warmup: args.warmup,
        weight_decay: args.weight_decay,
        clip_norm: args.clip_norm,
        augment: (!args.no_augment).then(|| Augment {
            scale: args.crop,
            flip: args.flip,
            ..Augment::default()
        }),
        seed: args.seed,
        checkpoint_every: args.checkpoint_every,
        ..TrainParams::default()
    }
}

/// How captions are made of class names, where they are.
fn captions(args: &TrainArgs) -> Result<Option<Captions>, Failure> {
    let Some(column) = &args.labels else { return Ok(None) };
    Ok(Some(Captions { column: column.clone(), templates: templates(&args.templates)? }))
}

/// Texts with `{}` for a class name: the lines of a file, or `openai`, those of CLIP's authors.
pub(crate) fn templates(named: &str) -> Result<Vec<String>, Failure> {
    let text = match named {
        "openai" => openai_templates().join("\n"),
        file => read_text(Path::new(file))?,
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let templates: Vec<String> = lines.map(str::to_owned).collect();
    check_templates(&templates).map_err(|error| Failure::Usage(format!("{named}: {error}")))?;
    Ok(templates)
}

/// An error where no row has a class name: a slip in the column's name would train on captions.
fn has_labels(pool: &Pool, rows: &[usize], column: &str) -> Result<(), Failure> {
    let labels = pool.labels(column)?;
    if rows.iter().any(|&row| labels[row].as_deref().is_some_and(|label| !label.is_empty())) {
        return Ok(());
    }
    let problem = format!("no sample has a class name in `{column}`");
    let remedy = "name another column with --labels; `curate inspect` lists them";
    Err(IoError::new(Kind::NotFound, pool.path(), problem, remedy).into())
}

/// The network to begin with, and what the card says of it.
fn start(args: &TrainArgs, shown: &Shown) -> Result<(OpenClipConfig, Weights, String), Failure> {
    if let Some(name) = &args.from {
        let folder = network_folder(name, shown)?;
        let (config, weights) = read_folder(&folder)?;
        config.takes_captions(&folder)?;
        if args.siglip && config.model_cfg.init_logit_bias.is_none() {
            let problem = "has no logit bias, which the sigmoid loss needs";
            let remedy = "leave out --siglip, or start from a network trained with it";
            return Err(IoError::new(Kind::Unsupported, folder, problem, remedy).into());
        }
        let digest = network_digest(&config, &weights);
        return Ok((config, weights, digest));
    }
    let mut config = match OpenClipConfig::named(&args.model) {
        Some(config) => config,
        None if Path::new(&args.model).exists() => {
            let file = Path::new(&args.model);
            let config = OpenClipConfig::read(file)?;
            config.takes_captions(file)?;
            config
        }
        None => {
            let names = curate::dfn::config::NAMES.join(", ");
            let problem = "is not a network that this program knows and no file";
            let remedy = format!("name an open_clip_config.json or one of {names}");
            return Err(IoError::new(Kind::NotFound, &args.model, problem, remedy).into());
        }
    };
    if args.siglip {
        // The paper's: a scale of 10 and a bias of -10.
        config.model_cfg.init_logit_scale = Some(10.0_f64.ln());
        config.model_cfg.init_logit_bias = Some(-10.0);
    }
    let weights = Weights::random(&config.model_cfg, args.seed);
    Ok((config, weights, "random".to_owned()))
}

/// The rows to train on: those of the subset that can be used.
fn rows(pool: &Pool, file: Option<&Path>) -> Result<Vec<usize>, Failure> {
    let mut usable = vec![true; pool.len()];
    for (row, _) in pool.faults() {
        usable[*row] = false;
    }
    let rows = (0..pool.len()).filter(|&row| usable[row]);
    let Some(file) = file else { return Ok(rows.collect()) };
    let mut wanted = subset::read(file)?;
    wanted.sort_unstable();
    let rows: Vec<usize> =
        rows.filter(|&row| wanted.binary_search(&pool.ids()[row]).is_ok()).collect();
    if rows.is_empty() {
        let remedy = "name the pool that the subset was made from";
        return Err(IoError::new(Kind::Disagree, file, "has no id of the pool", remedy).into());
    }
    Ok(rows)
}
