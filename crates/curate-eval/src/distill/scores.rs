//! Scores to prune labeled rows by, from a network's answers.

use crate::EvalError;

/// EL2N: how far the probabilities of a row are from its label, the length of their difference (Paul et
/// al. 2021, arXiv 2107.07075), from 0 to the square root of 2. Average it over a few networks early in
/// training. High scores are hard rows, and wrong labels.
///
/// # Errors
/// When there is not one class for each row of logits, or a class is not below `classes`.
///
/// ```
/// use curate_eval::distill::scores::el2n;
///
/// let found = el2n(&[0.0, 0.0, 9.0, -9.0], &[1, 0], 2)?;
/// assert!((found[0] - 0.5_f32.sqrt()).abs() < 1e-6 && found[1] < 1e-6);
/// # Ok::<(), curate_eval::EvalError>(())
/// ```
pub fn el2n(logits: &[f32], class: &[usize], classes: usize) -> Result<Vec<f32>, EvalError> {
    of_rows(logits, class, classes, |shares, own| {
        let part = |(at, p): (usize, &f64)| (p - f64::from(u8::from(at == own))).powi(2);
        shares.iter().enumerate().map(part).sum::<f64>().sqrt()
    })
}

/// The margin: the probability of a row's class less the largest of the others, from -1 to 1. Below 0 the
/// network is wrong.
///
/// # Errors
/// As [`el2n`].
pub fn margin(logits: &[f32], class: &[usize], classes: usize) -> Result<Vec<f32>, EvalError> {
    of_rows(logits, class, classes, |shares, own| {
        let others = shares.iter().enumerate().filter(|(at, _)| *at != own);
        shares[own] - others.map(|(_, p)| *p).fold(0.0, f64::max)
    })
}

/// How often each row was forgotten: right at one look and wrong at the next (Toneva et al. 2019, arXiv
/// 1812.05159). `None` for rows that were never right, which the paper counts as forgotten most often.
/// `looks` says of every look which rows were right.
///
/// # Errors
/// When looks differ in length.
///
/// ```
/// use curate_eval::distill::scores::forgetting;
///
/// let looks = [vec![true, false, false], vec![false, true, false], vec![true, true, false]];
/// assert_eq!(forgetting(&looks)?, [Some(1), Some(0), None]);
/// # Ok::<(), curate_eval::EvalError>(())
/// ```
pub fn forgetting(looks: &[Vec<bool>]) -> Result<Vec<Option<u32>>, EvalError> {
    let Some(first) = looks.first() else { return Ok(Vec::new()) };
    for look in looks {
        EvalError::unless_length("looks", look.len(), first.len())?;
    }
    let of_row = |row: usize| {
        let forgotten = looks.windows(2).filter(|pair| pair[0][row] && !pair[1][row]).count();
        looks.iter().any(|look| look[row]).then_some(forgotten as u32)
    };
    Ok((0..first.len()).map(of_row).collect())
}

fn of_rows(
    logits: &[f32],
    class: &[usize],
    classes: usize,
    score: impl Fn(&[f64], usize) -> f64,
) -> Result<Vec<f32>, EvalError> {
    EvalError::unless_length("logits", logits.len(), class.len() * classes)?;
    EvalError::unless_row("class", class, classes)?;
    let rows = logits.chunks_exact(classes.max(1)).zip(class);
    Ok(rows.map(|(logits, &own)| score(&softmax(logits), own) as f32).collect())
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|x| f64::from(x - most).exp()).collect();
    let all: f64 = exps.iter().sum();
    exps.iter().map(|x| x / all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_by_hand() {
        // Probabilities of 1/4, 1/4 and 1/2.
        let logits = [0.0, 0.0, 2.0_f32.ln()];
        let of = |own| margin(&logits, &[own], 3).unwrap()[0];
        assert!((of(2) - 0.25).abs() < 1e-6 && (of(0) + 0.25).abs() < 1e-6);
        assert!((el2n(&logits, &[2], 3).unwrap()[0] - 0.375_f32.sqrt()).abs() < 1e-6);
        assert!(margin(&logits, &[3], 3).is_err() && el2n(&logits, &[0, 1], 3).is_err());
        assert!(forgetting(&[vec![true], vec![]]).is_err());
        assert!(forgetting(&[]).unwrap().is_empty());
    }
}
