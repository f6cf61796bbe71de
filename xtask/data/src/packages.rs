//! The pinned packages: fetched by their ordinary clients, accepted only with the right digest.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::digest;

const TABLE: &str = include_str!("../packages.toml");

/// The program that knows where a package lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Client {
    Npm,
    Apt,
    Pip,
}

/// One line of `packages.toml`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) client: Client,
    pub(crate) file: String,
    pub(crate) sha256: String,
}

#[derive(Deserialize)]
struct Table {
    package: Vec<Package>,
}

/// The packages in a folder, each checked before it is handed out.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    packages: Vec<Package>,
}

impl Store {
    /// Reads the committed table and makes the folder.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the download folder {}", folder.display()))?;
        let table: Table =
            toml::from_str(TABLE).context("xtask/data/packages.toml is not valid")?;
        Ok(Self { folder: folder.to_owned(), packages: table.package })
    }

    /// Every line of the table.
    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The table's line for a package.
    pub(crate) fn package(&self, name: &str) -> Result<&Package> {
        self.packages
            .iter()
            .find(|p| p.name == name)
            .with_context(|| format!("{name} is not in xtask/data/packages.toml: add it there"))
    }

    /// The package's file, fetched if it is not there yet; refused if its digest is wrong.
    pub(crate) fn file(&self, name: &str) -> Result<PathBuf> {
        let package = self.package(name)?;
        let path = self.folder.join(&package.file);
        if !path.exists() {
            fetch(package, &self.folder)?;
        }
        verify(package, &path)?;
        Ok(path)
    }
}

fn fetch(package: &Package, folder: &Path) -> Result<()> {
    let mut command = client_command(package);
    let status = command.current_dir(folder).status().with_context(|| {
        format!("cannot start {:?} for {}: install it", command.get_program(), package.name)
    })?;
    if !status.success() {
        bail!(
            "{:?} could not fetch {} {} ({status}); fetch it by hand into {}",
            command.get_program(),
            package.name,
            package.version,
            folder.display(),
        );
    }
    Ok(())
}

fn client_command(package: &Package) -> Command {
    let (program, arguments) = match package.client {
        Client::Npm => ("npm", vec!["pack".into(), "--silent".into(), at(package, "@")]),
        Client::Apt => ("apt-get", vec!["download".into(), at(package, "=")]),
        Client::Pip => (
            "pip",
            vec!["download".into(), "--no-deps".into(), "--quiet".into(), at(package, "==")],
        ),
    };
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn at(package: &Package, separator: &str) -> String {
    format!("{}{separator}{}", package.name, package.version)
}

fn verify(package: &Package, path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| {
        format!("{} {} left no file {}", package.name, package.version, path.display())
    })?;
    let found = digest::hex(&bytes);
    ensure!(
        found == package.sha256,
        "{} has sha256 {found}, but xtask/data/packages.toml pins {}; delete the file to fetch it again",
        path.display(),
        package.sha256,
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_package_once_with_a_full_digest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut names: Vec<_> = store.packages.iter().map(|p| &p.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), store.packages.len());
        assert!(store.packages.iter().all(|p| p.sha256.len() == 64));
    }

    #[test]
    fn a_wrong_digest_is_refused_with_the_file_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let package = store.package("foolbox").unwrap();
        std::fs::write(folder.path().join(&package.file), b"not a wheel").unwrap();
        let message = store.file("foolbox").unwrap_err().to_string();
        assert!(
            message.contains(&package.file) && message.contains("delete the file"),
            "{message}"
        );
    }
}
