//! Little-endian fields of a file whose length is known, so that nothing is allocated for a
//! declared size that the file cannot hold.

use std::io::{BufRead, Read};

/// A field of a model file that is missing, impossible, or in conflict with another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}` {problem}")]
pub struct FormatError {
    /// The field, by its name in fastText's source code.
    pub field: &'static str,
    /// What is wrong with it: what was expected, and what was found.
    pub problem: String,
}

impl FormatError {
    pub(super) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

pub(super) struct Source<R> {
    inner: R,
    left: u64,
}

impl<R: BufRead> Source<R> {
    pub(super) fn new(inner: R, length: u64) -> Self {
        Self { inner, left: length }
    }

    /// Refuses a count of items of at least `size` bytes that the rest of the file cannot hold.
    pub(super) fn expect_room(
        &self,
        field: &'static str,
        count: u64,
        size: u64,
    ) -> Result<(), FormatError> {
        if count.checked_mul(size).is_some_and(|needed| needed <= self.left) {
            return Ok(());
        }
        let problem = format!("declares {count} items, but only {} bytes are left", self.left);
        Err(FormatError::new(field, problem))
    }

    fn fill(&mut self, field: &'static str, buffer: &mut [u8]) -> Result<(), FormatError> {
        if self.left < buffer.len() as u64 {
            return Err(FormatError::new(field, "is cut off: the file ends here"));
        }
        self.inner.read_exact(buffer).map_err(|e| unreadable(field, &e))?;
        self.left -= buffer.len() as u64;
        Ok(())
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FormatError> {
        let mut bytes = [0; N];
        self.fill(field, &mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self, field: &'static str) -> Result<u8, FormatError> {
        Ok(self.array::<1>(field)?[0])
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, FormatError> {
        match self.byte(field)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(FormatError::new(field, format!("must be 0 or 1, found {other}"))),
        }
    }

    pub(super) fn i32(&mut self, field: &'static str) -> Result<i32, FormatError> {
        Ok(i32::from_le_bytes(self.array(field)?))
    }

    pub(super) fn i64(&mut self, field: &'static str) -> Result<i64, FormatError> {
        Ok(i64::from_le_bytes(self.array(field)?))
    }

    pub(super) fn skip_f64(&mut self, field: &'static str) -> Result<(), FormatError> {
        self.array::<8>(field).map(|_| ())
    }

    /// A 32-bit size, 0 or more.
    pub(super) fn size32(&mut self, field: &'static str) -> Result<usize, FormatError> {
        let value = self.i32(field)?;
        usize::try_from(value).map_err(|_| negative(field, value.into()))
    }

    /// A 64-bit size, 0 or more.
    pub(super) fn size64(&mut self, field: &'static str) -> Result<usize, FormatError> {
        let value = self.i64(field)?;
        usize::try_from(value).map_err(|_| negative(field, value))
    }

    pub(super) fn bytes(
        &mut self,
        field: &'static str,
        count: usize,
    ) -> Result<Vec<u8>, FormatError> {
        self.expect_room(field, count as u64, 1)?;
        let mut bytes = vec![0; count];
        self.fill(field, &mut bytes)?;
        Ok(bytes)
    }

    /// `count` floats, none of them NaN or infinite.
    pub(super) fn floats(
        &mut self,
        field: &'static str,
        count: usize,
    ) -> Result<Vec<f32>, FormatError> {
        self.expect_room(field, count as u64, 4)?;
        let mut floats = Vec::with_capacity(count);
        let mut chunk = [0; 4096];
        while floats.len() < count {
            let size = chunk.len().min((count - floats.len()) * 4);
            self.fill(field, &mut chunk[..size])?;
            let values = chunk[..size].chunks_exact(4);
            floats.extend(values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        match floats.iter().position(|value| !value.is_finite()) {
            None => Ok(floats),
            Some(at) => {
                let problem = format!("holds {} at position {at}: not a finite number", floats[at]);
                Err(FormatError::new(field, problem))
            }
        }
    }

    /// The bytes up to a zero byte, which is taken too.
    pub(super) fn zero_ended(&mut self, field: &'static str) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::new();
        let mut limited = Read::take(&mut self.inner, self.left);
        limited.read_until(0, &mut bytes).map_err(|e| unreadable(field, &e))?;
        self.left -= bytes.len() as u64;
        match bytes.pop() {
            Some(0) => Ok(bytes),
            _ => Err(FormatError::new(field, "has no end: the file ends before its zero byte")),
        }
    }
}

fn negative(field: &'static str, value: i64) -> FormatError {
    FormatError::new(field, format!("must be 0 or more, found {value}"))
}

fn unreadable(field: &'static str, error: &std::io::Error) -> FormatError {
    FormatError::new(field, format!("cannot be read: {error}"))
}
