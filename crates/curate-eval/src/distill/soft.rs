//! What a teacher says of rows: its largest logits.

use std::path::Path;

use curate_core::SampleId;
use curate_io::{
    IoError, Kind,
    table::{self, Column, Reader},
};

use crate::EvalError;

/// A teacher's `k` largest logits of each row, with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftLabels {
    classes: usize,
    k: usize,
    /// `n x k`, the largest logit first.
    class: Vec<u32>,
    logit: Vec<f32>,
}

impl SoftLabels {
    /// Keeps the `k` largest of each row's `classes` logits, of equal ones the first; all where there are
    /// fewer.
    ///
    /// # Errors
    /// When `k` is 0, logits are not whole, or one is not finite.
    ///
    /// ```
    /// use curate_eval::distill::SoftLabels;
    ///
    /// let soft = SoftLabels::of(&[0.0, 2.0, 2.0], 3, 2)?;
    /// assert_eq!(soft.shares(0, 1.0), [0.0, 0.5, 0.5]);
    /// # Ok::<(), curate_eval::EvalError>(())
    /// ```
    pub fn of(logits: &[f32], classes: usize, k: usize) -> Result<Self, EvalError> {
        let rows = logits.len().checked_div(classes).unwrap_or(0);
        EvalError::unless_length("logits", logits.len(), rows * classes)?;
        let k = k.min(classes);
        if k == 0 {
            return Err(EvalError::Length { argument: "k", found: 0, expected: 1 });
        }
        let (mut class, mut logit) = (Vec::with_capacity(rows * k), Vec::with_capacity(rows * k));
        for (row, logits) in logits.chunks_exact(classes).enumerate() {
            if logits.iter().any(|x| !x.is_finite()) {
                return Err(EvalError::NotFinite { argument: "logits", row });
            }
            let mut order: Vec<usize> = (0..classes).collect();
            order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
            for &at in &order[..k] {
                class.push(at as u32);
                logit.push(logits[at]);
            }
        }
        Ok(Self { classes, k, class, logit })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.class.len() / self.k
    }

    /// Classes that the teacher tells apart.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The teacher's probability of every class for a row, at a temperature: a softmax over the kept logits;
    /// the other classes have none.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn shares(&self, row: usize, temperature: f32) -> Vec<f32> {
        let kept = row * self.k..(row + 1) * self.k;
        let (class, logit) = (&self.class[kept.clone()], &self.logit[kept]);
        let most = logit[0];
        let weight = |x: &f32| (f64::from(x - most) / f64::from(temperature)).exp();
        let all: f64 = logit.iter().map(weight).sum();
        let mut shares = vec![0.0; self.classes];
        for (class, logit) in class.iter().zip(logit) {
            shares[*class as usize] = (weight(logit) / all) as f32;
        }
        shares
    }

    /// Writes a Parquet table: `uid`, `classes`, and for each of the `k` its class and logit.
    ///
    /// # Errors
    /// When there is not one id for each row, or the file cannot be written.
    pub fn write(&self, path: &Path, ids: &[SampleId]) -> Result<(), IoError> {
        if ids.len() != self.rows() {
            let problem = format!("would get {} ids for {} rows", ids.len(), self.rows());
            return Err(IoError::new(Kind::Disagree, path, problem, "give one id for each row"));
        }
        let column = |at: usize| (0..self.rows()).map(move |row| row * self.k + at);
        let names: Vec<[String; 2]> =
            (0..self.k).map(|at| [format!("class_{at}"), format!("logit_{at}")]).collect();
        let uids = ids.iter().map(SampleId::to_string).collect();
        let classes = vec![self.classes as u32; self.rows()];
        let mut columns = vec![("uid", Column::Text(uids)), ("classes", Column::U32(classes))];
        for (at, [class, logit]) in names.iter().enumerate() {
            columns.push((class, Column::U32(column(at).map(|i| self.class[i]).collect())));
            columns.push((logit, Column::F32(column(at).map(|i| self.logit[i]).collect())));
        }
        table::write(path, columns)
    }

    /// Reads what [`Self::write`] wrote: the ids, and what the teacher says of them.
    ///
    /// # Errors
    /// When the file cannot be read, or is no such table.
    pub fn read(path: &Path) -> Result<(Vec<SampleId>, Self), IoError> {
        let table = Reader::open(path)?;
        let (mut ids, mut bad) = (Vec::new(), None);
        table.each_uid("uid", |uid| match uid.unwrap_or_default().parse() {
            Ok(id) => ids.push(id),
            Err(_) => bad = bad.or(Some(ids.len())),
        })?;
        if let Some(row) = bad {
            return Err(IoError::malformed(
                path,
                format!("row {row}, field `uid`: is no sample id"),
            ));
        }
        let whole = |name: &str| -> Result<Vec<u32>, IoError> {
            let values = table.u64(name)?.into_iter();
            let values = values.map(|value| value.and_then(|value| u32::try_from(value).ok()));
            let gap =
                || IoError::malformed(path, format!("`{name}` has a gap or too large a number"));
            values.collect::<Option<Vec<u32>>>().ok_or_else(gap)
        };
        let classes = whole("classes")?;
        let k = (0..).take_while(|at| table.has(&format!("class_{at}"))).count();
        let columns: Vec<(Vec<u32>, Vec<f32>)> = (0..k)
            .map(|at| Ok((whole(&format!("class_{at}"))?, table.f32(&format!("logit_{at}"))?)))
            .collect::<Result<_, IoError>>()?;
        let classes = classes.first().map_or(0, |first| *first as usize);
        let known = |(class, logit): &(Vec<u32>, Vec<f32>)| {
            class.iter().all(|c| (*c as usize) < classes) && logit.iter().all(|x| x.is_finite())
        };
        if k == 0 || !columns.iter().all(known) {
            let problem =
                "is no table of soft labels: a class is not below `classes`, or a logit not finite";
            return Err(IoError::malformed(path, problem));
        }
        let rows = 0..ids.len();
        let class = rows.clone().flat_map(|row| columns.iter().map(move |c| c.0[row])).collect();
        let logit = rows.flat_map(|row| columns.iter().map(move |c| c.1[row])).collect();
        Ok((ids, Self { classes, k, class, logit }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("soft.parquet");
        let logits = [0.5, -1.0, 3.0, 2.0, 0.0, 0.1, 0.2, 0.3];
        let soft = SoftLabels::of(&logits, 4, 2).unwrap();
        assert_eq!((soft.rows(), soft.classes(), &soft.class[..]), (2, 4, &[2, 3, 3, 2][..]));
        let ids = [SampleId(7), SampleId(3)];
        soft.write(&file, &ids).unwrap();
        assert_eq!(SoftLabels::read(&file).unwrap(), (ids.to_vec(), soft.clone()));
        assert!(soft.write(&file, &ids[..1]).unwrap_err().to_string().contains("1 ids for 2 rows"));
        let columns =
            vec![("uid", Column::Text(vec!["1".into()])), ("classes", Column::U32(vec![2]))];
        table::write(&file, columns).unwrap();
        assert!(
            SoftLabels::read(&file).unwrap_err().to_string().contains("no table of soft labels")
        );
    }

    #[test]
    fn bad_logits_are_refused() {
        assert!(SoftLabels::of(&[1.0; 3], 2, 1).unwrap_err().to_string().starts_with("`logits`"));
        assert!(SoftLabels::of(&[f32::NAN, 1.0], 2, 1).unwrap_err().to_string().contains("row 0"));
        assert!(SoftLabels::of(&[1.0; 2], 2, 0).unwrap_err().to_string().starts_with("`k`"));
        let cold = SoftLabels::of(&[1e30, 0.0], 2, 9).unwrap().shares(0, 1e-3);
        assert_eq!(cold, [1.0, 0.0]);
    }
}
