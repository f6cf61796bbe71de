//! Reading a few members out of a package without unpacking it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The members that were asked for, by path inside the package.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Symbolic links and their targets as written.
    pub(crate) links: BTreeMap<String, String>,
}

impl Members {
    /// A member that must be there.
    pub(crate) fn get(&self, path: &str) -> Result<&[u8]> {
        match self.files.get(path) {
            Some(bytes) => Ok(bytes),
            None => bail!("the package has no member {path}: is its version the pinned one?"),
        }
    }

    /// A member that must be there and be text.
    pub(crate) fn text(&self, path: &str) -> Result<&str> {
        std::str::from_utf8(self.get(path)?).with_context(|| format!("{path} is not UTF-8"))
    }

    /// A member that must be there and be JSON of the given shape.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        serde_json::from_slice(self.get(path)?).with_context(|| format!("cannot read {path}"))
    }
}

/// Reads the members whose path `keep` accepts; npm's `package/` and Debian's `./` are cut off.
pub(crate) fn read(path: &Path, keep: impl Fn(&str) -> bool) -> Result<Members> {
    let name = path.to_string_lossy();
    let open = || File::open(path).map(BufReader::new);
    let members = if name.ends_with(".tgz") {
        read_tar(flate2::read::GzDecoder::new(open()?), &keep)
    } else if name.ends_with(".deb") {
        read_deb(open()?, &keep)
    } else if name.ends_with(".whl") {
        read_zip(open()?, &keep)
    } else {
        bail!("{name} is none of .tgz, .deb, .whl");
    };
    members.with_context(|| format!("cannot read {name}; delete it to fetch it again"))
}

fn read_tar(reader: impl Read, keep: &impl Fn(&str) -> bool) -> Result<Members> {
    let mut members = Members::default();
    for entry in tar::Archive::new(reader).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let path = path.trim_start_matches("./").trim_start_matches("package/").to_owned();
        if !keep(&path) {
            continue;
        }
        if let Some(target) = entry.link_name()? {
            members.links.insert(path, target.to_string_lossy().into_owned());
        } else {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            members.files.insert(path, bytes);
        }
    }
    Ok(members)
}

fn read_zip(reader: BufReader<File>, keep: &impl Fn(&str) -> bool) -> Result<Members> {
    let mut members = Members::default();
    let mut archive = zip::ZipArchive::new(reader)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let path = entry.name()?.into_owned();
        if keep(&path) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            members.files.insert(path, bytes);
        }
    }
    Ok(members)
}

/// A Debian package is an `ar` archive whose member `data.tar.xz` holds the files.
fn read_deb(mut reader: impl Read, keep: &impl Fn(&str) -> bool) -> Result<Members> {
    let mut magic = [0; 8];
    reader.read_exact(&mut magic)?;
    if &magic != b"!<arch>\n" {
        bail!("not a Debian package");
    }
    loop {
        let mut header = [0; 60];
        reader.read_exact(&mut header).context("no data.tar.xz in the package")?;
        let name = String::from_utf8_lossy(&header[..16]).trim().trim_end_matches('/').to_owned();
        let size: u64 = String::from_utf8_lossy(&header[48..58]).trim().parse()?;
        let mut data = Vec::new();
        // Members are padded to an even length.
        reader.by_ref().take(size + size % 2).read_to_end(&mut data)?;
        if name == "data.tar.xz" {
            return read_tar(lzma_rust2::XzReader::new(Cursor::new(data), true), keep);
        }
    }
}
