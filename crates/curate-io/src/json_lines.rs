//! JSON lines: a record a line.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
};

use curate_core::json::{self, BadRecord, Record};

use crate::{
    error::{IoError, Kind},
    files,
};

/// No record is longer; a line that is, is damage or an attack.
const LONGEST_LINE: u64 = 16 << 20;

/// Hands every record of a file to `each`, with its number and that of its line, counted from 1; empty
/// lines are none. A line is held at a time, of at most 16 MiB.
///
/// # Errors
/// When the file cannot be read or is UTF-16.
pub fn each_record(
    path: &Path,
    mut each: impl FnMut(usize, u64, Result<Record<'_>, BadRecord>),
) -> Result<(), IoError> {
    try_each_record(path, |row, line, record| {
        each(row, line, record);
        Ok(())
    })
}

/// As [`each_record`], until `each` fails.
///
/// # Errors
/// As [`each_record`], and those of `each`.
pub fn try_each_record(
    path: &Path,
    mut each: impl FnMut(usize, u64, Result<Record<'_>, BadRecord>) -> Result<(), IoError>,
) -> Result<(), IoError> {
    let failed = |e| IoError::os(path, "read", e);
    let mut reader = BufReader::with_capacity(1 << 20, files::open(path)?);
    let (mut line, mut row, mut number) = (Vec::new(), 0, 0_u64);
    loop {
        line.clear();
        (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(failed)?;
        if line.is_empty() {
            return Ok(());
        }
        number += 1;
        if number == 1 && json::is_utf16(&line) {
            let remedy = "save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`";
            return Err(IoError::new(Kind::Unsupported, path, "is UTF-16", remedy));
        }
        if json::without_mark(&line).iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if line.len() as u64 == LONGEST_LINE && line.last() != Some(&b'\n') {
            skip_line(&mut reader).map_err(failed)?;
            each(row, number, Err(BadRecord::TooLong { mib: LONGEST_LINE >> 20 }))?;
        } else {
            each(row, number, Record::parse(&line))?;
        }
        row += 1;
    }
}

/// Goes to the end of a line without holding it.
fn skip_line(reader: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let there = reader.fill_buf()?;
        let end = there.iter().position(|&byte| byte == b'\n');
        let (taken, done) = end.map_or((there.len(), there.is_empty()), |end| (end + 1, true));
        reader.consume(taken);
        if done {
            return Ok(());
        }
    }
}
