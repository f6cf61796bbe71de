//! Carrying `curate distill` out.

use std::time::Instant;

use curate::{
    eval::{
        compare::{CompareParams, Entry, Existing, Model, Source, UnknownIds},
        distill::study::{Lessons, School, Study, StudyParams, StudyReport, Teacher},
    },
    io::{Pool, PoolOptions},
    pipeline::joined::open,
};
use serde::Serialize;

use crate::{
    distill::{
        args::{DistillArgs, NetArg},
        text::Taught,
    },
    eval::{named, text::Spent},
    failure::Failure,
    progress::Shown,
    show,
};

/// Steps that a rehearsal takes: without a clock and with one.
const WARM: usize = 2;
const TIMED: usize = 8;

pub(super) fn distill(args: &DistillArgs, shown: &Shown) -> Result<(), Failure> {
    let chosen = named::selections(&args.selections)?;
    let options = PoolOptions { ids: args.runs.ids.ids, ..PoolOptions::default() };
    let pool = open(&args.pool, options, args.embeddings.as_deref(), shown)?;
    let study = settings(args, &pool)?;
    let opened = Opened { args, pool: &pool, options, shown };
    let students = opened.school(|pool, test| Ok(study.students_of(pool, test, shown)?))?;
    let unknown = if args.runs.skip_unknown_ids { UnknownIds::Skip } else { UnknownIds::Refuse };
    let mut entries = Vec::new();
    for (name, ids) in &chosen {
        entries.push(students.arena().entry(study.compare(), name, ids, unknown)?);
    }
    if args.everything {
        entries.push(students.arena().entry(study.compare(), "everything", pool.ids(), unknown)?);
    }
    drop(chosen);
    let looks = match &args.taught.teacher {
        None if !study.shares_features() => {
            Some(opened.school(|pool, test| Ok(study.teacher_of(pool, test, shown)?))?)
        }
        _ => None,
    };
    let teacher = match &args.taught.teacher {
        Some(table) => Teacher::Table(table),
        None => Teacher::Trained(looks.as_ref().unwrap_or(&students)),
    };
    teach(args, &study, &students, teacher, &entries, shown)?;
    if let Some(file) = args.write_scores.as_ref().filter(|_| !args.runs.dry_run) {
        study.scores(&students, shown)?.write(file)?;
        if !args.runs.json {
            show::text(format_args!("wrote {}\n", file.display()))?;
        }
    }
    Ok(())
}

fn teach(
    args: &DistillArgs,
    study: &Study,
    students: &School,
    teacher: Teacher<'_>,
    entries: &[Entry],
    shown: &Shown,
) -> Result<(), Failure> {
    let existing = if args.runs.overwrite { Existing::Replace } else { Existing::Keep };
    let lessons = Lessons::open(study, students, teacher, entries, &args.out, existing)?;
    let spent = Spent {
        cost: lessons.cost(),
        seconds: seconds(&lessons, shown)?,
        test: students.arena().test_rows(),
        chosen_on: Some(students.chosen_on()),
        rows: students.arena().rows(),
        labeled: students.arena().labeled(),
        classes: students.arena().classes().len(),
    };
    if args.runs.dry_run {
        return Ok(if args.runs.json { show::json(&spent) } else { show::text(&spent) }?);
    }
    if !args.runs.json {
        show::text(&spent)?;
    }
    let report = lessons.run(args.level, shown)?;
    if args.runs.json {
        show::json(&Answer { cost: &spent, report: &report })?;
    } else {
        show::text(Taught { report: &report, out: &args.out })?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Answer<'a> {
    cost: &'a Spent,
    #[serde(flatten)]
    report: &'a StudyReport,
}

/// How long the trainings will take; `None` where there is none.
fn seconds(lessons: &Lessons<'_>, shown: &Shown) -> Result<Option<f64>, Failure> {
    let cost = lessons.cost();
    if cost.samples == 0 {
        return Ok(None);
    }
    lessons.rehearse(WARM, shown)?;
    let started = Instant::now();
    let operations = lessons.rehearse(TIMED, shown)?;
    Ok(Some(started.elapsed().as_secs_f64() / operations.max(1.0) * cost.operations))
}

/// A pool that was opened, and how.
struct Opened<'a> {
    args: &'a DistillArgs,
    pool: &'a Pool,
    options: PoolOptions,
    shown: &'a Shown,
}

impl Opened<'_> {
    /// What a model looks at, of the pool and of the one to test on.
    fn school(
        &self,
        read: impl FnOnce(Source<'_>, Option<Source<'_>>) -> Result<School, Failure>,
    ) -> Result<School, Failure> {
        let (column, table) = (&self.args.labels, self.args.labels_from.as_deref());
        let labels = named::labels(self.pool, column, table, self.shown)?;
        let test = match &self.args.students.tested.test {
            Some(path) => Some(Pool::open(path, self.options, self.shown)?),
            None => None,
        };
        let theirs = match &test {
            Some(test) => Some(named::labels(test, column, table, self.shown)?),
            None => None,
        };
        let test = test.as_ref().map(|pool| Source { pool, labels: theirs });
        read(Source { pool: self.pool, labels: Some(labels) }, test)
    }
}

fn settings(args: &DistillArgs, pool: &Pool) -> Result<Study, Failure> {
    if !(args.level > 0.0 && args.level < 1.0) {
        return Err(Failure::Usage("--level must be between 0 and 1, for example 0.95".to_owned()));
    }
    let (students, taught) = (&args.students, &args.taught);
    let model = model_of(students.model);
    let teacher = taught.teacher_model.map_or(model, model_of);
    let embeds = |model| model != Model::Cnn;
    let images = match embeds(model) || (embeds(teacher) && taught.teacher.is_none()) {
        true => named::embeddings(pool, (students.images.as_ref(), None), true)?.0,
        false => "the pictures".to_owned(),
    };
    let hidden = students.hidden.unwrap_or(usual_hidden(model));
    // Without a word of it, a teacher of the same kind is as large as the students.
    let of_teacher = if teacher == model { hidden } else { usual_hidden(teacher) };
    let student = CompareParams {
        images,
        texts: String::new(),
        model,
        seeds: args.seeds,
        held_out: students.tested.held_out,
        test_rows: students.tested.test_rows,
        pixels: students.pixels,
        batch: students.batch,
        hidden,
        rate: students.rate,
        weight_decay: students.weight_decay,
        ..CompareParams::default()
    };
    let params = StudyParams {
        student,
        samples: students.samples as u64,
        alphas: taught.alpha.map_or_else(|| taught.alphas.clone(), |alpha| vec![alpha]),
        temperature: taught.temperature as f32,
        logits: taught.logits,
        chosen_on: taught.chosen_on,
        teacher_model: teacher,
        teacher_hidden: taught.teacher_hidden.unwrap_or(of_teacher),
        teacher_samples: taught.teacher_samples.unwrap_or(students.samples) as u64,
    };
    let device = students.device;
    Ok(params.check()?.on(device.open()?, device.resolve().to_string()))
}

fn model_of(net: NetArg) -> Model {
    match net {
        NetArg::Linear => Model::Linear,
        NetArg::Mlp => Model::Mlp,
        NetArg::Cnn => Model::Cnn,
    }
}

/// A channel is worth more than an element of a hidden layer, and costs more.
fn usual_hidden(model: Model) -> usize {
    if model == Model::Cnn { 16 } else { 256 }
}
