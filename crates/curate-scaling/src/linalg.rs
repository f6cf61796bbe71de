//! Dense symmetric algebra for a handful of parameters.

/// A square matrix, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Square {
    pub(crate) size: usize,
    pub(crate) cells: Vec<f64>,
}

impl Square {
    pub(crate) fn zeros(size: usize) -> Self {
        Square { size, cells: vec![0.0; size * size] }
    }

    pub(crate) fn at(&self, i: usize, j: usize) -> f64 {
        self.cells[i * self.size + j]
    }

    pub(crate) fn set(&mut self, i: usize, j: usize, value: f64) {
        self.cells[i * self.size + j] = value;
    }

    /// Adds `weight x x'` to the lower triangle.
    pub(crate) fn add_outer(&mut self, x: &[f64], weight: f64) {
        for (i, &xi) in x.iter().enumerate() {
            let scaled = weight * xi;
            if scaled != 0.0 {
                let row = &mut self.cells[i * self.size..i * self.size + i + 1];
                row.iter_mut().zip(x).for_each(|(cell, xj)| *cell += scaled * xj);
            }
        }
    }

    /// Copies the lower triangle to the upper.
    pub(crate) fn mirror(&mut self) {
        for i in 0..self.size {
            for j in 0..i {
                self.set(j, i, self.at(i, j));
            }
        }
    }

    /// Replaces the lower triangle by its Cholesky factor; `false` if not positive definite.
    pub(crate) fn factor(&mut self) -> bool {
        let n = self.size;
        for i in 0..n {
            for j in 0..=i {
                let (head_i, head_j) =
                    (&self.cells[i * n..i * n + j], &self.cells[j * n..j * n + j]);
                let dot: f64 = head_i.iter().zip(head_j).map(|(a, b)| a * b).sum();
                let rest = self.at(i, j) - dot;
                if i == j && rest <= 0.0 || rest.is_nan() {
                    return false;
                }
                self.set(i, j, if i == j { rest.sqrt() } else { rest / self.at(j, j) });
            }
        }
        true
    }

    /// Solves `L L' x = b` in place, `self` holding the factor `L`.
    pub(crate) fn solve_factored(&self, b: &mut [f64]) {
        let n = self.size;
        for i in 0..n {
            let known: f64 = (0..i).map(|j| self.at(i, j) * b[j]).sum();
            b[i] = (b[i] - known) / self.at(i, i);
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|j| self.at(j, i) * b[j]).sum();
            b[i] = (b[i] - known) / self.at(i, i);
        }
    }

    /// `x' M y`.
    pub(crate) fn form(&self, x: &[f64], y: &[f64]) -> f64 {
        let row = |i: usize| -> f64 { (0..self.size).map(|j| self.at(i, j) * y[j]).sum() };
        x.iter().enumerate().map(|(i, xi)| xi * row(i)).sum()
    }

    /// Eigenvalues and unit eigenvectors (`vectors[k]` belongs to `values[k]`) by Jacobi rotations.
    pub(crate) fn eigen(&self) -> (Vec<f64>, Vec<Vec<f64>>) {
        let n = self.size;
        let mut a = self.clone();
        let mut vectors: Vec<Vec<f64>> =
            (0..n).map(|k| (0..n).map(|i| f64::from(u8::from(i == k))).collect()).collect();
        for _ in 0..60 {
            for p in 0..n {
                for q in p + 1..n {
                    a.rotate(p, q, &mut vectors);
                }
            }
        }
        ((0..n).map(|k| a.at(k, k)).collect(), vectors)
    }

    /// One Jacobi rotation that clears cell `(p, q)`.
    fn rotate(&mut self, p: usize, q: usize, vectors: &mut [Vec<f64>]) {
        let off = self.at(p, q);
        if off == 0.0 {
            return;
        }
        let theta = (self.at(q, q) - self.at(p, p)) / (2.0 * off);
        let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
        let t = if theta == 0.0 { 1.0 } else { t };
        let c = 1.0 / t.hypot(1.0);
        let s = t * c;
        for k in 0..self.size {
            let (kp, kq) = (self.at(k, p), self.at(k, q));
            self.set(k, p, c * kp - s * kq);
            self.set(k, q, s * kp + c * kq);
        }
        for k in 0..self.size {
            let (pk, qk) = (self.at(p, k), self.at(q, k));
            self.set(p, k, c * pk - s * qk);
            self.set(q, k, s * pk + c * qk);
        }
        let (head, tail) = vectors.split_at_mut(q);
        for (vp, vq) in head[p].iter_mut().zip(&mut tail[0]) {
            (*vp, *vq) = (c * *vp - s * *vq, s * *vp + c * *vq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Square {
        Square { size: 3, cells: vec![4.0, 2.0, 0.0, 2.0, 5.0, 1.0, 0.0, 1.0, 3.0] }
    }

    #[test]
    fn cholesky_solves() {
        let mut factor = example();
        assert!(factor.factor());
        let mut x = [8.0, 15.0, 11.0];
        factor.solve_factored(&mut x);
        for (got, want) in x.iter().zip([1.0, 2.0, 3.0]) {
            assert!((got - want).abs() < 1e-14);
        }
        let mut indefinite = Square { size: 2, cells: vec![1.0, 2.0, 2.0, 1.0] };
        assert!(!indefinite.factor());
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        let matrix = example();
        let (values, vectors) = matrix.eigen();
        for i in 0..3 {
            for j in 0..3 {
                let cell: f64 = (0..3).map(|k| values[k] * vectors[k][i] * vectors[k][j]).sum();
                assert!((cell - matrix.at(i, j)).abs() < 1e-13);
            }
        }
    }
}
