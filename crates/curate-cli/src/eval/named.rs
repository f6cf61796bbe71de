//! Names that the user gave, or that follow from the files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use curate::{
    core::SampleId,
    io::{IoError, Kind, Pool, PoolOptions},
    pipeline::compare::selected,
};

use crate::{failure::Failure, progress::Shown, values::plain_name};

/// Each selection's name and ids.
pub(crate) fn selections(given: &[String]) -> Result<Vec<(String, Vec<SampleId>)>, Failure> {
    given.iter().map(|text| selection(text)).collect()
}

fn selection(text: &str) -> Result<(String, Vec<SampleId>), Failure> {
    let (name, path) = named(text, "selection")?;
    Ok((name, selected(&path)?))
}

/// The name and path of `NAME=PATH`, or of a path alone.
pub(super) fn named(text: &str, what: &str) -> Result<(String, PathBuf), Failure> {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) if !Path::new(text).exists() => (Some(name), PathBuf::from(path)),
        _ => (None, PathBuf::from(text)),
    };
    let name = match name {
        Some(name) => name.to_owned(),
        None => name_of(&path)?,
    };
    let name = plain_name(&name).map_err(|problem| {
        Failure::Usage(format!("the {what} `{text}`: its name {problem}; give NAME=PATH"))
    })?;
    Ok((name, path))
}

/// A folder's name; a file's without its ending, but of `subset.npy` its folder's.
pub(crate) fn name_of(path: &Path) -> Result<String, Failure> {
    let whole = std::path::absolute(path).map_err(|e| IoError::os(path, "read", e))?;
    let stem = if path.is_dir() { whole.file_name() } else { whole.file_stem() };
    let named = match stem {
        Some(stem) if stem == "subset" && !path.is_dir() => {
            whole.parent().and_then(Path::file_name).or(Some(stem))
        }
        stem => stem,
    };
    Ok(named.unwrap_or_default().to_string_lossy().into_owned())
}

/// The names of the embeddings of images and texts. A model that learns labels needs no texts.
pub(crate) fn embeddings(
    pool: &Pool,
    (images, texts): (Option<&String>, Option<&String>),
    learns_labels: bool,
) -> Result<(String, String), Failure> {
    let there = pool.embedding_names()?;
    let texts_of = |images: &str| -> Option<String> {
        let texts = format!("{}txt", images.strip_suffix("img")?);
        (learns_labels || there.contains(&texts)).then_some(texts)
    };
    let images = match (images, texts) {
        (Some(images), _) => images.clone(),
        (None, Some(texts)) => match texts.strip_suffix("txt") {
            Some(name) => format!("{name}img"),
            None => return Err(unclear(pool, &there, learns_labels)),
        },
        (None, None) => {
            let named = |name: &&String| *name == "img" || name.ends_with("_img");
            let found: Vec<&String> =
                there.iter().filter(named).filter(|name| texts_of(name).is_some()).collect();
            match found[..] {
                [one] => one.clone(),
                _ => return Err(unclear(pool, &there, learns_labels)),
            }
        }
    };
    let texts = texts.cloned().or_else(|| texts_of(&images));
    match texts {
        Some(texts) => Ok((images, texts)),
        None => Err(unclear(pool, &there, learns_labels)),
    }
}

fn unclear(pool: &Pool, there: &[String], learns_labels: bool) -> Failure {
    let list = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    let (what, remedy) = match learns_labels {
        true => ("which embedding is of images", "name it with --images"),
        false => {
            ("which embeddings are of images and of texts", "name them with --images and --texts")
        }
    };
    let problem = format!("does not say {what}; it has {list}");
    IoError::new(Kind::NotFound, pool.path(), problem, remedy).into()
}

/// The label of each row of the pool: its own, or those of a table by id.
pub(crate) fn labels(
    pool: &Pool,
    column: &str,
    table: Option<&Path>,
    shown: &Shown,
) -> Result<Vec<Option<String>>, Failure> {
    let Some(table) = table else {
        let labels = pool.labels(column)?;
        return unless_empty(labels, column, pool.path());
    };
    let table = Pool::open(table, PoolOptions::default(), shown)?;
    let labels = unless_empty(table.labels(column)?, column, table.path())?;
    let mut by_id: BTreeMap<SampleId, String> = BTreeMap::new();
    for (&id, label) in table.ids().iter().zip(labels) {
        let Some(label) = label else { continue };
        if let Some(other) = by_id.get(&id).filter(|other| **other != label) {
            let problem = format!("gives {id} the labels `{other}` and `{label}`");
            let remedy = "leave one label for each id";
            return Err(IoError::new(Kind::Malformed, table.path(), problem, remedy).into());
        }
        by_id.insert(id, label);
    }
    let labels: Vec<Option<String>> = pool.ids().iter().map(|id| by_id.get(id).cloned()).collect();
    if labels.iter().all(Option::is_none) {
        let problem =
            format!("has a label for none of the {} ids of {}", pool.len(), pool.path().display());
        let remedy = "name the table of this pool with --labels-from";
        return Err(IoError::new(Kind::Disagree, table.path(), problem, remedy).into());
    }
    Ok(labels)
}

fn unless_empty(
    labels: Vec<Option<String>>,
    column: &str,
    path: &Path,
) -> Result<Vec<Option<String>>, Failure> {
    if labels.iter().flatten().any(|label| !label.is_empty()) {
        return Ok(labels);
    }
    let problem = format!("no sample has a label in `{column}`");
    let remedy = "name another column with --labels; `curate inspect` lists them";
    Err(IoError::new(Kind::NotFound, path, problem, remedy).into())
}
