//! What DataComp's baselines read of a pool: some of its rows, shard by shard.

use std::{collections::BTreeMap, ops::Range, path::Path};

use curate_baselines::{FEATURES, MetadataRows, MetadataShard, Rule};
use curate_core::{EmbeddingSource, SampleId, ScoreColumn, Selection, SourceError};
use curate_io::{Embedding, IoError, Pool, pool::Format, pool::Shard, table::Precision};

/// Captions that are read at once where no table holds them.
const CAPTIONS: usize = 1024;

/// What the rule reads of a pool. In DataComp's layout it is read from the shards' tables as
/// `curate baseline` reads them, with the scores' own precision.
pub(crate) struct Columns<'a> {
    pool: &'a Pool,
    numbers: BTreeMap<&'static str, ScoreColumn>,
    features: Option<Embedding>,
}

impl<'a> Columns<'a> {
    pub(crate) fn read(rule: &Rule, pool: &'a Pool) -> Result<Self, IoError> {
        let mut found = Self { pool, numbers: BTreeMap::new(), features: None };
        if pool.format() == Format::Datacomp {
            return Ok(found);
        }
        for column in rule.columns() {
            found.numbers.insert(column, pool.column(column)?);
        }
        if rule.name().reads_features() {
            found.features = Some(pool.embedding(FEATURES)?);
        }
        Ok(found)
    }

    /// Some rows of the pool, shard by shard.
    pub(crate) fn parts(&'a self, rows: &Selection) -> Result<Vec<Part<'a>>, IoError> {
        let mut parts = Vec::new();
        for shard in self.pool.shards() {
            let chosen = rows_in(rows.rows(), &shard.rows).to_vec();
            if chosen.is_empty() {
                continue;
            }
            let table = (self.pool.format() == Format::Datacomp)
                .then(|| MetadataShard::open(&shard.files[0]))
                .transpose()?;
            parts.push(Part { columns: self, shard, table, chosen });
        }
        Ok(parts)
    }
}

fn rows_in<'a>(rows: &'a [usize], range: &Range<usize>) -> &'a [usize] {
    let from = rows.partition_point(|&row| row < range.start);
    let to = rows.partition_point(|&row| row < range.end);
    &rows[from..to]
}

/// Some rows of a shard.
pub(crate) struct Part<'a> {
    columns: &'a Columns<'a>,
    shard: &'a Shard,
    /// The shard's table, in DataComp's layout.
    table: Option<MetadataShard>,
    /// Rows of the pool, ascending.
    chosen: Vec<usize>,
}

impl Part<'_> {
    fn local(&self) -> Vec<usize> {
        self.chosen.iter().map(|row| row - self.shard.rows.start).collect()
    }
}

/// Which of the rows that come one after the other are wanted: those of a list that ascends.
struct Only {
    rows: std::vec::IntoIter<usize>,
    next: Option<usize>,
    row: usize,
}

impl Only {
    fn new(rows: Vec<usize>) -> Self {
        let mut rows = rows.into_iter();
        Self { next: rows.next(), rows, row: 0 }
    }

    /// Whether the row that comes now is one of them.
    fn takes(&mut self) -> bool {
        let takes = self.next == Some(self.row);
        if takes {
            self.next = self.rows.next();
        }
        self.row += 1;
        takes
    }
}

impl MetadataRows for Part<'_> {
    fn len(&self) -> usize {
        self.chosen.len()
    }

    fn each_id(&self, each: &mut dyn FnMut(SampleId)) -> Result<(), IoError> {
        self.chosen.iter().for_each(|&row| each(self.columns.pool.ids()[row]));
        Ok(())
    }

    fn each_caption(&self, each: &mut dyn FnMut(Option<&str>)) -> Result<(), IoError> {
        if let Some(table) = &self.table {
            let mut only = Only::new(self.local());
            return table.each_caption(&mut |caption| {
                if only.takes() {
                    each(caption);
                }
            });
        }
        for rows in self.chosen.chunks(CAPTIONS) {
            let samples = self.columns.pool.samples(rows)?;
            samples.iter().for_each(|sample| each(sample.caption.as_deref()));
        }
        Ok(())
    }

    fn each_block(&self, column: &str, each: &mut dyn FnMut(&[f64])) -> Result<(), IoError> {
        let mut taken = Vec::new();
        match &self.table {
            Some(table) => {
                let mut only = Only::new(self.local());
                table.each_block(column, &mut |numbers| {
                    taken.clear();
                    taken.extend(numbers.iter().filter(|_| only.takes()));
                    each(&taken);
                })
            }
            None => {
                let values = &self.columns.numbers[column];
                taken.extend(self.chosen.iter().map(|&row| values.get(row)));
                each(&taken);
                Ok(())
            }
        }
    }

    fn precision(&self, column: &str) -> Result<Precision, IoError> {
        if let Some(table) = &self.table {
            return table.precision(column);
        }
        Ok(match self.columns.numbers.get(column) {
            Some(ScoreColumn::Half(_)) => Precision::Half,
            Some(ScoreColumn::Double(_)) => Precision::Double,
            Some(ScoreColumn::Single(_)) | None => Precision::Single,
        })
    }

    fn features(&self, name: &str) -> Result<Box<dyn EmbeddingSource + '_>, IoError> {
        let pool = self.columns.pool;
        Ok(match (&self.table, &self.columns.features) {
            (Some(table), _) => {
                Box::new(Chosen { source: table.features(name)?, rows: self.local() })
            }
            (None, features) => {
                let features = features.clone().map_or_else(|| pool.embedding(name), Ok)?;
                Box::new(Chosen { source: Box::new(features), rows: self.chosen.clone() })
            }
        })
    }

    fn path(&self) -> &Path {
        &self.shard.files[0]
    }
}

/// Some rows of an embedding.
struct Chosen<'a> {
    source: Box<dyn EmbeddingSource + 'a>,
    rows: Vec<usize>,
}

impl EmbeddingSource for Chosen<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn dim(&self) -> usize {
        self.source.dim()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        self.source.gather(&self.rows[rows], out)
    }

    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        let rows: Vec<usize> = rows.iter().map(|&row| self.rows[row]).collect();
        self.source.gather(&rows, out)
    }
}
