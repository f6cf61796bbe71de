//! NumPy's `.npz`: stored members of half-precision rows.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::features::Features;

/// Writes members in the given order, with no date: the bytes depend on the numbers only.
pub(crate) fn write(path: &Path, members: &[(&str, Features)]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut archive = ZipWriter::new(BufWriter::new(file));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default());
    for (name, features) in members {
        archive.start_file(format!("{name}.npy"), options)?;
        archive.write_all(&header(features))?;
        archive.write_all(&features.bytes())?;
    }
    archive.finish()?.flush().with_context(|| format!("cannot write {}", path.display()))
}

/// Reads one member back.
pub(crate) fn read(path: &Path, name: &str) -> Result<Features> {
    let context = || format!("cannot read {name} of {}: build the pool again", path.display());
    let mut archive = ZipArchive::new(BufReader::new(File::open(path).with_context(context)?))
        .with_context(context)?;
    let mut bytes = Vec::new();
    archive.by_name(&format!("{name}.npy")).with_context(context)?.read_to_end(&mut bytes)?;
    parse(&bytes).with_context(context)
}

/// The header of version 1.0, padded so that the numbers start at a multiple of 64.
fn header(features: &Features) -> Vec<u8> {
    let rows = features.data.len() / features.width;
    let mut text = format!(
        "{{'descr': '<f2', 'fortran_order': False, 'shape': ({rows}, {}), }}",
        features.width
    );
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let length = u16::try_from(text.len()).expect("the header has a few dozen characters");
    [b"\x93NUMPY\x01\x00".as_slice(), &length.to_le_bytes(), text.as_bytes()].concat()
}

fn parse(bytes: &[u8]) -> Result<Features> {
    ensure!(
        bytes.len() > 10 && bytes.starts_with(b"\x93NUMPY\x01\x00"),
        "not a .npy of version 1.0"
    );
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(bytes.get(10..start).context("a short header")?)?;
    ensure!(text.contains("'<f2'") && text.contains("False"), "not half-precision rows: {text}");
    let shape = text.split(['(', ')']).nth(1).context("a header without shape")?;
    let width = shape.split(',').nth(1).context("not two-dimensional")?.trim().parse()?;
    Ok(Features::from_bytes(width, &bytes[start..]))
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    #[test]
    fn members_come_back_and_the_bytes_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let numbers = |width: usize| Features {
            width,
            data: (0..width * 3).map(|i| f16::from_f32(i as f32 / 8.0)).collect(),
        };
        let members = [("img", numbers(4)), ("txt", numbers(2))];
        let (first, second) = (folder.path().join("a.npz"), folder.path().join("b.npz"));
        write(&first, &members).unwrap();
        write(&second, &members).unwrap();
        for (name, features) in &members {
            assert_eq!(read(&first, name).unwrap(), *features);
        }
        assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
        assert!(read(&first, "none").unwrap_err().to_string().contains("none"));
    }

    #[test]
    fn numbers_start_on_a_64_byte_boundary() {
        let features = Features { width: 128, data: vec![f16::ZERO; 128 * 5000] };
        assert_eq!(header(&features).len() % 64, 0);
    }
}
