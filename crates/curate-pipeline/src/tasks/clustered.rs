//! The tasks of a stage that works inside clusters.

use std::{ops::Range, path::Path, sync::Arc};

use curate_cluster::{
    Assignment, Clusters, KMeans, Metric, PartMemory, PartPass, Training, assign,
};
use curate_core::{EmbeddingSource, Examined, Given, Progress, Rows, Selection};
use curate_dedup::Found;

use super::{
    artefact,
    graph::Task,
    known::{Distinct, Usable},
    site::{AtStage, Site},
};
use crate::{
    Error,
    ahead::Ahead,
    stage::{Context, InClusters, Method, Origin, Work},
    stages::clusters_of_stage,
};

/// A stage that works inside clusters, and one of its tasks.
pub(super) struct Clustered<'w> {
    site: &'w Site,
    at: &'w AtStage,
    method: Box<dyn Method>,
    embedding: Box<dyn EmbeddingSource + 'w>,
    progress: &'w dyn Progress,
}

impl<'w> Clustered<'w> {
    pub(super) fn new(
        site: &'w Site,
        at: &'w AtStage,
        progress: &'w dyn Progress,
    ) -> Result<Self, Error> {
        let method = at.method()?;
        let Work::InClusters(work) = method.work() else {
            unreachable!("the steps were planned for a stage that works inside clusters");
        };
        let embedding = Box::new(site.pool.embedding(work.embedding)?);
        Ok(Self { site, at, method, embedding, progress })
    }

    fn work(&self) -> InClusters<'_> {
        match self.method.work() {
            Work::InClusters(work) => work,
            Work::Whole | Work::RowByRow => unreachable!("it works inside clusters"),
        }
    }

    /// Computes a task and writes its artefact; true where k-means is done with it.
    pub(super) fn compute(&self, task: Task, index: usize, path: &Path) -> Result<bool, Error> {
        match task {
            Task::Examine => artefact::write(path, &self.examine(index)?)?,
            Task::Usable => artefact::write(path, &self.find_usable()?)?,
            Task::Begin | Task::Train => {
                let training = self.begin(task)?;
                artefact::write(path, &training)?;
                return Ok(training.is_none());
            }
            Task::Pass(pass) => artefact::write(path, &self.pass(pass, index)?)?,
            Task::Move(pass) => {
                let (training, last) = self.move_centroids(pass)?;
                artefact::write(path, &Some(training))?;
                return Ok(last);
            }
            Task::Assign => artefact::write(path, &self.assign(index)?)?,
            Task::Search => artefact::write(path, &self.search(index)?)?,
            Task::Rows | Task::Stage | Task::Finish => unreachable!("not of clusters"),
        }
        Ok(false)
    }

    /// What the tasks found, for the stage to be put together.
    pub(super) fn ahead(&self) -> Result<Ahead, Error> {
        let ahead = self.examined()?;
        let clusters = match self.work().origin {
            Origin::Fit(..) => Some(self.clusters(&*self.distinct()?)?),
            Origin::Stage(_) => None,
        };
        let mut found = None;
        if let Some(step) = self.site.plan.of_stage(self.at.index, Task::Search) {
            let mut all: Vec<Found> = Vec::new();
            for path in self.site.inputs(step)? {
                all.extend(artefact::read::<Vec<Found>>(&path)?);
            }
            found = Some(all);
        }
        Ok(Ahead { clusters, found, ..ahead })
    }

    fn examine(&self, index: usize) -> Result<Examined, Error> {
        let rows = self.site.in_part(&self.at.next.input, index);
        let norm = self.work().norm;
        let found = Examined::examine(&*self.embedding, &rows, norm, self.progress);
        found.map_err(|e| self.at.failed(e))
    }

    fn find_usable(&self) -> Result<Usable, Error> {
        let step = self.step(Task::Examine)?;
        let mut examined = Examined::default();
        for path in self.site.inputs(step)? {
            examined.merge(artefact::read(&path)?);
        }
        let ahead = Ahead { examined: Some(examined.clone()), ..Ahead::default() };
        let context = self.context(&ahead);
        let copies = match self.work().search {
            Some(search) => {
                let (rows, _) = self.clusterable(&context)?;
                search.copies(&rows, &context).map_err(|e| self.at.failed(e))?
            }
            None => Selection::default(),
        };
        Ok(Usable { examined, copies })
    }

    fn step(&self, task: Task) -> Result<&super::Step, Error> {
        self.site.plan.of_stage(self.at.index, task).ok_or_else(|| Error::Run {
            folder: self.site.folder.clone(),
            problem: format!(
                "its plan has no step {task:?} for stage `{}`; plan again in another folder",
                self.at.next.stage.name()
            ),
        })
    }

    fn examined(&self) -> Result<Ahead, Error> {
        let examined = Some(self.distinct()?.usable.examined.clone());
        Ok(Ahead { examined, ..Ahead::default() })
    }

    fn context<'c>(&'c self, ahead: &'c Ahead) -> Context<'c> {
        self.site.context(self.at, &self.at.next.input, ahead, self.progress)
    }

    /// The rows that can have a cluster, and the clusters, where an earlier stage made them.
    fn clusterable(&self, context: &Context<'_>) -> Result<(Rows<'_>, Option<Clusters>), Error> {
        let InClusters { embedding, norm, origin, .. } = self.work();
        let given =
            Given { ids: Some(self.site.pool.ids()), rows: Some(self.at.next.input.clone()), norm };
        // The same complaints as a run of one process has.
        context.rows(&*self.embedding, embedding, norm).map_err(|e| self.at.failed(e))?;
        let examined = context.ahead.examined.clone().unwrap_or_default();
        let rows = Rows::examined(&*self.embedding, given, examined);
        let rows = rows.map_err(|e| self.at.failed(e))?;
        match origin {
            Origin::Fit(..) => Ok((rows, None)),
            Origin::Stage(stage) => {
                let clusters = clusters_of_stage(stage, context).map_err(|e| self.at.failed(e))?;
                let with = rows.usable().intersect(clusters.rows());
                Ok((rows.only(&with).map_err(|e| self.at.failed(e))?, Some(clusters)))
            }
        }
    }

    /// Which rows are clustered and compared.
    fn distinct(&self) -> Result<Arc<Distinct>, Error> {
        self.at.known.distinct(|| {
            let usable: Usable = self.site.only(self.step(Task::Usable)?)?;
            let ahead = Ahead { examined: Some(usable.examined.clone()), ..Ahead::default() };
            let (rows, _) = self.clusterable(&self.context(&ahead))?;
            let rows = rows.usable().minus(&usable.copies);
            Ok(Distinct { usable, rows })
        })
    }

    /// Some of the rows that are clustered and compared.
    fn rows_of(&self, distinct: &Distinct, rows: Selection) -> Result<Rows<'_>, Error> {
        let (ids, norm) = (Some(self.site.pool.ids()), self.work().norm);
        let given = Given { ids, rows: Some(rows), norm };
        let examined = distinct.usable.examined.without_faults();
        Rows::examined(&*self.embedding, given, examined).map_err(|e| self.at.failed(e))
    }

    /// K-means over so many rows; `None` where there are none.
    fn k_means(&self, rows: usize) -> Result<Option<KMeans>, Error> {
        let Origin::Fit(clusters, params) = self.work().origin else { return Ok(None) };
        if rows == 0 {
            return Ok(None);
        }
        let k_means = params.inside(clusters, self.site.recipe.seed, rows);
        k_means.map(Some).map_err(|e| self.at.failed(e))
    }

    fn begin(&self, task: Task) -> Result<Option<Training>, Error> {
        let distinct = self.distinct()?;
        let Some(k_means) = self.k_means(distinct.rows.len())? else { return Ok(None) };
        let rows = self.rows_of(&distinct, distinct.rows.clone())?;
        let (vectors, ids) = (rows.unit(), rows.usable_ids());
        let training = match task {
            Task::Begin => k_means.begin(&vectors, &ids, self.progress),
            _ => k_means.train_at_once(&vectors, &ids, self.progress),
        };
        training.map(Some).map_err(|e| self.at.failed(e))
    }

    /// The centroids after so many passes; `None` where there is nothing to cluster.
    fn training(&self, passes: usize) -> Result<Option<Training>, Error> {
        let step = match passes {
            0 => self.step(Task::Train).or_else(|_| self.step(Task::Begin))?,
            pass => self.step(Task::Move(pass))?,
        };
        self.site.only(step)
    }

    /// The centroids that stay.
    fn trained(&self, k_means: &KMeans) -> Result<Option<Training>, Error> {
        let site = self.site;
        let passes = match k_means.is_in_parts() {
            true => site.plan.converged(&site.folder, self.at.index),
            false => Some(0),
        };
        // While it has not converged, the move that is missing tells so.
        self.training(passes.unwrap_or(k_means.iterations()))
    }

    /// The centroids before a pass.
    fn before(&self, pass: usize, rows: usize) -> Result<(KMeans, Training), Error> {
        match (self.training(pass - 1)?, self.k_means(rows)?) {
            (Some(training), Some(k_means)) => Ok((k_means, training)),
            _ => Err(Error::Stage {
                stage: self.at.next.stage.name().to_owned(),
                problem: "there is nothing to cluster, and so no pass".to_owned(),
            }),
        }
    }

    fn pass(&self, pass: usize, index: usize) -> Result<PartPass, Error> {
        let distinct = self.distinct()?;
        let (k_means, training) = self.before(pass, distinct.rows.len())?;
        let part = self.rows_of(&distinct, self.site.in_part(&distinct.rows, index))?;
        let (vectors, ids) = (part.unit(), part.usable_ids());
        let pass = |memory: Option<&mut PartMemory>| {
            k_means.pass_with(&training, &vectors, &ids, memory, self.progress)
        };
        let found = match self.site.remembers {
            true => {
                let bytes = k_means.part_memory(ids.len(), vectors.dim());
                self.at.known.with_memory(index, bytes, pass)
            }
            false => pass(None),
        };
        found.map_err(|e| self.at.failed(e))
    }

    /// The centroids after a pass, and whether they stay.
    fn move_centroids(&self, pass: usize) -> Result<(Training, bool), Error> {
        let distinct = self.distinct()?;
        let paths = self.site.inputs(self.step(Task::Pass(pass))?)?;
        let (k_means, training) = self.before(pass, distinct.rows.len())?;
        let earlier = match pass {
            1 => vec![],
            _ => self.site.inputs(self.step(Task::Pass(pass - 1))?)?,
        };
        let (mut passes, mut moved, mut first) = (Vec::new(), 0, 0);
        for (index, path) in paths.iter().enumerate() {
            let found: PartPass = artefact::read(path)?;
            let before = earlier.get(index).map(|path| artefact::read(path)).transpose()?;
            moved += found.moved_since(before.as_ref());
            let rows = found.cluster().len();
            passes.push((first, found));
            first += rows;
        }
        let rows = self.rows_of(&distinct, distinct.rows.clone())?;
        let next = k_means.next(training, passes, moved, &rows.unit());
        let next = next.map_err(|e| self.at.failed(e))?;
        let last = next.is_done(&k_means);
        Ok((next, last))
    }

    fn assign(&self, index: usize) -> Result<Assignment, Error> {
        let distinct = self.distinct()?;
        let Some(k_means) = self.k_means(distinct.rows.len())? else {
            return Ok(Assignment::default());
        };
        let Some(training) = self.trained(&k_means)? else { return Ok(Assignment::default()) };
        let part = self.rows_of(&distinct, self.site.in_part(&distinct.rows, index))?;
        let centroids = training.centroids().view();
        let found = assign(centroids, Metric::Spherical, &part.unit(), self.progress);
        found.map_err(|e| self.at.failed(e))
    }

    /// The clusters that the stage made, or those of an earlier stage, of the rows that are compared.
    fn clusters(&self, distinct: &Distinct) -> Result<Clusters, Error> {
        if let Origin::Stage(stage) = self.work().origin {
            let ahead = Ahead::default();
            let shared = clusters_of_stage(stage, &self.context(&ahead));
            let shared = shared.map_err(|e| self.at.failed(e))?;
            return shared.only(&distinct.rows).map_err(|e| self.at.failed(e));
        }
        let none = || Clusters::none(self.embedding.dim());
        let Some(k_means) = self.k_means(distinct.rows.len())? else { return Ok(none()) };
        let Some(training) = self.trained(&k_means)? else { return Ok(none()) };
        let paths = self.site.inputs(self.step(Task::Assign)?)?;
        let parts = paths.iter().map(|path| artefact::read(path));
        let parts: Vec<Assignment> = parts.collect::<Result<_, _>>()?;
        let clustering = training.clustering(parts).map_err(|e| self.at.failed(e))?;
        Clusters::new(distinct.rows.clone(), clustering).map_err(|e| self.at.failed(e))
    }

    fn search(&self, index: usize) -> Result<Vec<Found>, Error> {
        let distinct = self.distinct()?;
        let clusters = self.clusters(&distinct)?;
        let step = self.step(Task::Search)?;
        let Some(some) = ranges(&clusters.sizes(), step.tasks).into_iter().nth(index) else {
            return Ok(vec![]);
        };
        let labels = clusters.clustering().assignment.cluster();
        let of = clusters.rows().iter().zip(labels);
        let members: Selection = of
            .filter(|(_, cluster)| some.contains(&(**cluster as usize)))
            .map(|(row, _)| row)
            .collect();
        if members.is_empty() {
            return Ok(vec![]);
        }
        let rows = self.rows_of(&distinct, members.clone())?;
        let clusters = clusters.only(&members).map_err(|e| self.at.failed(e))?;
        let ahead = Ahead::default();
        let context = self.context(&ahead);
        let search = self.work().search.expect("the step was planned for a search");
        search.search(&rows, &clusters, &context).map_err(|e| self.at.failed(e))
    }
}

/// Ranges of clusters with about the same work, which grows with the square of a cluster's size.
fn ranges(sizes: &[usize], tasks: usize) -> Vec<Range<usize>> {
    let work = |size: usize| (size as f64).powi(2);
    let total: f64 = sizes.iter().map(|&size| work(size)).sum();
    let mut ends = Vec::with_capacity(tasks);
    let (mut done, mut cluster) = (0.0, 0);
    for task in 1..=tasks {
        let goal = total * task as f64 / tasks as f64;
        while cluster < sizes.len() && (task == tasks || done + work(sizes[cluster]) / 2.0 <= goal)
        {
            done += work(sizes[cluster]);
            cluster += 1;
        }
        ends.push(cluster);
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends.iter().copied()).map(|(from, to)| from..to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_clusters_cover_all_and_share_the_work() {
        for (sizes, tasks) in [
            (vec![3, 1, 4, 1, 5, 9, 2, 6], 3),
            (vec![0, 0, 0], 2),
            (vec![7], 4),
            (vec![], 2),
            (vec![1000, 1, 1, 1], 2),
        ] {
            let found = ranges(&sizes, tasks);
            assert_eq!(found.len(), tasks);
            let all: Vec<usize> = found.iter().cloned().flatten().collect();
            assert_eq!(all, (0..sizes.len()).collect::<Vec<_>>(), "{sizes:?}");
        }
        assert_eq!(ranges(&[10, 10, 10, 10], 2), [0..2, 2..4]);
        assert_eq!(ranges(&[1000, 1, 1, 1], 2), [0..1, 1..4]);
    }
}
