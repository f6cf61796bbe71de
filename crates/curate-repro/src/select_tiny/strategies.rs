//! Seven ways to come to a labeled set of the same size from one pool.

use anyhow::Result;
use curate_core::{Cut, NoProgress, Rows, SampleId, random};
use curate_dedup::SemanticDedupParams;
use curate_kernels::inner_products;
use curate_select::corrupt::Corruption;
use ndarray::{Array2, ArrayView3, Axis};
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    fashion::{CLASSES, Labeled, SIDE},
    tiny::shuffled,
};

/// How a set came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The given labels, as many pictures of each class: ImageNet's.
    Expert,
    /// The given labels of pictures at random.
    Random,
    /// For each class the pictures nearest to a few labeled ones: LAION's, looked up by embedding.
    Lookup,
    /// The expert's pictures, each with the vote of three people of whom each is right in 70 % of cases.
    Crowd,
    /// The given labels, the largest class 100 times the smallest: OpenImages'.
    LongTail,
    /// The given labels of the pictures that SemDeDup keeps.
    Deduplicated,
    /// The expert's pictures, each mixed with another of its class and blurred: stands for generated ones.
    Generated,
}

impl Strategy {
    /// Every strategy, the expert first.
    pub const ALL: [Self; 7] = [
        Self::Expert,
        Self::Random,
        Self::Lookup,
        Self::Crowd,
        Self::LongTail,
        Self::Deduplicated,
        Self::Generated,
    ];

    /// The strategy in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Expert => "expert labels, balanced",
            Self::Random => "expert labels, at random",
            Self::Lookup => "nearest to 20 labeled ones a class",
            Self::Crowd => "crowd labels",
            Self::LongTail => "expert labels, long tail",
            Self::Deduplicated => "expert labels, deduplicated",
            Self::Generated => "mixed and blurred pictures",
        }
    }
}

/// A set to train on.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) pictures: Labeled,
    /// The share of labels that are not the pictures' own.
    pub(super) wrong: f64,
}

/// A pool, and its pictures as vectors of length 1.
pub(super) struct Pool<'a> {
    pub(super) given: &'a Labeled,
    pub(super) unit: &'a Array2<f32>,
}

/// Labeled pictures of each class that a look-up starts from.
const EXAMPLES: usize = 20;
/// How often one of the crowd is right, and how many there are.
const CROWD_RIGHT: f64 = 0.7;
const CROWD: u64 = 3;
/// The largest class of a long tail over the smallest.
const IMBALANCE: f64 = 100.0;
/// Clusters in which SemDeDup looks for copies.
const CLUSTERS: usize = 50;

impl Pool<'_> {
    /// The set of `size` pictures of a strategy.
    pub(super) fn set(&self, strategy: Strategy, size: usize, seed: u64) -> Result<Set> {
        let share = size / CLASSES;
        let balanced = || -> Vec<usize> {
            let rows = self.given.by_class(CLASSES, seed);
            rows.iter().flat_map(|rows| rows.iter().copied().take(share)).collect()
        };
        let own = |rows: &[usize]| Set { pictures: self.given.take(rows), wrong: 0.0 };
        Ok(match strategy {
            Strategy::Expert => own(&balanced()),
            Strategy::Random => {
                own(&shuffled(self.given.class.len(), seed)[..size.min(self.given.class.len())])
            }
            Strategy::Lookup => self.looked_up(share, seed),
            Strategy::Crowd => self.relabeled(&balanced(), |row, class| vote(seed, row, class)),
            Strategy::LongTail => own(&self.long_tail(size, seed)),
            Strategy::Deduplicated => own(&self.deduplicated(size, seed)?),
            Strategy::Generated => Set { pictures: self.generated(&balanced())?, wrong: 0.0 },
        })
    }

    /// These pictures with other labels.
    fn relabeled(&self, rows: &[usize], label: impl Fn(usize, usize) -> usize) -> Set {
        let mut pictures = self.given.take(rows);
        let mut wrong = 0;
        for (class, &row) in pictures.class.iter_mut().zip(rows) {
            let own = *class;
            *class = label(row, own);
            wrong += usize::from(*class != own);
        }
        Set { pictures, wrong: wrong as f64 / rows.len().max(1) as f64 }
    }

    /// Each picture is taken for the class of the nearest example; each class keeps its nearest.
    fn looked_up(&self, share: usize, seed: u64) -> Set {
        let rows = self.given.by_class(CLASSES, random::derive(seed, "examples"));
        let examples: Vec<usize> =
            rows.iter().flat_map(|rows| rows.iter().copied().take(EXAMPLES)).collect();
        let known = self.unit.select(Axis(0), &examples);
        let (known, dim) = (known.as_slice().expect("in standard layout"), self.unit.ncols());
        let nearest = |row: usize| {
            let row = self.unit.row(row);
            let near = inner_products(row.as_slice().expect("a row"), known, dim);
            let best = (0..near.len()).max_by(|&a, &b| near[a].total_cmp(&near[b]).then(b.cmp(&a)));
            best.map(|at| (near[at], self.given.class[examples[at]]))
        };
        let found: Vec<_> = (0..self.given.class.len()).into_par_iter().map(nearest).collect();
        let mut taken: Vec<Vec<(f32, usize)>> = vec![Vec::new(); CLASSES];
        for (row, found) in found.iter().enumerate().filter(|(row, _)| !examples.contains(row)) {
            if let Some((near, class)) = *found {
                taken[class].push((near, row));
            }
        }
        let mut labels = std::collections::BTreeMap::new();
        for (class, taken) in taken.iter_mut().enumerate() {
            taken.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            labels.extend(taken.iter().take(share).map(|&(_, row)| (row, class)));
        }
        let rows: Vec<usize> = labels.keys().copied().collect();
        self.relabeled(&rows, |row, _| labels[&row])
    }

    /// Classes in an order drawn by the seed, each smaller than the one before by the same factor.
    fn long_tail(&self, size: usize, seed: u64) -> Vec<usize> {
        let rows = self.given.by_class(CLASSES, seed);
        let order = shuffled(CLASSES, random::derive(seed, "tail"));
        let weight = |place: usize| IMBALANCE.powf(-(place as f64) / (CLASSES - 1) as f64);
        let all: f64 = (0..CLASSES).map(weight).sum();
        let of = |(place, &class): (usize, &usize)| {
            let count = (size as f64 * weight(place) / all).round().max(1.0) as usize;
            rows[class].iter().copied().take(count).collect::<Vec<_>>()
        };
        order.iter().enumerate().flat_map(of).collect()
    }

    fn deduplicated(&self, size: usize, seed: u64) -> Result<Vec<usize>> {
        let rows = Rows::new(self.unit)?;
        let search = SemanticDedupParams::new().clusters(CLUSTERS).seed(seed).check()?;
        let kept = search.run(&rows, &NoProgress)?.select(Cut::Top(size))?;
        Ok(kept.rows().to_vec())
    }

    /// The mean of each picture and the next of its class, blurred by the widest Gaussian.
    fn generated(&self, rows: &[usize]) -> Result<Labeled> {
        let given = self.given.take(rows);
        let mut made = given.clone();
        for row in 0..rows.len() {
            let same = |other: &usize| given.class[*other] == given.class[row];
            let next = (row + 1..rows.len()).chain(0..row).find(same).unwrap_or(row);
            let mixed = (&given.pixels.row(row) + &given.pixels.row(next)) * 0.5;
            let mixed = mixed.as_slice().expect("a row");
            let picture = ArrayView3::from_shape((SIDE, SIDE, 1), mixed)?;
            let blurred = Corruption::GaussianBlur.apply(picture, 5, 0)?;
            made.pixels.row_mut(row).assign(&blurred.flatten());
        }
        Ok(made)
    }
}

/// The label that most of the crowd gives; of three that differ, the first.
fn vote(seed: u64, row: usize, class: usize) -> usize {
    let one = |person: u64| {
        let draw = |what| random::unit(random::derive(seed, what), id(row, person));
        if draw("crowd right") < CROWD_RIGHT {
            return class;
        }
        (class + 1 + (draw("crowd wrong") * (CLASSES - 1) as f64) as usize) % CLASSES
    };
    let votes: Vec<usize> = (0..CROWD).map(one).collect();
    let twice = |label: &&usize| votes.iter().filter(|other| other == label).count() > 1;
    *votes.iter().find(twice).unwrap_or(&votes[0])
}

fn id(row: usize, person: u64) -> SampleId {
    SampleId::from_halves(row as u64, person)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny::{made::bars, unit};

    #[test]
    fn sets_are_what_their_names_say() -> Result<()> {
        let given = bars(CLASSES, 60, 5);
        let pool = Pool { given: &given, unit: &unit(&given.pixels) };
        let sizes = |set: &Set| {
            let mut sizes = vec![0; CLASSES];
            set.pictures.class.iter().for_each(|&class| sizes[class] += 1);
            sizes
        };
        for strategy in Strategy::ALL {
            let set = pool.set(strategy, 200, 3)?;
            assert_eq!(set.pictures.pixels.nrows(), set.pictures.class.len());
            let sizes = sizes(&set);
            let even = sizes.iter().all(|&size| size == 20);
            match strategy {
                Strategy::Expert | Strategy::Generated => assert!(even && set.wrong == 0.0),
                // 22 % are wrong if two votes decide; a third of what is undecided is right.
                Strategy::Crowd => assert!((0.05..0.3).contains(&set.wrong), "{}", set.wrong),
                Strategy::Lookup => assert!(even && set.wrong < 0.1, "{sizes:?} {}", set.wrong),
                Strategy::LongTail => {
                    let most = sizes.iter().max().copied().unwrap_or(0);
                    assert!(most >= 60 && sizes.contains(&1), "{sizes:?}");
                }
                Strategy::Random => assert_eq!(set.pictures.class.len(), 200),
                Strategy::Deduplicated => assert_eq!(set.pictures.class.len(), 200),
            }
        }
        Ok(())
    }

    #[test]
    fn a_crowd_is_right_more_often_than_one_of_it() {
        let right = (0..20_000).filter(|&row| vote(1, row, 4) == 4).count() as f64 / 20_000.0;
        // 0.784 by two of three, and a third of the 0.168 where all three differ.
        assert!((right - 0.84).abs() < 0.01, "{right}");
    }
}
