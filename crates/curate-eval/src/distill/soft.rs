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
    /// For each row what the logit of every class that is not kept would be if all were equal: together
    /// they have their probability at temperature 1. `-inf` where they have none.
    rest: Vec<f32>,
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
    /// let shares = soft.shares(0, 1.0);
    /// assert_eq!(shares[1], shares[2]);
    /// assert!((shares[0] - 0.063).abs() < 1e-3, "a class that is not kept has its probability");
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
        let mut rest = Vec::with_capacity(rows);
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
            rest.push(mean_logit(order[k..].iter().map(|&at| logits[at])));
        }
        Ok(Self { classes, k, class, logit, rest })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.class.len() / self.k
    }

    /// Classes that the teacher tells apart.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The teacher's probability of every class for a row, at a temperature: a softmax in which the classes
    /// that are not kept have one logit, by which they have their probability together at temperature 1.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn shares(&self, row: usize, temperature: f32) -> Vec<f32> {
        let kept = row * self.k..(row + 1) * self.k;
        let (class, logit) = (&self.class[kept.clone()], &self.logit[kept]);
        let most = logit[0];
        let weight = |x: &f32| (f64::from(x - most) / f64::from(temperature)).exp();
        let other = weight(&self.rest[row]);
        let all = logit.iter().map(weight).sum::<f64>() + other * (self.classes - self.k) as f64;
        let mut shares = vec![(other / all) as f32; self.classes];
        for (class, logit) in class.iter().zip(logit) {
            shares[*class as usize] = (weight(logit) / all) as f32;
        }
        shares
    }

    /// Writes a Parquet table: `uid`, `classes`, for each of the `k` its class and logit, and where classes are
    /// left out the logit `rest` that stands for each of them.
    ///
    /// # Errors
    /// When there is not one id for each row, or the file cannot be written.
    pub fn write(&self, path: &Path, ids: &[SampleId]) -> Result<(), IoError> {
        self.write_columns(path, ids, None)
    }

    /// [`Self::write`] with a column `label`, the name of each row's first class: by it a reader knows
    /// whether its own classes are these, see [`Self::read_named`].
    ///
    /// # Errors
    /// As [`Self::write`], and when there is not one name for each class.
    pub fn write_named(
        &self,
        path: &Path,
        ids: &[SampleId],
        names: &[String],
    ) -> Result<(), IoError> {
        if names.len() != self.classes {
            let problem = format!("would get {} names for {} classes", names.len(), self.classes);
            return Err(IoError::new(
                Kind::Disagree,
                path,
                problem,
                "give one name for each class",
            ));
        }
        let first = (0..self.rows()).map(|row| names[self.class[row * self.k] as usize].clone());
        self.write_columns(path, ids, Some(first.collect()))
    }

    fn write_columns(
        &self,
        path: &Path,
        ids: &[SampleId],
        label: Option<Vec<String>>,
    ) -> Result<(), IoError> {
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
        columns.extend(label.map(|label| ("label", Column::Text(label))));
        for (at, [class, logit]) in names.iter().enumerate() {
            columns.push((class, Column::U32(column(at).map(|i| self.class[i]).collect())));
            columns.push((logit, Column::F32(column(at).map(|i| self.logit[i]).collect())));
        }
        if self.k < self.classes {
            columns.push(("rest", Column::F32(self.rest.clone())));
        }
        table::write(path, columns)
    }

    /// [`Self::read`] of a teacher that tells apart the classes of these names, in this order.
    ///
    /// # Errors
    /// As [`Self::read`], and when the table is of other classes; one without the column `label` says only
    /// how many there are.
    pub fn read_named(path: &Path, names: &[String]) -> Result<(Vec<SampleId>, Self), IoError> {
        let (ids, soft) = Self::read(path)?;
        let other = |problem: String| {
            let remedy = "take a teacher that was trained on the same labels";
            Err(IoError::new(Kind::Disagree, path, problem, remedy))
        };
        if soft.classes != names.len() {
            let (teacher, student) = (soft.classes, names.len());
            return other(format!(
                "its teacher tells {teacher} classes apart, but there are {student}"
            ));
        }
        let table = Reader::open(path)?;
        let (mut row, mut wrong) = (0, None);
        if table.has("label") {
            table.each_text("label", None, |label| {
                let expected = &names[soft.class[row * soft.k] as usize];
                if label != Some(expected.as_str()) && wrong.is_none() {
                    wrong = Some((row, label.unwrap_or_default().to_owned(), expected.clone()));
                }
                row += 1;
            })?;
        }
        match wrong {
            Some((row, label, expected)) => other(format!(
                "row {row}: its teacher says `{label}` where these classes say `{expected}`: it knows others"
            )),
            None => Ok((ids, soft)),
        }
    }

    /// What the teacher says of these rows instead, in their order. Those of which `place` is
    /// `None` get equal logits.
    pub(crate) fn at(&self, place: &[Option<usize>]) -> Self {
        let (mut class, mut logit, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for place in place {
            rest.push(place.map_or(0.0, |row| self.rest[row]));
            match place {
                Some(row) => {
                    class.extend_from_slice(&self.class[row * self.k..(row + 1) * self.k]);
                    logit.extend_from_slice(&self.logit[row * self.k..(row + 1) * self.k]);
                }
                None => {
                    class.extend(0..self.k as u32);
                    logit.extend(std::iter::repeat_n(0.0, self.k));
                }
            }
        }
        Self { classes: self.classes, k: self.k, class, logit, rest }
    }

    /// Reads what [`Self::write`] wrote: the ids, and what the teacher says of them. Without a column `rest`
    /// the classes that are left out have no probability.
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
        let rest = match table.has("rest") {
            true => table.f32("rest")?,
            false => vec![f32::NEG_INFINITY; ids.len()],
        };
        let smallest = |row: usize| columns.iter().fold(f32::INFINITY, |m, c| m.min(c.1[row]));
        if let Some(row) =
            (0..ids.len()).find(|&row| rest[row].is_nan() || rest[row] > smallest(row))
        {
            let problem = format!("row {row}, field `rest`: is not below the logits that are kept");
            return Err(IoError::malformed(path, problem));
        }
        let rows = 0..ids.len();
        let class = rows.clone().flat_map(|row| columns.iter().map(move |c| c.0[row])).collect();
        let logit = rows.flat_map(|row| columns.iter().map(move |c| c.1[row])).collect();
        Ok((ids, Self { classes, k, class, logit, rest }))
    }
}

/// The logit that each of some classes has if all have the same and their weight together stays: the
/// logarithm of the mean of the exponentials. `-inf` of none.
fn mean_logit(logits: impl ExactSizeIterator<Item = f32> + Clone) -> f32 {
    let count = logits.len() as f64;
    let most = logits.clone().fold(f32::NEG_INFINITY, f32::max);
    if most == f32::NEG_INFINITY {
        return most;
    }
    let sum: f64 = logits.map(|x| f64::from(x - most).exp()).sum();
    // Rounding must not lift it above the largest.
    ((f64::from(most) + (sum / count).ln()) as f32).min(most)
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
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        soft.write_named(&file, &ids, &names).unwrap();
        assert_eq!(SoftLabels::read_named(&file, &names).unwrap(), (ids.to_vec(), soft.clone()));
        let mut others = names.clone();
        others.swap(2, 3);
        let error = SoftLabels::read_named(&file, &others).unwrap_err().to_string();
        assert!(
            error.contains("row 0: its teacher says `c` where these classes say `d`"),
            "{error}"
        );
        let error = SoftLabels::read_named(&file, &names[..3]).unwrap_err().to_string();
        assert!(error.contains("tells 4 classes apart, but there are 3"), "{error}");
        assert!(soft.write_named(&file, &ids, &names[..3]).is_err());
        let moved = soft.at(&[Some(1), None]);
        assert_eq!((&moved.class[..], &moved.logit[..2]), (&[3, 2, 0, 1][..], &soft.logit[2..]));
        assert!(soft.write(&file, &ids[..1]).unwrap_err().to_string().contains("1 ids for 2 rows"));
        let columns =
            vec![("uid", Column::Text(vec!["1".into()])), ("classes", Column::U32(vec![2]))];
        table::write(&file, columns).unwrap();
        assert!(
            SoftLabels::read(&file).unwrap_err().to_string().contains("no table of soft labels")
        );
    }

    #[test]
    fn classes_that_are_left_out_keep_their_probability_together() {
        let logits = [0.5_f32, -1.0, 3.0, 2.0, 1.0];
        let (all, some) = (SoftLabels::of(&logits, 5, 5), SoftLabels::of(&logits, 5, 2));
        let (all, some) = (all.unwrap().shares(0, 1.0), some.unwrap());
        let shares = some.shares(0, 1.0);
        assert!((2..4).all(|class| (shares[class] - all[class]).abs() < 1e-6), "{shares:?}");
        assert!(shares[0] == shares[1] && shares[1] == shares[4]);
        let sum = |x: &[f32]| x[0] + x[1] + x[4];
        assert!((sum(&shares) - sum(&all)).abs() < 1e-6 && sum(&all) > 0.1, "{shares:?} {all:?}");
        let warm = some.shares(0, 4.0);
        assert!(warm.iter().sum::<f32>() > 0.999_999 && warm[2] > warm[3] && warm[3] > warm[0]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("soft.parquet");
        let columns = |rest: Vec<(&'static str, Column)>| {
            let mut columns = vec![
                ("uid", Column::Text(vec!["1".into()])),
                ("classes", Column::U32(vec![3])),
                ("class_0", Column::U32(vec![1])),
                ("logit_0", Column::F32(vec![2.0])),
            ];
            columns.extend(rest);
            columns
        };
        table::write(&file, columns(vec![])).unwrap();
        assert_eq!(SoftLabels::read(&file).unwrap().1.shares(0, 1.0), [0.0, 1.0, 0.0]);
        for rest in [f32::NAN, 2.5] {
            table::write(&file, columns(vec![("rest", Column::F32(vec![rest]))])).unwrap();
            let error = SoftLabels::read(&file).unwrap_err().to_string();
            assert!(error.contains("row 0, field `rest`"), "{error}");
        }
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
