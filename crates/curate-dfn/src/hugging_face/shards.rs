//! Which files hold the weights of a `CLIPModel`: one, or those of an index.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use curate_io::{IoError, Kind};
use serde::Deserialize;

/// The file that names those with weights.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// [`INDEX`]; its other key, `metadata`, holds the size of all.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The file to name in errors, and the files with weights. As in `transformers`, one file is
/// preferred to an index.
pub(super) fn of(folder: &Path) -> Result<(PathBuf, Vec<PathBuf>), IoError> {
    let whole = folder.join("model.safetensors");
    let index = folder.join(INDEX);
    if whole.exists() {
        return Ok((whole.clone(), vec![whole]));
    }
    if index.exists() {
        let files = named(&index)?.into_iter().map(|name| folder.join(name)).collect();
        return Ok((index, files));
    }
    match pickled(folder) {
        Some(error) => Err(error),
        None => Err(IoError::os(whole, "read", std::io::ErrorKind::NotFound.into())),
    }
}

/// The names of files in an index, each once.
pub(crate) fn named(index: &Path) -> Result<BTreeSet<String>, IoError> {
    let text = curate_io::files::read(index)?;
    let read: Index = serde_json::from_slice(&text)
        .map_err(|e| IoError::malformed(index, "is not an index of weights").caused_by(e))?;
    let files: BTreeSet<String> = read.weight_map.into_values().collect();
    // Nothing outside the folder is part of the network.
    let outside = |name: &&String| Path::new(name).file_name() != Some(name.as_ref());
    match files.iter().find(outside) {
        Some(name) => {
            let problem = format!("`weight_map` names {name}, which is no file of this folder");
            Err(IoError::malformed(index, problem))
        }
        None => Ok(files),
    }
}

/// The error of a folder that holds its weights as a PyTorch file alone.
pub(crate) fn pickled(folder: &Path) -> Option<IoError> {
    let is_pickle = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        ["pt", "pth"].contains(&kind)
            || name.ends_with("pytorch_model.bin.index.json")
            || (kind == "bin" && name.contains("model"))
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.flatten().map(|e| e.path()).filter(is_pickle).collect();
    files.sort();
    let file = files.into_iter().next()?;
    let remedy = "convert it to safetensors: a pickle can run code of its author";
    Some(IoError::new(Kind::Unsupported, file, "is a PyTorch pickle", remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pickles_and_indices_that_lead_elsewhere_are_refused_by_name() {
        for name in ["pytorch_model.bin", "pytorch_model.bin.index.json", "clip.pt"] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("training_args.bin"), "").unwrap();
            assert!(of(folder.path()).unwrap_err().to_string().contains("model.safetensors"));
            std::fs::write(folder.path().join(name), "").unwrap();
            let error = of(folder.path()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("convert it to safetensors"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("model.safetensors.index.json");
        for name in ["../a.safetensors", "/a.safetensors", ""] {
            let json = format!(r#"{{"weight_map": {{"x": "{name}"}}}}"#);
            std::fs::write(&index, json).unwrap();
            let error = of(folder.path()).unwrap_err().to_string();
            assert!(error.contains("no file of this folder"), "{error}");
        }
    }
}
