//! All runs of a study: which are missing, what they cost, and carrying them out.

use std::path::Path;

use curate_core::{Progress, Quiet, SampleId, params::Checker, random};
use curate_io::digest;

use crate::{
    EvalError, Repeats,
    compare::{
        Arena, CompareError, Cost, Entry, Existing,
        folder::{Folder, Kind, Manifest, settings_of, write},
        trial::{Trial, repeats_of},
        workers::{Part, in_threads},
    },
    distill::study::{
        School, Student, Study, StudyReport, Teacher, TeacherRecord,
        report::{Pupil, control_name},
        teacher::{Heard, heard, table_of, train, trained},
    },
};

/// How a folder of students is called.
const DISTILLATION: Kind =
    Kind { what: "a distillation", manifest: "distillation.json", runs: "students" };

/// Which student: its selection, alpha, and seed.
type Run = (usize, f32, u64);

/// Selections, the pool, the teacher, and the folder of the students' runs.
pub struct Lessons<'a> {
    study: &'a Study,
    school: &'a School,
    teacher: Teacher<'a>,
    pupils: Vec<Pupil>,
    folder: Folder,
    /// The teacher, if it is trained here and made already.
    made: Option<TeacherRecord>,
    records: Vec<Student>,
    missing: Vec<Run>,
}

impl<'a> Lessons<'a> {
    /// Reads which runs are made. Writes nothing.
    ///
    /// # Errors
    /// When two selections have one name, a teacher's table is of other classes or lacks rows of a selection,
    /// or the folder holds runs of other settings, another pool, another teacher or other selections of these
    /// names, unless they may be replaced.
    pub fn open(
        study: &'a Study,
        school: &'a School,
        teacher: Teacher<'a>,
        entries: &[Entry],
        folder: &Path,
        existing: Existing,
    ) -> Result<Self, CompareError> {
        let pupils = Pupil::all(entries, school.trainable().len())?;
        if let Teacher::Table(path) = teacher {
            check_heard(&heard(path, school)?, &pupils, &school.arena)?;
        }
        let taken = pupils.iter().map(|pupil| &pupil.entry);
        let manifest = Manifest::of(&study.compare, &school.arena, taken)
            .with(settings_of(&study.params, OTHER_RUNS), teacher.inputs(study)?);
        let folder = Folder::look(folder, DISTILLATION, manifest, existing)?;
        let made = match teacher {
            Teacher::Trained(_) => trained(&folder)?,
            Teacher::Table(_) => None,
        };
        let mut lessons = Self {
            study,
            school,
            teacher,
            pupils,
            folder,
            made,
            records: Vec::new(),
            missing: Vec::new(),
        };
        lessons.look()?;
        Ok(lessons)
    }

    fn look(&mut self) -> Result<(), CompareError> {
        for seed in 0..self.study.compare.params.seeds {
            for (at, pupil) in self.pupils.iter().enumerate() {
                for alpha in self.study.alphas() {
                    match self.folder.read(&pupil.entry, (alpha, seed))? {
                        Some(record) => self.records.push(record),
                        None => self.missing.push((at, alpha, seed)),
                    }
                }
            }
        }
        Ok(())
    }

    /// The school of a teacher that is to be trained.
    fn untaught(&self) -> Option<&'a School> {
        match self.teacher {
            Teacher::Trained(school) if self.made.is_none() => Some(school),
            _ => None,
        }
    }

    /// What there is to do, the teacher included.
    pub fn cost(&self) -> Cost {
        let Study { params, compare, teacher } = self.study;
        let samples = self.missing.len() as u64 * compare.samples_seen(params.samples);
        let students = samples as f64 * compare.operations_per_sample(&self.school.arena);
        let (more, of_teacher) = self.untaught().map_or((0, 0.0), |school| {
            let samples = teacher.samples_seen(params.teacher_samples);
            (samples, samples as f64 * teacher.operations_per_sample(&school.arena))
        });
        let trained = usize::from(matches!(self.teacher, Teacher::Trained(_)));
        Cost {
            runs: self.records.len() + self.missing.len() + trained,
            made: self.records.len() + usize::from(self.made.is_some()),
            samples: samples + more,
            operations: students + of_teacher,
            at_once: compare.at_once(self.missing.len()),
        }
    }

    /// Trains so many steps of a student on every thread and throws the models away, so that a caller with a
    /// clock knows how long the runs will take; the operations that were carried out.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn rehearse(&self, steps: usize, progress: &dyn Progress) -> Result<f64, CompareError> {
        let Some(pupil) = self.pupils.iter().find(|pupil| !pupil.is_drawn) else { return Ok(0.0) };
        let (compare, arena) = (&self.study.compare, &self.school.arena);
        let budget = (steps * compare.params.batch) as u64;
        let trial = Trial { compare, arena, entry: &pupil.entry, budget, seed: 0 };
        let threads = compare.at_once(self.missing.len());
        in_threads(&vec![(); threads], threads, |()| {
            trial.rehearse(&Quiet(progress)).map_err(|problem| self.in_run(pupil, 0.0, 0, problem))
        })?;
        Ok(threads as f64 * budget as f64 * compare.operations_per_sample(arena))
    }

    /// Trains what is missing, writes each when it is done, and answers all. Also writes the report.
    ///
    /// # Errors
    /// When a training or a file fails, the teacher says nothing of a row to train on, or the caller stops it;
    /// runs that were finished are kept.
    pub fn run(mut self, level: f64, progress: &dyn Progress) -> Result<StudyReport, CompareError> {
        let mut check = Checker::default();
        check.that(level > 0.0 && level < 1.0, "level", level, "a number between 0 and 1");
        check.finish()?;
        let _lock = self.folder.begin()?;
        if let Some(school) = self.untaught() {
            self.made = Some(train(self.study, school, &self.folder, progress)?);
        }
        self.teach(progress)?;
        let file = self.folder.path().join("result.json");
        let report = self.report(level);
        write(&file, &report)?;
        Ok(report)
    }

    fn teach(&mut self, progress: &dyn Progress) -> Result<(), CompareError> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let said = match self.teacher {
            Teacher::Trained(_) => heard(&table_of(self.folder.path()), self.school)?,
            Teacher::Table(path) => heard(path, self.school)?,
        };
        check_heard(&said, &self.pupils, &self.school.arena)?;
        let mut trainable = self.school.trainable();
        trainable.retain(|&row| said.known[row]);
        let class = self.school.arena.class_or_first();
        let lesson = Lesson { said: &said, trainable: &trainable, class: &class };
        let samples = self.study.compare.samples_seen(self.study.params.samples);
        progress.start("train", self.missing.len() as u64 * samples, "samples");
        let at_once = self.study.compare.at_once(self.missing.len());
        let made = in_threads(&self.missing, at_once, |run| self.one(run, &lesson, progress));
        progress.finish();
        self.records.extend(made?);
        Ok(())
    }

    fn one(
        &self,
        (at, alpha, seed): Run,
        lesson: &Lesson<'_>,
        progress: &dyn Progress,
    ) -> Result<Student, CompareError> {
        progress.check()?;
        let pupil = &self.pupils[at];
        let found = self.student((at, alpha, seed), lesson, &Part(progress));
        let student = found.map_err(|problem| self.in_run(pupil, alpha, seed, problem))?;
        self.folder.write(&pupil.entry, (alpha, seed), &student)?;
        Ok(student)
    }

    fn student(
        &self,
        (at, alpha, seed): Run,
        lesson: &Lesson<'_>,
        progress: &dyn Progress,
    ) -> Result<Student, EvalError> {
        let (pupil, arena) = (&self.pupils[at], &self.school.arena);
        let rows = match pupil.is_drawn {
            true => drawn(lesson.trainable, &arena.ids, pupil.entry.unique, seed),
            false => pupil.entry.rows.clone(),
        };
        let classifier = self.study.compare.classifier(self.study.params.samples, seed)?;
        let data = arena.labeled_with(lesson.class);
        let net = match alpha {
            0.0 => classifier.run(&data, &rows, progress)?,
            _ => {
                let distill = self.study.distill(alpha)?;
                distill.run(&classifier, &data, &rows, &lesson.said.soft, progress)?
            }
        };
        let times = classifier.times_seen(rows.len());
        let Repeats { samples, distinct, most } = repeats_of(&rows, &times);
        let no_test = EvalError::Length { argument: "test", found: 0, expected: 1 };
        Ok(Student {
            selection: pupil.entry.name.clone(),
            alpha,
            seed,
            samples,
            unique: pupil.entry.unique,
            distinct,
            most,
            chosen_on: self.school.right_on_chosen(&net)?,
            test: arena.ask_labels(&net)?.map(|(_, task)| task).ok_or(no_test)?,
            inputs: self.folder.inputs_of(&pupil.entry, (alpha, seed)),
        })
    }

    fn report(mut self, level: f64) -> StudyReport {
        let names: Vec<&str> = self.pupils.iter().map(|pupil| pupil.entry.name()).collect();
        let place = |run: &Student| names.iter().position(|name| *name == run.selection);
        self.records.sort_by(|a, b| {
            let order = place(a).cmp(&place(b)).then(a.alpha.total_cmp(&b.alpha));
            order.then(a.seed.cmp(&b.seed))
        });
        StudyReport::of(self.records, &self.pupils, &self.study.params.alphas, level).about(
            self.made,
            self.school.arena.test_rows(),
            self.school.chosen_on(),
            self.school.trainable().len(),
        )
    }

    fn in_run(&self, pupil: &Pupil, alpha: f32, seed: u64, problem: EvalError) -> CompareError {
        let name = &pupil.entry.name;
        CompareError::Run {
            run: format!("selection `{name}`, alpha {alpha}, seed {seed}"),
            problem,
        }
    }
}

/// Parameters that the manifest does not need: the students' it has already, and more alphas leave the runs
/// that are there as they are.
const OTHER_RUNS: &[&str] = &["student", "alphas"];

/// What all students hear.
struct Lesson<'a> {
    said: &'a Heard,
    /// Rows of which random selections are drawn.
    trainable: &'a [usize],
    class: &'a [usize],
}

/// So many rows, drawn by the hash of their ids.
fn drawn(from: &[usize], ids: &[SampleId], count: usize, seed: u64) -> Vec<usize> {
    let seed = random::derive(seed, "random selection");
    let mut rows = from.to_vec();
    rows.sort_by_cached_key(|&row| (random::hash(seed, ids[row]), row));
    rows.truncate(count);
    rows.sort_unstable();
    rows
}

/// An error unless the teacher says something of every row that is trained on.
fn check_heard(said: &Heard, pupils: &[Pupil], arena: &Arena) -> Result<(), CompareError> {
    for Pupil { entry, .. } in pupils {
        let lacking: Vec<usize> =
            entry.rows.iter().copied().filter(|&row| !said.known[row]).collect();
        if let Some(&first) = lacking.first() {
            let (name, all, count) = (&entry.name, entry.rows.len(), lacking.len());
            return Err(CompareError::Teacher(format!(
                "it says nothing of {count} of the {all} rows of selection `{name}`, of {} for one: take \
                 a teacher that saw them, or leave them out of the selection",
                arena.ids[first]
            )));
        }
    }
    Ok(())
}

impl Pupil {
    /// The selections, then a random one for each size that is not everything.
    fn all(entries: &[Entry], trainable: usize) -> Result<Vec<Self>, CompareError> {
        let mut pupils: Vec<Self> =
            entries.iter().map(|entry| Self { entry: entry.clone(), is_drawn: false }).collect();
        let mut sizes: Vec<usize> = entries.iter().map(Entry::unique).collect();
        sizes.sort_unstable();
        sizes.dedup();
        for size in sizes.into_iter().filter(|&size| size < trainable) {
            let name = control_name(size);
            let digest = digest::of_bytes(name.as_bytes());
            let (rows, left_out) = (Vec::new(), std::collections::BTreeMap::new());
            let entry = Entry { name, rows, unique: size, left_out, digest };
            pupils.push(Self { entry, is_drawn: true });
        }
        for (at, pupil) in pupils.iter().enumerate() {
            if pupils[..at].iter().any(|other| other.entry.name == pupil.entry.name) {
                return Err(CompareError::SameName(pupil.entry.name.clone()));
            }
        }
        Ok(pupils)
    }
}
