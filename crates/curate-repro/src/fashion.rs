//! Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747; MIT): 60,000 and 10,000 pictures of 28 x 28
//! gray pixels in ten classes of clothes, as Debian's package `dataset-fashion-mnist` installs them.

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use ndarray::Array2;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Classes of pictures.
pub const CLASSES: usize = 10;
/// The side of a picture in pixels.
pub const SIDE: usize = 28;
/// Where another folder than Debian's is named.
const VARIABLE: &str = "FASHION_MNIST";
const DEBIAN: &str = "/usr/share/datasets/fashion-mnist";

/// The folder with the four files: that of the environment's `FASHION_MNIST`, or Debian's.
pub fn folder() -> PathBuf {
    std::env::var_os(VARIABLE).map_or_else(|| DEBIAN.into(), PathBuf::from)
}

/// Pictures and their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Labeled {
    /// Pixels from 0 to 1, one picture a row, `n x 784`.
    pub pixels: Array2<f32>,
    /// The class of each picture.
    pub class: Vec<usize>,
}

/// Both parts of the dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct FashionMnist {
    /// 60,000 pictures.
    pub train: Labeled,
    /// 10,000 pictures.
    pub test: Labeled,
}

impl FashionMnist {
    /// Reads the four IDX files of a folder.
    ///
    /// # Errors
    /// A file that is missing or is not what its name says.
    pub fn read(folder: &Path) -> Result<Self> {
        Ok(Self { train: labeled(folder, "train")?, test: labeled(folder, "t10k")? })
    }
}

fn labeled(folder: &Path, part: &str) -> Result<Labeled> {
    let (shape, pixels) = idx(&folder.join(format!("{part}-images-idx3-ubyte.gz")))?;
    let (labels, class) = idx(&folder.join(format!("{part}-labels-idx1-ubyte.gz")))?;
    ensure!(shape[1..] == [SIDE, SIDE], "pictures of {shape:?} are not of {SIDE} x {SIDE} pixels");
    ensure!(labels == shape[..1], "{} pictures, but labels of shape {labels:?}", shape[0]);
    let pixels = pixels.into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
    let pixels = Array2::from_shape_vec((shape[0], SIDE * SIDE), pixels)?;
    Ok(Labeled { pixels, class: class.into_iter().map(usize::from).collect() })
}

/// Shape and bytes of a gzipped IDX file: 0, 0, the type 8 (bytes), the number of dimensions, each
/// as a big-endian `u32`, and the bytes.
fn idx(path: &Path) -> Result<(Vec<usize>, Vec<u8>)> {
    let read = || -> Result<(Vec<usize>, Vec<u8>)> {
        let mut bytes = Vec::new();
        GzDecoder::new(File::open(path)?).read_to_end(&mut bytes)?;
        let [0, 0, 8, dimensions, rest @ ..] = &bytes[..] else {
            anyhow::bail!("not an IDX file of bytes");
        };
        let (sizes, _) = rest.as_chunks::<4>();
        let sizes = sizes.get(..usize::from(*dimensions)).context("cut off")?;
        let shape: Vec<usize> =
            sizes.iter().map(|size| u32::from_be_bytes(*size) as usize).collect();
        let values = rest[4 * shape.len()..].to_vec();
        ensure!(
            values.len() == shape.iter().product::<usize>(),
            "{} bytes for {shape:?}",
            values.len()
        );
        Ok((shape, values))
    };
    read().with_context(|| {
        format!(
            "{}: install Debian's dataset-fashion-mnist, or name its folder in {VARIABLE}",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = GzEncoder::new(File::create(folder.join(name))?, Compression::fast());
        file.write_all(bytes)?;
        Ok(file.finish().map(drop)?)
    }

    #[test]
    fn pictures_and_classes_are_read_and_damage_is_named() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut pictures = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28];
        pictures.extend(vec![0; SIDE * SIDE]);
        pictures.extend(vec![51; SIDE * SIDE]);
        for part in ["train", "t10k"] {
            put(folder.path(), &format!("{part}-images-idx3-ubyte.gz"), &pictures)?;
            put(
                folder.path(),
                &format!("{part}-labels-idx1-ubyte.gz"),
                &[0, 0, 8, 1, 0, 0, 0, 2, 9, 4],
            )?;
        }
        let found = FashionMnist::read(folder.path())?;
        assert_eq!(found.train.class, [9, 4]);
        assert_eq!((found.test.pixels[[0, 783]], found.test.pixels[[1, 0]]), (0.0, 0.2));

        put(folder.path(), "t10k-labels-idx1-ubyte.gz", &[0, 0, 8, 1, 0, 0, 0, 3, 9, 4])?;
        let error = format!("{:#}", FashionMnist::read(folder.path()).unwrap_err());
        assert!(error.contains("t10k-labels") && error.contains("2 bytes for [3]"), "{error}");
        let error = format!("{:#}", FashionMnist::read(Path::new("no/such")).unwrap_err());
        assert!(
            error.contains("dataset-fashion-mnist") && error.contains("FASHION_MNIST"),
            "{error}"
        );
        Ok(())
    }
}
