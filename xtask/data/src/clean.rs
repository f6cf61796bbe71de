//! `clean`: the pairs that the demonstration's filter network is trained on.
//!
//! Curated packages whose pictures the bundle does not hold, under licences that ask for no more
//! than their notice, with the packages' own captions: nothing planted, no file names, no
//! boilerplate, no brands. The same thing may be in the bundle as another artist drew it.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use rayon::prelude::*;

use crate::{
    bundle,
    captions::{self, Caption, Kind},
    packages::Store,
    render,
    row::Sample,
    shard::{self, Style},
    sources::{self, Item, is_permissive},
};

/// Sets of companies' marks, which no category says of them.
const BRANDS: [&str; 4] = ["ic-devicon", "ic-logos", "ic-skill-icons", "ic-vscode-icons"];
const ROWS_A_SHARD: usize = 5000;

pub(crate) fn run(out: &Path, downloads: &Path) -> Result<()> {
    let items = sources::collect(&Store::open(downloads)?)?;
    let captions = captions::natural(&items);
    let chosen: Vec<_> = items.into_iter().zip(captions).filter(is_clean).collect();
    let samples = chosen.into_par_iter().map(|((uid, item), caption)| {
        let name = format!("{}/{}", item.source, item.name);
        let picture = render::render(&item.art).context(name)?;
        Ok(Sample::new(uid, item, caption, picture))
    });
    let mut samples = samples.collect::<Result<Vec<_>>>()?;
    samples.retain(|sample| sample.row.std > 0.0);
    if out.exists() {
        std::fs::remove_dir_all(out)
            .with_context(|| format!("cannot replace {}", out.display()))?;
    }
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for (index, samples) in samples.chunks(ROWS_A_SHARD).enumerate() {
        shard::write(out, index, samples, Style::Full)?;
    }
    let mut sources: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for sample in &samples {
        *sources.entry((&sample.row.source, &sample.row.license)).or_default() += 1;
    }
    for ((source, license), rows) in &sources {
        println!("{rows:>8}  {source} ({license})");
    }
    println!("{:>8}  rows in {}", samples.len(), out.display());
    Ok(())
}

fn is_clean(((_, item), caption): &((String, Item), Caption)) -> bool {
    caption.kind == Kind::Original
        && is_permissive(&item.license)
        && !bundle::holds(&item.source)
        && !BRANDS.contains(&item.source.as_str())
        && !bundle::is_brand(&item.category, &item.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captions::tests::item;

    #[test]
    fn only_own_words_of_permissive_sources_outside_the_bundle_are_clean() {
        let clean = |change: &dyn Fn(&mut Item, &mut Caption)| {
            let (uid, mut item) = item("cat", None);
            item.source = "ic-mdi".into();
            let mut caption = captions::natural(&[(uid.clone(), item.clone())]).remove(0);
            change(&mut item, &mut caption);
            is_clean(&((uid, item), caption))
        };
        assert!(clean(&|_, _| {}));
        assert!(!clean(&|_, caption| caption.kind = Kind::Filename));
        assert!(!clean(&|item, _| item.source = "ic-tabler".into()));
        assert!(!clean(&|item, _| item.source = "ic-devicon".into()));
        assert!(!clean(&|item, _| item.license = "CC-BY-4.0".into()));
        assert!(!clean(&|item, _| item.name = "cat-logo".into()));
    }
}
