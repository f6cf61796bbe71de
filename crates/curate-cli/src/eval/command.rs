//! `curate eval command`.

use curate::{
    eval::scales::{Cluster, Scale, Trainer},
    io::{atomic, subset},
    pipeline::compare::subset_file,
};

use crate::{
    eval::{
        args::{CommandArgs, ScaleArg, TrainerArg},
        named,
    },
    failure::Failure,
    show,
};

pub(super) fn command(args: &CommandArgs) -> Result<(), Failure> {
    let name = match args.scale {
        ScaleArg::Small => "small",
        ScaleArg::Medium => "medium",
        ScaleArg::Large => "large",
        ScaleArg::Xlarge => "xlarge",
    };
    let file = subset_file(&args.selection)?;
    let cluster = Cluster {
        scale: Scale::named(name).expect("one of DataComp's scales"),
        trainer: match args.trainer {
            TrainerArg::OpenClip => Trainer::OpenClip,
            TrainerArg::Datacomp => Trainer::DataComp,
        },
        gpus: args.gpus,
        accumulate: args.accumulate,
        seed: args.seed,
        name: format!("{}-{name}", named::name_of(&args.selection)?),
        pool: args.pool.clone(),
        ids: subset::read(&file)?.len(),
        subset: file.display().to_string(),
        shards: args.shards.clone(),
        logs: args.logs.clone(),
    };
    let script = cluster.script().map_err(Failure::Usage)?;
    atomic::write(&args.out, script.as_bytes())?;
    Ok(show::text(format_args!("wrote {}; start it with sh\n", args.out.display()))?)
}
