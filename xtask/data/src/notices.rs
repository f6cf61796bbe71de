//! The licence texts and notices that travel with the bundle, out of the packages themselves.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::archive;
use crate::layout::Manifest;
use crate::packages::Store;

/// Full texts that the packages name but do not carry.
const TEXTS: [(&str, &str); 2] = [
    ("Apache-2.0.txt", include_str!("../licenses/Apache-2.0.txt")),
    ("CC0-1.0.txt", include_str!("../licenses/CC0-1.0.txt")),
];

/// Notices by package: member and the file it becomes.
const NOTICES: [(&str, &str, &str); 6] = [
    ("emoji-datasource-google", "LICENSE", "emoji-datasource-google.txt"),
    ("emojibase-data", "LICENSE", "emojibase-data.txt"),
    ("lucide-static", "LICENSE", "lucide.txt"),
    ("@tabler/icons", "LICENSE", "tabler.txt"),
    ("@phosphor-icons/core", "LICENSE", "phosphor.txt"),
    ("openclipart-svg", "usr/share/doc/openclipart-svg/copyright", "openclipart.txt"),
];

/// Sets of `@iconify/json` in the bundle that come without a package of their own.
const SETS: [&str; 5] = ["noto", "noto-v1", "fluent-emoji-flat", "healthicons", "pinhead"];

/// Writes everything the sources in the manifest need into `folder`.
pub(crate) fn write(store: &Store, folder: &Path, manifest: &Manifest) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    for (name, text) in TEXTS {
        put(folder, name, text.as_bytes())?;
    }
    for (package, member, file) in NOTICES {
        let members = archive::read(&store.file(package)?, |path| path == member)?;
        put(folder, file, members.get(member)?)?;
    }
    put(folder, "icon-sets.txt", sets(store, manifest)?.as_bytes())
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// One paragraph a set, from what `@iconify/json` says about it.
fn sets(store: &Store, manifest: &Manifest) -> Result<String> {
    let path = "collections.json";
    let members = archive::read(&store.file("@iconify/json")?, |p| p == path)?;
    let collections: Value = members.json(path)?;
    let version = &store.package("@iconify/json")?.version;
    let mut text = format!("Icon sets taken from @iconify/json {version}\n");
    for set in SETS {
        if !manifest.sources.keys().any(|source| source[3..] == *set) {
            continue;
        }
        let about = &collections[set];
        let field = |a: &str, b: &str| about[a][b].as_str().unwrap_or_default().to_owned();
        text.push_str(&format!(
            "\n{} ({set})\nCopyright {} ({})\nLicence: {} ({})\n",
            about["name"].as_str().unwrap_or(set),
            field("author", "name"),
            field("author", "url"),
            field("license", "spdx"),
            field("license", "url"),
        ));
    }
    text.push_str("\nThe text of the MIT licence, under which the sets marked MIT stand:\n\n");
    text.push_str(MIT);
    Ok(text)
}

const MIT: &str = include_str!("../licenses/MIT.txt");
