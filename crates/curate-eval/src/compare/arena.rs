//! A pool, and what models that are trained on it are asked.

use std::collections::{BTreeMap, BTreeSet};

use curate_core::{Progress, SampleId, random};
use curate_io::{IoError, Kind, Pool, digest};
use ndarray::Array2;

use crate::compare::{
    Compare, CompareError, Model, Prompts, Source, Tests,
    features::{Features, bytes_of},
    pixels::Pixels,
};

/// What may be done with a row of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Train,
    HeldOut,
    /// Held out too, for choices between models.
    KeptBack,
    /// Also in a pool from another source, which models are asked about.
    Elsewhere,
    Unusable,
}

/// Rows of which the class is known.
pub(crate) struct Known {
    /// Their places in what they were taken from.
    pub(crate) rows: Vec<usize>,
    pub(crate) class: Vec<usize>,
}

/// What models are asked.
pub(crate) struct Test {
    pub(crate) images: Array2<f32>,
    /// None where models learn labels.
    pub(crate) texts: Option<Array2<f32>>,
    /// Those of the test's rows that have a class.
    pub(crate) known: Known,
}

/// A pool, and what models that are trained on it are asked: the same for every selection.
pub struct Arena {
    pub(crate) images: Features,
    pub(crate) texts: Option<Features>,
    pub(crate) ids: Vec<SampleId>,
    /// Rows in the order of their ids.
    pub(crate) by_id: Vec<usize>,
    pub(crate) uses: Vec<Use>,
    pub(crate) class: Vec<Option<usize>>,
    pub(crate) classes: Vec<String>,
    pub(crate) test: Test,
    /// The same of pools from other sources, by name.
    pub(crate) shifted: Vec<(String, Test)>,
    /// Labeled rows of the pool that linear probe and neighbors learn from.
    pub(crate) bank: Known,
    /// Features of prompts, with their classes.
    pub(crate) prompts: (Array2<f32>, Vec<usize>),
    pub(crate) inputs: BTreeMap<String, String>,
}

/// Features, ids and faults of one pool.
struct Table {
    images: Features,
    texts: Option<Features>,
    ids: Vec<SampleId>,
    bad: Vec<bool>,
    labels: Vec<Option<String>>,
}

/// What models are tested on, read.
struct Tables {
    own: Option<Table>,
    shifted: Vec<(String, Table)>,
}

impl Tables {
    fn read(
        compare: &Compare,
        tests: Tests<'_>,
        progress: &dyn Progress,
    ) -> Result<Self, CompareError> {
        let read = |source: Source<'_>| Table::read(compare, source, progress);
        let own = tests.own.map(read).transpose()?;
        let mut shifted: Vec<(String, Table)> = Vec::new();
        for (name, source) in tests.shifted {
            if shifted.iter().any(|(other, _)| *other == name) {
                let problem = format!("two pools from other sources are called `{name}`");
                return Err(CompareError::Test(problem + ": give each a name of its own"));
            }
            shifted.push((name, read(source)?));
        }
        Ok(Self { own, shifted })
    }

    fn all(&self) -> impl Iterator<Item = &Table> {
        self.own.iter().chain(self.shifted.iter().map(|(_, table)| table))
    }
}

impl Arena {
    /// Reads the features of a pool, and settles what models will be asked: rows that are held out, or those
    /// of other pools.
    ///
    /// # Errors
    /// When features cannot be read or do not fit each other, two pools from other sources have one name, or
    /// models that learn labels would have fewer than two classes.
    pub fn open(
        compare: &Compare,
        pool: Source<'_>,
        tests: Tests<'_>,
        prompts: Option<Prompts>,
        progress: &dyn Progress,
    ) -> Result<Self, CompareError> {
        let labeled = pool.labels.is_some();
        let pool = Table::read(compare, pool, progress)?;
        let tests = Tables::read(compare, tests, progress)?;
        tests.all().try_for_each(|test| pool.unless_other_widths(test))?;
        let all = pool.labels.iter().chain(tests.all().flat_map(|test| &test.labels));
        let mut classes: Vec<String> = all.flatten().cloned().collect();
        classes.sort_unstable();
        classes.dedup();
        check_classes(compare, labeled, &classes)?;
        let inputs = inputs_of(&pool, &tests, prompts.as_ref());
        let class = pool.class(&classes);
        let uses = pool.uses(compare, &tests);
        let other = |test: &Table| {
            let rows = (0..test.ids.len()).filter(|&row| !test.bad[row]).collect();
            Test::take(compare, test, rows, &test.class(&classes))
        };
        let shifted = tests.shifted.iter().map(|(name, test)| Ok((name.clone(), other(test)?)));
        let shifted = shifted.collect::<Result<_, CompareError>>()?;
        let test = match &tests.own {
            Some(test) => other(test)?,
            None => {
                let held = (0..uses.len()).filter(|&row| uses[row] == Use::HeldOut).collect();
                Test::take(compare, &pool, held, &class)?
            }
        };
        let mut arena = Self {
            by_id: by_id(&pool.ids),
            images: pool.images,
            texts: pool.texts,
            ids: pool.ids,
            uses,
            class,
            classes,
            test,
            shifted,
            bank: Known { rows: vec![], class: vec![] },
            prompts: (Array2::zeros((0, 0)), vec![]),
            inputs,
        };
        if labeled && !compare.params.model.learns_labels() {
            arena.add_bank(compare.params.bank)?;
            match prompts {
                Some(prompts) => arena.add_prompts(prompts)?,
                None => arena.add_captions(compare.params.captions)?,
            }
        }
        Ok(arena)
    }

    /// Rows that models are tested on.
    pub fn test_rows(&self) -> usize {
        self.test.images.nrows()
    }

    /// Rows of the pool that have a label.
    pub fn labeled(&self) -> usize {
        self.class.iter().flatten().count()
    }

    /// Rows of the pool.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Classes that labels name.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Labeled rows to train on, in an order that a hash gives.
    fn labeled_rows(&self, purpose: &str) -> Vec<(usize, usize)> {
        let rows = (0..self.ids.len()).filter(|&row| self.uses[row] == Use::Train);
        let mut rows: Vec<(usize, usize)> =
            rows.filter_map(|row| Some((row, self.class[row]?))).collect();
        let seed = random::derive(0, purpose);
        rows.sort_by_cached_key(|(row, _)| (random::hash(seed, self.ids[*row]), *row));
        rows
    }

    fn add_bank(&mut self, most: usize) -> Result<(), CompareError> {
        let rows = self.labeled_rows("bank").into_iter().take(most);
        let (rows, class): (Vec<usize>, Vec<usize>) = rows.unzip();
        let asked = self.test.known.rows.len();
        if class.iter().all(|one| Some(one) == class.first()) || asked == 0 {
            let classes = if class.is_empty() { "no class" } else { "one class" };
            let problem = format!(
                "labeled rows to learn from are of {classes}, and {asked} rows to test on have a label"
            );
            let remedy = ": label more rows, or hold out another share";
            return Err(CompareError::Test(problem + remedy));
        }
        self.bank = Known { rows, class };
        Ok(())
    }

    /// Captions of other rows describe a class, as prompts do.
    fn add_captions(&mut self, most: usize) -> Result<(), CompareError> {
        let mut left = vec![most; self.classes.len()];
        let mut rows = self.labeled_rows("captions");
        rows.retain(|(_, class)| {
            let takes = left[*class] > 0;
            left[*class] -= usize::from(takes);
            takes
        });
        let (rows, class): (Vec<usize>, Vec<usize>) = rows.into_iter().unzip();
        let texts = self.texts.as_ref().expect("projections have texts");
        self.prompts = (texts.rows(&rows)?, class);
        Ok(())
    }

    fn add_prompts(&mut self, prompts: Prompts) -> Result<(), CompareError> {
        let texts = self.texts.as_ref().expect("projections have texts");
        let (found, expected) = (prompts.features.ncols(), texts.table().dim());
        if found != expected {
            let problem = format!("prompts have {found} numbers, but the pool's texts {expected}");
            return Err(CompareError::Test(problem + ": embed both with one network"));
        }
        let (mut rows, mut class) = (Vec::new(), Vec::new());
        for (row, label) in prompts.label.iter().enumerate() {
            let whole = prompts.features.row(row).iter().all(|x| x.is_finite());
            if let (true, Ok(of)) = (whole, self.classes.binary_search(label)) {
                rows.push(row);
                class.push(of);
            }
        }
        self.prompts = (prompts.features.select(ndarray::Axis(0), &rows), class);
        Ok(())
    }
}

/// What a folder of runs depends on, by name.
fn inputs_of(pool: &Table, tests: &Tables, prompts: Option<&Prompts>) -> BTreeMap<String, String> {
    let mut inputs = pool.inputs("the pool");
    inputs.extend(tests.own.iter().flat_map(|test| test.inputs("the test pool")));
    for (name, test) in &tests.shifted {
        inputs.extend(test.inputs(&format!("the shifted pool `{name}`")));
    }
    if let Some(prompts) = prompts {
        let bytes = bytemuck::cast_slice(prompts.features.as_slice().unwrap_or_default());
        let what = digest::of_bytes(bytes) + &prompts.label.join("\n");
        inputs.insert("the prompts".to_owned(), digest::of_bytes(what.as_bytes()));
    }
    inputs
}

fn check_classes(compare: &Compare, labeled: bool, classes: &[String]) -> Result<(), CompareError> {
    let problem = match classes {
        [] if labeled => {
            "no row has a label: name another column, or a table with the pool's ids".to_owned()
        }
        [] if compare.params.model.learns_labels() => {
            "this model learns labels, and none were given: name them".to_owned()
        }
        [one] => format!("`{one}` is the only label: classes are told apart, so give at least two"),
        _ => return Ok(()),
    };
    Err(CompareError::Test(problem))
}

fn by_id(ids: &[SampleId]) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..ids.len()).collect();
    rows.sort_by_key(|&row| (ids[row], row));
    rows
}

impl Table {
    fn read(
        compare: &Compare,
        source: Source<'_>,
        progress: &dyn Progress,
    ) -> Result<Self, CompareError> {
        let pool = source.pool;
        let read = |name: &str| -> Result<Features, CompareError> {
            Ok(Features::read(pool.embedding(name)?, progress)?)
        };
        let images = match compare.params.model {
            Model::Cnn => pictures(pool, compare.params.pixels, progress)?,
            _ => read(&compare.params.images)?,
        };
        let texts = match compare.params.model.learns_labels() {
            true => None,
            false => Some(read(&compare.params.texts)?),
        };
        let bad_row = |row| images.is_bad(row) || texts.as_ref().is_some_and(|t| t.is_bad(row));
        let mut bad: Vec<bool> = (0..pool.len()).map(bad_row).collect();
        pool.faults().iter().for_each(|(row, _)| bad[*row] = true);
        let labels = source.labels.unwrap_or_else(|| vec![None; pool.len()]);
        if labels.len() != pool.len() {
            let problem =
                format!("has {} rows, but {} labels were given", pool.len(), labels.len());
            return Err(IoError::malformed(pool.path(), problem).into());
        }
        let labels = labels.into_iter().map(|label| label.filter(|label| !label.is_empty()));
        Ok(Self { images, texts, ids: pool.ids().to_vec(), bad, labels: labels.collect() })
    }

    /// The class of each row, where it has one.
    fn class(&self, classes: &[String]) -> Vec<Option<usize>> {
        let place = |label: &Option<String>| classes.binary_search(label.as_ref()?).ok();
        self.labels.iter().map(place).collect()
    }

    fn unless_other_widths(&self, test: &Self) -> Result<(), CompareError> {
        let width = |features: &Features| features.table().dim();
        let texts = |table: &Self| table.texts.as_ref().map(width);
        if (width(&self.images), texts(self)) == (width(&test.images), texts(test)) {
            return Ok(());
        }
        let problem =
            "the features of pool and test pool differ in length: embed both with one network";
        Err(CompareError::Test(problem.to_owned()))
    }

    /// What a folder of runs depends on.
    fn inputs(&self, what: &str) -> BTreeMap<String, String> {
        let ids: Vec<u8> = self.ids.iter().flat_map(|id| id.0.to_le_bytes()).collect();
        let bad: String = self.bad.iter().map(|bad| if *bad { '1' } else { '0' }).collect();
        let mut parts = vec![digest::of_bytes(&ids), digest::of_bytes(bad.as_bytes())];
        parts.push(self.images.digest().to_owned());
        parts.extend(self.texts.as_ref().map(|texts| texts.digest().to_owned()));
        let labels: Vec<&str> =
            self.labels.iter().map(|label| label.as_deref().unwrap_or_default()).collect();
        let labels = digest::of_bytes(labels.join("\n").as_bytes());
        BTreeMap::from([
            (what.to_owned(), digest::of_bytes(parts.join("\n").as_bytes())),
            (format!("the labels of {what}"), labels),
        ])
    }

    /// Which rows may be trained on. Held out are a share of all ids, or the ids of the test pool, and those
    /// of pools from other sources.
    fn uses(&self, compare: &Compare, tests: &Tables) -> Vec<Use> {
        let usable = self.bad.iter().filter(|bad| !**bad).count();
        let wanted = compare.params.test_rows as f64 / usable.max(1) as f64;
        let share = compare.params.held_out.unwrap_or(wanted.min(0.1));
        let seed = random::derive(0, "held out");
        let own: Option<BTreeSet<SampleId>> =
            tests.own.as_ref().map(|test| test.ids.iter().copied().collect());
        let shifted = tests.shifted.iter().flat_map(|(_, test)| &test.ids);
        let shifted: BTreeSet<SampleId> = shifted.copied().collect();
        let drawn = |id| random::unit(seed, id) < share && !shifted.contains(&id);
        let held = |id| own.as_ref().map_or_else(|| drawn(id), |own| own.contains(&id));
        let of_row = |(&id, &bad): (&SampleId, &bool)| match bad {
            true => Use::Unusable,
            false if held(id) => Use::HeldOut,
            false if shifted.contains(&id) => Use::Elsewhere,
            false => Use::Train,
        };
        self.ids.iter().zip(&self.bad).map(of_row).collect()
    }
}

/// The most that pictures may take in memory.
const MOST_PIXELS: usize = 4 << 30;

/// The pixels of a pool's pictures, in memory: to decode them in every step would take longer than to train.
fn pictures(pool: &Pool, side: usize, progress: &dyn Progress) -> Result<Features, CompareError> {
    if !pool.may_have_images() {
        let problem = "has no pictures, at which convolutions look";
        let remedy = "name a pool of tar shards, or take another model";
        return Err(IoError::new(Kind::NotFound, pool.path(), problem, remedy).into());
    }
    let pixels = Pixels::new(pool, side);
    let bytes = bytes_of(&pixels);
    if bytes > MOST_PIXELS {
        let (bytes, most) = (bytes >> 20, MOST_PIXELS >> 20);
        let problem =
            format!("pictures of {side} x {side} pixels take {bytes} MiB, more than {most}");
        let remedy = "take fewer pixels, or a part of the pool";
        return Err(IoError::new(Kind::Unsupported, pool.path(), problem, remedy).into());
    }
    Ok(Features::read_whole(&pixels, progress)?)
}

impl Test {
    /// At most as many of these rows as are wanted, drawn by their ids.
    fn take(
        compare: &Compare,
        table: &Table,
        mut rows: Vec<usize>,
        class: &[Option<usize>],
    ) -> Result<Self, CompareError> {
        let learns_labels = compare.params.model.learns_labels();
        rows.retain(|&row| !learns_labels || class[row].is_some());
        let seed = random::derive(0, "test");
        rows.sort_by_cached_key(|&row| (random::hash(seed, table.ids[row]), row));
        rows.truncate(compare.params.test_rows);
        if rows.len() < 2 {
            let what = if learns_labels { "labeled rows" } else { "rows" };
            let problem = format!("{} {what} are too few to test on", rows.len());
            return Err(CompareError::Test(problem + ": hold out more, or name a pool to test on"));
        }
        let known = rows.iter().enumerate().filter_map(|(at, &row)| Some((at, class[row]?)));
        let (at, known): (Vec<usize>, Vec<usize>) = known.unzip();
        Ok(Self {
            images: table.images.rows(&rows)?,
            texts: table.texts.as_ref().map(|texts| texts.rows(&rows)).transpose()?,
            known: Known { rows: at, class: known },
        })
    }
}
