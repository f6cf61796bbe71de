//! What the paper says, with the bars of this experiment.

use super::{Cell, Pruning};
use crate::{Claim, Kind};

/// Differences below a point are within the spread of a few seeds.
const POINT: f64 = 1.0;

/// Every claim on students.
pub fn claims(cells: &[Cell]) -> Vec<Claim> {
    let of = Cells(cells);
    [of.alpha_falls(), of.random_is_good(), of.noise_is_repaired(), of.sizes_of_teachers()].concat()
}

struct Cells<'a>(&'a [Cell]);

/// Which students.
#[derive(Clone, Copy)]
struct Which {
    wrong: f64,
    pruning: Pruning,
    share: f64,
    teacher: usize,
}

const CLEAN: Which = Which { wrong: 0.0, pruning: Pruning::Random, share: 1.0, teacher: 64 };
const NOISY: Which = Which { wrong: 0.3, ..CLEAN };

impl Cells<'_> {
    fn all(&self, which: Which) -> impl Iterator<Item = &Cell> {
        self.0.iter().filter(move |cell| {
            let same =
                (cell.share - which.share).abs() < 1e-9 && (cell.wrong - which.wrong).abs() < 1e-9;
            same && cell.pruning == which.pruning && cell.teacher == which.teacher
        })
    }

    /// Accuracy on the test in per cent; NaN, which meets no bar, where there is no such cell.
    fn test(&self, which: Which, alpha: f32) -> f64 {
        let cell = self.all(which).find(|cell| cell.alpha == alpha);
        cell.map_or(f64::NAN, |cell| 100.0 * mean(&cell.test))
    }

    /// The cell of the best alpha.
    fn best(&self, which: Which) -> Option<&Cell> {
        // Of equal ones the smallest alpha.
        self.all(which).fold(None, |best: Option<&Cell>, cell| match best {
            Some(best) if mean(&best.chosen_on) >= mean(&cell.chosen_on) => Some(best),
            _ => Some(cell),
        })
    }

    fn best_alpha(&self, which: Which) -> f64 {
        self.best(which).map_or(f64::NAN, |cell| f64::from(cell.alpha))
    }

    fn best_test(&self, which: Which) -> f64 {
        self.best(which).map_or(f64::NAN, |cell| 100.0 * mean(&cell.test))
    }

    fn alpha_falls(&self) -> Vec<Claim> {
        let quoted =
            "near f = 1 a smaller weight of the teacher is best, near f = 0.1 a larger one";
        let name = |what: &str| format!("best alpha at 1 % kept less that at 100 %, {what}");
        let less = |pruning| {
            self.best_alpha(Which { share: 0.01, pruning, ..CLEAN }) - self.best_alpha(CLEAN)
        };
        let falls = |what, pruning| {
            Claim::at_least(name(what), Kind::ScaledDown, 0.25, less(pruning)).quoting(quoted)
        };
        vec![falls("random", Pruning::Random), falls("highest EL2N", Pruning::El2n)]
    }

    fn random_is_good(&self) -> Vec<Claim> {
        let over = |share: f64| {
            let best = |pruning| self.best_test(Which { share, pruning, ..CLEAN });
            best(Pruning::Random) - best(Pruning::El2n).max(best(Pruning::Margin))
        };
        let least =
            |shares: &[f64]| shares.iter().map(|&share| over(share)).fold(f64::INFINITY, f64::min);
        let quoted = "with distillation, random pruning is comparable to or better than all scores at every f";
        let full = "ImageNet: better than the full-data baseline with a random 50 %";
        let half = self.best_test(Which { share: 0.5, ..CLEAN }) - self.test(CLEAN, 0.0);
        vec![
            Claim::at_least(
                "random over the better score, each with its best alpha, the least of 1, 3 and 10 % (points)",
                Kind::ScaledDown,
                -POINT,
                least(&[0.01, 0.03, 0.1]),
            )
            .quoting(quoted),
            Claim::at_least(
                "the same at 30 % (points)",
                Kind::ScaledDown,
                -POINT,
                least(&[0.3]),
            )
            .quoting(quoted),
            Claim::at_least(
                "a random 50 % with its best alpha over everything with labels alone (points)",
                Kind::ScaledDown,
                0.0,
                half,
            )
            .quoting(full),
        ]
    }

    fn noise_is_repaired(&self) -> Vec<Claim> {
        let hard = Which { share: 0.1, pruning: Pruning::El2n, ..NOISY };
        let random = Which { share: 0.1, ..NOISY };
        let quoted =
            "at small f, pruning by scores keeps noisy and poor samples, whose hard labels mislead";
        let claim = |name: &str, bar: f64, measured: f64| {
            Claim::at_least(name, Kind::ScaledDown, bar, measured).quoting(quoted)
        };
        vec![
            claim(
                "30 % wrong labels, 10 % kept, labels alone: random over highest EL2N (points)",
                10.0,
                self.test(random, 0.0) - self.test(hard, 0.0),
            ),
            claim(
                "30 % wrong labels, highest EL2N, 10 % kept: alpha 1 over labels alone (points)",
                20.0,
                self.test(hard, 1.0) - self.test(hard, 0.0),
            ),
            claim(
                "30 % wrong labels, 10 % kept, alpha 1: highest EL2N over random (points)",
                -5.0,
                self.test(hard, 1.0) - self.test(random, 1.0),
            ),
        ]
    }

    fn sizes_of_teachers(&self) -> Vec<Claim> {
        let of = |teacher| self.best_test(Which { share: 0.01, teacher, ..CLEAN });
        vec![
            Claim::at_most(
                "1 % kept: a teacher of 256 over one of 64 (points)",
                Kind::ScaledDown,
                0.0,
                of(256) - of(64),
            )
            .quoting("at low f larger teachers hurt"),
            Claim::at_least(
                "1 % kept: a teacher of 16 over one of 64 (points)",
                Kind::ScaledDown,
                0.0,
                of(16) - of(64),
            )
            .quoting("at low f teachers smaller than the student may help"),
        ]
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(pruning: Pruning, share: f64, alpha: f32, chosen: f64, test: f64) -> Cell {
        let (wrong, teacher) = (0.0, 64);
        let (chosen_on, test) = (vec![chosen], vec![test]);
        Cell { wrong, pruning, share, teacher, alpha, chosen_on, test, teacher_test: vec![0.9] }
    }

    #[test]
    fn the_best_alpha_is_chosen_where_it_is_not_tested() {
        let cells = [
            cell(Pruning::Random, 0.01, 0.0, 0.5, 0.9),
            cell(Pruning::Random, 0.01, 1.0, 0.6, 0.7),
            cell(Pruning::Random, 1.0, 0.0, 0.8, 0.8),
            cell(Pruning::Random, 1.0, 1.0, 0.8, 0.85),
        ];
        let found = claims(&cells);
        assert_eq!((found[0].measured, found[0].passed), (1.0, true));
        assert!(!found[1].passed, "nothing was measured, and so no bar is met");
        let of = Cells(&cells);
        assert!((of.best_test(Which { share: 0.01, ..CLEAN }) - 70.0).abs() < 1e-9);
    }
}
