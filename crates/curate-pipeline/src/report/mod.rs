//! The report of a run: what a person looks at.

mod concepts;
mod duplicates;
mod score;

use std::collections::BTreeMap;

use curate_core::{Selection, fault::Fault};
use curate_io::Sample;
use curate_report::{
    Card, Column, Fact, Funnel, FunnelStep, Gallery, Group, Image, Note, Removal, Report, Section,
    Table, Tile, Value, Verdict,
};

use crate::{
    Error, StageRows,
    manifest::PoolRecord,
    recipe::{POOL, Stage},
    run::Run,
    stages,
};

/// Quarantined rows shown for each fault.
const QUARANTINED: usize = 6;
/// Larger image files are not put into the report.
const LARGEST_IMAGE: usize = 200_000;

/// Makes the report of a run.
pub(crate) fn of(run: &Run, pool: &PoolRecord) -> Result<Report, Error> {
    let writer = Writer { run };
    let (rows, kept) = (run.pool.len(), run.kept.len());
    let mut report = Report::new(format!("Curation of {}", run.recipe.name));
    report.subtitle = format!(
        "{}, {} stages, curate {}",
        pool.format,
        run.records.len(),
        env!("CARGO_PKG_VERSION")
    );
    report.lead.push(format!(
        "{} rows in, {} kept ({:.1} %). Every removed row has its reason in evidence.parquet.",
        thousands(rows),
        thousands(kept),
        100.0 * kept as f64 / rows.max(1) as f64
    ));
    report.tiles = tiles(run, pool);
    report.notes = notes(run, pool);
    report.sections.push(funnel(run));
    for (index, stage) in run.recipe.stages.iter().enumerate() {
        let (record, rows) = (&run.records[index], &run.rows[index]);
        match stage {
            Stage::Score(_) => report.sections.push(writer.score(index, record, rows)?),
            Stage::SemanticDedup(_) => report.sections.push(writer.duplicates(record, rows)?),
            Stage::ConceptPrune(_) => report.sections.push(writer.concepts(record, rows)?),
            Stage::Threshold(_)
            | Stage::Fraction(_)
            | Stage::Top(_)
            | Stage::Combine(_)
            | Stage::Baseline(_) => {}
        }
    }
    report.sections.extend(writer.categories()?);
    report.sections.push(writer.quarantine()?);
    report.facts = facts(run, pool);
    Ok(report)
}

fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn tiles(run: &Run, pool: &PoolRecord) -> Vec<Tile> {
    let removed = run.pool.len() - run.kept.len();
    let quarantined: usize = quarantined_rows(run).len();
    vec![
        Tile::new("rows in the pool", run.pool.len()).hint(crate::plan::bytes(pool.bytes())),
        Tile::new("kept", run.kept.len()).hint("the subset"),
        Tile::new("removed", removed).hint("each with its reason"),
        Tile::new("quarantined", quarantined).hint("could not be judged"),
    ]
}

fn notes(run: &Run, pool: &PoolRecord) -> Vec<Note> {
    let mut notes: Vec<Note> = pool
        .skipped
        .iter()
        .map(|s| Note::warning(format!("Shard {} was left out: {}.", s.name, s.reason)))
        .collect();
    if run.kept.is_empty() {
        notes
            .push(Note::warning("No row is left. The funnel shows which stage took the last one."));
    }
    for record in &run.records {
        let k_means = record.info.get("k-means");
        if k_means.and_then(|k| k.get("converged")) == Some(&false.into()) {
            let text = "k-means stopped at its last iteration, before it converged; raise `k-means.iterations`";
            notes.push(Note::info(format!("Stage {}: {text}.", record.name)));
        }
        if record.info.get("language") == Some(&"built-in".into()) {
            let text = "languages were named by the built-in identifier of 16 languages; DataComp's \
                        subset needs `language-model`";
            notes.push(Note::info(format!("Stage {}: {text}.", record.name)));
        }
    }
    notes
}

fn facts(run: &Run, pool: &PoolRecord) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("pool", Value::Code(pool.path.display().to_string())),
        Fact::new("pool digest", Value::Code(pool.digest.clone())),
        Fact::new("seed", run.recipe.seed.to_string()),
        Fact::new("version", env!("CARGO_PKG_VERSION")),
    ];
    for record in &run.records {
        facts
            .push(Fact::new(format!("seconds of {}", record.name), Value::Seconds(record.seconds)));
    }
    facts
}

fn funnel(run: &Run) -> Section {
    let mut steps = vec![pool_step(run)];
    for (stage, record) in run.recipe.stages.iter().zip(&run.records) {
        steps.push(FunnelStep {
            stage: record.name.clone(),
            rule: stages::in_words(stage),
            rows_in: record.rows_in as u64,
            rows_out: record.rows_out as u64,
            removed: record.removed.iter().map(|(rule, &rows)| removal(rule, rows)).collect(),
        });
    }
    let funnel = Funnel { unit: "rows".into(), steps, ..Funnel::default() };
    Section::new("Funnel").intro("What each stage was given and what it left.").block(funnel)
}

fn pool_step(run: &Run) -> FunnelStep {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, fault) in run.pool.faults() {
        *counts.entry(fault.name()).or_default() += 1;
    }
    FunnelStep {
        stage: POOL.into(),
        rule: "rows with an id, a caption and an image".into(),
        rows_in: run.pool.len() as u64,
        rows_out: (run.pool.len() - run.pool.faults().len()) as u64,
        removed: counts.into_iter().map(|(rule, rows)| removal(rule, rows)).collect(),
    }
}

fn removal(rule: &str, rows: usize) -> Removal {
    match Fault::named(rule) {
        Some(fault) => Removal::quarantined(fault.in_words(), rows as u64),
        None => Removal::new(rule.replace('-', " "), rows as u64),
    }
}

/// Rows that any stage set aside, with the fault, in row order.
fn quarantined_rows(run: &Run) -> BTreeMap<usize, Fault> {
    let mut found: BTreeMap<usize, Fault> = run.pool.faults().iter().copied().collect();
    for rows in &run.rows {
        for (position, &row) in rows.rows.iter().enumerate() {
            if let Some(fault) = rows.rule(position).and_then(Fault::named) {
                found.entry(row).or_insert(fault);
            }
        }
    }
    found
}

/// Sections that show samples.
struct Writer<'a> {
    run: &'a Run,
}

impl Writer<'_> {
    /// Cards of rows, in order, with the verdict of one stage and a line each.
    fn cards(
        &self,
        rows: &[usize],
        verdict: impl Fn(usize) -> Verdict,
        detail: impl Fn(usize) -> String,
    ) -> Result<Vec<Card>, Error> {
        let pool = &self.run.pool;
        let images = self.run.recipe.output.images;
        let samples = if images { pool.samples_with_images(rows)? } else { pool.samples(rows)? };
        let card = |(&row, sample): (&usize, Sample)| Card {
            image: sample
                .image
                .filter(|bytes| bytes.len() <= LARGEST_IMAGE)
                .and_then(Image::from_bytes),
            caption: sample.caption.unwrap_or_default(),
            id: sample.id.to_string(),
            badges: ["source", "caption_kind"]
                .iter()
                .filter_map(|f| sample.fields.get(*f))
                .cloned()
                .collect(),
            verdict: Some(verdict(row)),
            details: vec![detail(row)],
        };
        Ok(rows.iter().zip(samples).map(card).collect())
    }

    /// What stays of each source and each kind of caption, where the pool says them.
    fn categories(&self) -> Result<Option<Section>, Error> {
        let mut tables = Vec::new();
        for field in ["source", "caption_kind"] {
            let labels = self.run.pool.labels(field)?;
            if labels.iter().all(Option::is_none) {
                continue;
            }
            let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
            for (row, label) in labels.iter().enumerate() {
                let entry = counts.entry(label.as_deref().unwrap_or("none")).or_default();
                entry.0 += 1;
                entry.1 += u64::from(self.run.kept.contains(row));
            }
            tables.push(Table {
                title: format!("Kept by {}", field.replace('_', " ")),
                columns: vec![
                    Column::new(field.replace('_', " ")),
                    Column::bar("rows"),
                    Column::bar("kept"),
                    Column::bar("share kept"),
                ],
                rows: counts
                    .into_iter()
                    .map(|(label, (rows, kept))| {
                        let share = kept as f64 / rows as f64;
                        vec![
                            Value::Text(label.into()),
                            Value::Count(rows),
                            Value::Count(kept),
                            Value::Share(share),
                        ]
                    })
                    .collect(),
                ..Table::default()
            });
        }
        let section = Section::new("Where the subset comes from");
        Ok((!tables.is_empty()).then(|| tables.into_iter().fold(section, Section::block)))
    }

    fn quarantine(&self) -> Result<Section, Error> {
        let mut by_fault: BTreeMap<Fault, Vec<usize>> = BTreeMap::new();
        for (row, fault) in quarantined_rows(self.run) {
            by_fault.entry(fault).or_default().push(row);
        }
        let mut groups = Vec::new();
        for (fault, rows) in by_fault {
            let shown = &rows[..rows.len().min(QUARANTINED)];
            groups.push(Group {
                heading: format!("{}: {} rows", fault.in_words(), thousands(rows.len())),
                cards: self.cards(shown, |_| Verdict::Quarantined, |row| format!("row {row}"))?,
                omitted: (rows.len() - shown.len()) as u64,
                ..Group::default()
            });
        }
        Ok(Section::new("Quarantine")
            .intro("Rows that could not be judged. They were set aside and changed no other row's fate.")
            .block(Gallery {
                groups,
                when_empty: "Every row could be judged.".into(),
                ..Gallery::default()
            }))
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn verdict(kept: &Selection, row: usize) -> Verdict {
    if kept.contains(row) { Verdict::Kept } else { Verdict::Removed }
}

/// What a stage said of a row.
fn stage_verdict(rows: &StageRows, row: usize) -> Verdict {
    let kept = rows.position(row).is_some_and(|position| rows.keeps(position));
    if kept { Verdict::Kept } else { Verdict::Removed }
}

/// Up to `count` items, evenly spaced from the first to the last.
fn spread<T: Clone>(items: &[T], count: usize) -> Vec<T> {
    if items.len() <= count {
        return items.to_vec();
    }
    (0..count).map(|i| items[i * (items.len() - 1) / (count - 1).max(1)].clone()).collect()
}

fn short(x: f64) -> String {
    let text = format!("{x:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_takes_the_first_and_the_last() {
        assert_eq!(spread(&[0, 1, 2, 3, 4, 5, 6], 3), [0, 3, 6]);
        assert_eq!(spread(&[1, 2], 5), [1, 2]);
        assert_eq!(spread(&[1, 2, 3], 1), [1]);
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
