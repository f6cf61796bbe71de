//! One training and its answers.

use std::collections::BTreeMap;

use curate_core::{ParamsError, Progress, embedding::RowsOf};
use ndarray::ArrayView2;

use crate::{
    ClassNet, Classifier, ClassifierParams, EvalError, Labeled, Logistic, LogisticParams, Pairs,
    Probe, ProbeParams, Repeats, Towers,
    compare::{
        Arena, Compare, CompareError, Entry, Model, Score,
        arena::{Known, Test},
        record::{Record, Task},
    },
    metrics::{
        Accuracy, Neighbors, class_embeddings, knn_scores, ranks, ranks_of_scores, recall_at,
    },
};

/// Which training: a selection at a budget with a seed.
#[derive(Clone, Copy)]
pub(crate) struct Trial<'a> {
    pub(crate) compare: &'a Compare,
    pub(crate) arena: &'a Arena,
    pub(crate) entry: &'a Entry,
    pub(crate) budget: u64,
    pub(crate) seed: u64,
}

type Tasks = BTreeMap<String, Task>;

/// What a model answered, and how often each of the entry's rows was seen.
struct Answers {
    tasks: Tasks,
    /// By pool from another source.
    shifted: BTreeMap<String, Tasks>,
    times: Vec<u64>,
}

/// What a pair of projections learned of the classes.
struct Learned {
    /// Embeddings of labeled rows.
    bank: Vec<f32>,
    fit: Logistic,
    /// Classes that are described, and the embedding of each.
    described: Vec<usize>,
    names: Vec<f32>,
}

impl Trial<'_> {
    /// Trains and asks.
    pub(crate) fn run(&self, inputs: String, progress: &dyn Progress) -> Result<Record, EvalError> {
        let Answers { tasks, shifted, times } = match self.compare.params.model {
            Model::Projections => self.projections(progress)?,
            Model::Linear | Model::Mlp | Model::Cnn => self.labels(progress)?,
        };
        let Repeats { samples, distinct, most } = repeats_of(&self.entry.rows, &times);
        Ok(Record {
            selection: self.entry.name.clone(),
            budget: self.budget,
            seed: self.seed,
            samples,
            unique: self.entry.unique,
            distinct,
            most,
            tasks,
            shifted,
            inputs,
        })
    }

    /// Trains, and throws the model away.
    pub(crate) fn rehearse(&self, progress: &dyn Progress) -> Result<(), EvalError> {
        match self.compare.params.model {
            Model::Projections => self.towers(&self.probe()?, progress).map(drop),
            Model::Linear | Model::Mlp | Model::Cnn => {
                self.net(&self.classifier()?, progress).map(drop)
            }
        }
    }

    fn projections(&self, progress: &dyn Progress) -> Result<Answers, EvalError> {
        let probe = self.probe()?;
        let towers = self.towers(&probe, progress)?;
        let (tasks, shifted) = self.arena.ask(&towers)?;
        Ok(Answers { tasks, shifted, times: probe.times_seen(self.entry.rows.len()) })
    }

    fn towers(&self, probe: &Probe, progress: &dyn Progress) -> Result<Towers, EvalError> {
        let texts = self.arena.texts.as_ref().expect("projections have texts");
        let data = Pairs { images: self.arena.images.table(), texts: texts.table() };
        let pairs: Vec<(usize, usize)> = self.entry.rows.iter().map(|&row| (row, row)).collect();
        probe.run(&data, &pairs, progress)
    }

    fn probe(&self) -> Result<Probe, EvalError> {
        let params = &self.compare.params;
        let probe = ProbeParams::new()
            .hidden(params.hidden)
            .dim(params.dim)
            .batch(params.batch)
            .samples(self.budget)
            .rate(params.rate)
            .weight_decay(params.weight_decay)
            .seed(self.seed)
            .order(params.order);
        Ok(probe.check()?.on(self.compare.device.clone()))
    }

    fn labels(&self, progress: &dyn Progress) -> Result<Answers, EvalError> {
        let classifier = self.classifier()?;
        let net = self.net(&classifier, progress)?;
        let tasks = self.arena.ask_labels(&net)?.into_iter().collect();
        let shifted = self
            .arena
            .on_shifted(|test| Ok(self.arena.labels_of(test, &net)?.into_iter().collect()))?;
        Ok(Answers { tasks, shifted, times: classifier.times_seen(self.entry.rows.len()) })
    }

    fn net(&self, classifier: &Classifier, progress: &dyn Progress) -> Result<ClassNet, EvalError> {
        let class = self.arena.class_or_first();
        classifier.run(&self.arena.labeled_with(&class), &self.entry.rows, progress)
    }

    fn classifier(&self) -> Result<Classifier, EvalError> {
        Ok(self.compare.classifier(self.budget, self.seed)?)
    }
}

/// How often rows were seen; those that occur several times in a selection count together.
pub(crate) fn repeats_of(rows: &[usize], times: &[u64]) -> Repeats {
    let mut of_row = Vec::with_capacity(rows.len());
    let mut first = 0;
    for same in rows.chunk_by(|a, b| a == b) {
        of_row.push(times[first..first + same.len()].iter().sum());
        first += same.len();
    }
    Repeats::of(&of_row)
}

impl Compare {
    /// The classifier that a budget and a seed train.
    pub(crate) fn classifier(&self, budget: u64, seed: u64) -> Result<Classifier, ParamsError> {
        let params = &self.params;
        let classifier = match params.model {
            Model::Mlp => ClassifierParams::mlp(params.hidden),
            Model::Cnn => ClassifierParams::cnn(params.hidden),
            _ => ClassifierParams::linear(),
        };
        let classifier = classifier
            .batch(params.batch)
            .samples(budget)
            .rate(params.rate)
            .weight_decay(params.weight_decay)
            .seed(seed)
            .order(params.order);
        Ok(classifier.check()?.on(self.device.clone()))
    }
}

impl Arena {
    /// The tasks that models are asked.
    fn tasks(&self, model: Model) -> &'static [&'static str] {
        match model {
            Model::Linear | Model::Mlp | Model::Cnn => &["labels"],
            Model::Projections if self.classes.is_empty() => &["retrieval"],
            Model::Projections => &["retrieval", "zero-shot", "linear-probe", "neighbors"],
        }
    }

    /// Whether models are asked what selections are to be ranked by.
    ///
    /// # Errors
    /// When they are not, with what they are asked.
    pub fn check_asked(&self, compare: &Compare, score: Score) -> Result<(), CompareError> {
        let asked = self.tasks(compare.params.model);
        match score.task().filter(|task| !asked.contains(task)) {
            Some(task) => {
                let asked = asked.join(", ");
                let problem = format!("models are not asked `{task}`; they are asked {asked}");
                Err(CompareError::Test(problem + ": rank by one of those, or give labels"))
            }
            None => Ok(()),
        }
    }

    /// The class of every row; the first for rows without one, which are never trained on.
    pub(crate) fn class_or_first(&self) -> Vec<usize> {
        self.class.iter().map(|class| class.unwrap_or_default()).collect()
    }

    /// The pool's features with these classes.
    pub(crate) fn labeled_with<'a>(&'a self, class: &'a [usize]) -> Labeled<'a> {
        Labeled { features: self.images.table(), class, classes: self.classes.len() }
    }

    /// Asks a model that learned labels for those of the test's rows.
    pub(crate) fn ask_labels(&self, net: &ClassNet) -> Result<Option<(String, Task)>, EvalError> {
        self.labels_of(&self.test, net)
    }

    fn labels_of(&self, test: &Test, net: &ClassNet) -> Result<Option<(String, Task)>, EvalError> {
        let (own, classes) = (&test.known.class, self.classes.len());
        let ranks = ranks_of_scores(&net.scores(&test.images)?, own, classes)?;
        self.classified("labels", &ranks, own)
    }

    /// What a model answers on each pool from another source.
    fn on_shifted(
        &self,
        ask: impl Fn(&Test) -> Result<Tasks, EvalError>,
    ) -> Result<BTreeMap<String, Tasks>, EvalError> {
        self.shifted.iter().map(|(name, test)| Ok((name.clone(), ask(test)?))).collect()
    }

    /// Asks two projections everything that can be asked, on the test and on pools from other sources.
    fn ask(&self, towers: &Towers) -> Result<(Tasks, BTreeMap<String, Tasks>), EvalError> {
        let learned = match self.classes.is_empty() {
            true => None,
            false => Some(self.learned(towers)?),
        };
        let ask = |test: &Test| self.asked(test, towers, learned.as_ref());
        Ok((ask(&self.test)?, self.on_shifted(ask)?))
    }

    fn learned(&self, towers: &Towers) -> Result<Learned, EvalError> {
        let dim = towers.dim();
        let bank = towers.images(&RowsOf::new(self.images.table(), &self.bank.rows))?;
        let regression = LogisticParams::new().check()?;
        let fit = regression.fit(table(&bank, dim), &self.bank.class, self.classes.len())?;
        let (features, class) = &self.prompts;
        let mut described = class.clone();
        described.sort_unstable();
        described.dedup();
        let of_prompt: Vec<usize> =
            class.iter().filter_map(|class| described.binary_search(class).ok()).collect();
        let prompts = towers.texts(features)?;
        let names = class_embeddings(&prompts, &of_prompt, described.len(), dim)?;
        Ok(Learned { bank, fit, described, names })
    }

    fn asked(
        &self,
        test: &Test,
        towers: &Towers,
        learned: Option<&Learned>,
    ) -> Result<Tasks, EvalError> {
        let texts = test.texts.as_ref().expect("projections are tested on texts");
        let (images, texts) = (towers.images(&test.images)?, towers.texts(texts)?);
        let dim = towers.dim();
        let mut tasks = Tasks::from([("retrieval".to_owned(), retrieval(&images, &texts, dim)?)]);
        let Some(learned) = learned else { return Ok(tasks) };
        let known = &test.known;
        let queries: Vec<f32> =
            known.rows.iter().flat_map(|&row| &images[row * dim..][..dim]).copied().collect();
        tasks.extend(self.zero_shot(known, &queries, learned, dim)?);
        tasks.extend(self.linear_probe(known, &queries, learned, dim)?);
        let (bank, classes) = (&learned.bank, self.classes.len());
        let vote = Neighbors::default();
        let scores = knn_scores(&queries, bank, &self.bank.class, classes, dim, vote)?;
        let ranks = ranks_of_scores(&scores, &known.class, classes)?;
        tasks.extend(self.classified("neighbors", &ranks, &known.class)?);
        Ok(tasks)
    }

    /// Only classes that are described are candidates, and only their rows are asked.
    fn zero_shot(
        &self,
        known: &Known,
        queries: &[f32],
        learned: &Learned,
        dim: usize,
    ) -> Result<Option<(String, Task)>, EvalError> {
        let described = &learned.described;
        let place = |class: &usize| described.binary_search(class).ok();
        let asked =
            known.class.iter().enumerate().filter_map(|(at, class)| Some((at, place(class)?)));
        let (at, own): (Vec<usize>, Vec<usize>) = asked.unzip();
        let queries: Vec<f32> =
            at.iter().flat_map(|&at| &queries[at * dim..][..dim]).copied().collect();
        let ranks = ranks(&queries, &learned.names, &own, dim)?;
        let own: Vec<usize> = own.iter().map(|&at| described[at]).collect();
        self.classified("zero-shot", &ranks, &own)
    }

    fn linear_probe(
        &self,
        known: &Known,
        queries: &[f32],
        learned: &Learned,
        dim: usize,
    ) -> Result<Option<(String, Task)>, EvalError> {
        let scores = learned.fit.scores(table(queries, dim))?;
        let ranks = ranks_of_scores(&scores, &known.class, self.classes.len())?;
        let mut found = self.classified("linear-probe", &ranks, &known.class)?;
        if let Some((_, task)) = &mut found {
            let converged = f64::from(u8::from(learned.fit.converged));
            task.measures.insert("converged".to_owned(), converged);
        }
        Ok(found)
    }

    fn classified(
        &self,
        task: &str,
        ranks: &[usize],
        own: &[usize],
    ) -> Result<Option<(String, Task)>, EvalError> {
        let found = Accuracy::of(ranks, own)?;
        let task_of = |found| Task::classification(&found, own.len(), &self.classes);
        Ok(found.map(|found| (task.to_owned(), task_of(found))))
    }
}

/// Embeddings one after the other as a table.
fn table(rows: &[f32], dim: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows.len() / dim, dim), rows).expect("whole embeddings")
}

fn retrieval(images: &[f32], texts: &[f32], dim: usize) -> Result<Task, EvalError> {
    let own: Vec<usize> = (0..images.len() / dim).collect();
    let ways = [
        ("image-to-text", ranks(images, texts, &own, dim)?),
        ("text-to-image", ranks(texts, images, &own, dim)?),
    ];
    let mut measures = BTreeMap::new();
    let mut score = 0.0;
    for (way, ranks) in &ways {
        let recall = |k| recall_at(ranks, k).unwrap_or(0.0);
        measures.extend([1, 5, 10].map(|k| (format!("{way}-{k}"), recall(k))));
        score += 0.5 * recall(1);
    }
    Ok(Task { score, rows: own.len(), measures, worst_class: None })
}
