//! The two matrices of a model, dense or quantized.

use super::codebook::Codebook;
use super::source::{FormatError, Source};
use std::io::BufRead;

/// The names of a matrix's fields in errors.
pub(super) struct Names {
    pub(super) rows: &'static str,
    pub(super) columns: &'static str,
    pub(super) data: &'static str,
    pub(super) codes: &'static str,
}

pub(super) const INPUT: Names =
    Names { rows: "input.m", columns: "input.n", data: "input.data", codes: "input.codes" };
pub(super) const OUTPUT: Names =
    Names { rows: "output.m", columns: "output.n", data: "output.data", codes: "output.codes" };

pub(super) struct Matrix {
    pub(super) rows: usize,
    dim: usize,
    values: Values,
}

enum Values {
    Dense(Vec<f32>),
    Quantized { codebook: Codebook, codes: Vec<u8>, norms: Option<Norms> },
}

/// The lengths of quantized rows. `quantize -qnorm` takes them off the rows before it quantizes
/// them, and stores them as codes of a codebook of dimension 1.
struct Norms {
    codes: Vec<u8>,
    codebook: Codebook,
}

impl Norms {
    fn of(&self, row: usize) -> f32 {
        self.codebook.centroid(0, self.codes[row])[0]
    }
}

impl Matrix {
    /// A matrix of `dim` columns as floats, row by row.
    pub(super) fn read_dense<R: BufRead>(
        source: &mut Source<R>,
        dim: usize,
        names: &Names,
    ) -> Result<Self, FormatError> {
        let rows = read_shape(source, dim, names)?;
        source.expect_room(names.rows, rows as u64, 4 * dim as u64)?;
        let values = source.floats(names.data, rows * dim)?;
        Ok(Self { rows, dim, values: Values::Dense(values) })
    }

    /// A matrix of `dim` columns as codes.
    pub(super) fn read_quantized<R: BufRead>(
        source: &mut Source<R>,
        dim: usize,
        names: &Names,
    ) -> Result<Self, FormatError> {
        let has_norms = source.flag("quantizer.qnorm")?;
        let rows = read_shape(source, dim, names)?;
        let code_size = source.size32(names.codes)?;
        let codes = source.bytes(names.codes, code_size)?;
        let codebook = Codebook::read(source, dim)?;
        if rows.checked_mul(codebook.parts) != Some(codes.len()) {
            let problem =
                format!("must be {rows} rows of {} bytes, found {code_size}", codebook.parts);
            return Err(FormatError::new(names.codes, problem));
        }
        let norms = if has_norms { Some(read_norms(source, rows)?) } else { None };
        Ok(Self { rows, dim, values: Values::Quantized { codebook, codes, norms } })
    }

    /// Adds a row to `sum`.
    pub(super) fn add_row(&self, row: usize, sum: &mut [f32]) {
        match &self.values {
            Values::Dense(values) => {
                let row = &values[row * self.dim..][..self.dim];
                sum.iter_mut().zip(row).for_each(|(total, value)| *total += value);
            }
            Values::Quantized { codebook, codes, norms } => {
                let codes = &codes[row * codebook.parts..][..codebook.parts];
                codebook.add(codes, norms.as_ref().map_or(1.0, |norms| norms.of(row)), sum);
            }
        }
    }

    /// The inner product of a row with `vector`, summed in element order as fastText does. Several
    /// partial sums would be faster and give other last bits.
    pub(super) fn dot(&self, row: usize, vector: &[f32]) -> f32 {
        match &self.values {
            Values::Dense(values) => {
                let row = &values[row * self.dim..][..self.dim];
                sum_products(row.iter().copied(), vector)
            }
            Values::Quantized { codebook, codes, norms } => {
                let codes = &codes[row * codebook.parts..][..codebook.parts];
                let factor = norms.as_ref().map_or(1.0, |norms| norms.of(row));
                sum_products(codebook.decode(codes), vector) * factor
            }
        }
    }
}

fn sum_products(row: impl Iterator<Item = f32>, vector: &[f32]) -> f32 {
    row.zip(vector).fold(0.0, |sum, (a, b)| sum + a * b)
}

fn read_shape<R: BufRead>(
    source: &mut Source<R>,
    dim: usize,
    names: &Names,
) -> Result<usize, FormatError> {
    let rows = source.size64(names.rows)?;
    let columns = source.size64(names.columns)?;
    if columns != dim {
        let problem = format!("must be the dimension {dim}, found {columns}");
        return Err(FormatError::new(names.columns, problem));
    }
    Ok(rows)
}

fn read_norms<R: BufRead>(source: &mut Source<R>, rows: usize) -> Result<Norms, FormatError> {
    let codes = source.bytes("quantizer.norm_codes", rows)?;
    let codebook = Codebook::read(source, 1)?;
    Ok(Norms { codes, codebook })
}
