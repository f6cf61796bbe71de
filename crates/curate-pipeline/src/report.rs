//! The report of a run: what a person looks at.

use std::collections::BTreeMap;

use curate_core::fault::Fault;
use curate_report::{
    Column, Fact, Funnel, FunnelStep, Gallery, Group, Note, Removal, Report, Section, Table, Tile,
    Value, Verdict, count, counted,
};

use crate::{
    Error,
    earlier::POOL,
    gone::{Gone, in_words},
    manifest::PoolRecord,
    page::Page,
    run::Run,
    stage::{Done, Method, Source},
    stages::Stage,
};

/// Quarantined rows shown for each fault.
const QUARANTINED: usize = 6;

/// A field of more different texts than this is no category.
const CATEGORIES: usize = 1000;

/// Makes the report of a run.
pub(crate) fn of(run: &Run, pool: &PoolRecord, gone: &Gone) -> Result<Report, Error> {
    let images = run.recipe.output.images;
    let page = Page { pool: &run.pool, kept: &run.kept, gone, images };
    let methods = run.recipe.stages.iter().map(Stage::resolve).collect::<Result<Vec<_>, _>>()?;
    let (rows, kept) = (run.pool.len(), run.kept.len());
    let mut report = Report::new(format!("Curation of {}", run.recipe.name));
    report.subtitle = format!(
        "{}, {}, curate {}",
        pool.format,
        counted(run.records.len() as u64, "stage"),
        env!("CARGO_PKG_VERSION")
    );
    report.lead.push(format!(
        "{} in, {} kept ({:.1} %). Every removed row has its reason in evidence.parquet.",
        counted(rows as u64, "row"),
        count(kept as u64),
        100.0 * kept as f64 / rows.max(1) as f64
    ));
    let quarantined = Quarantined::of(gone);
    report.tiles = tiles(run, pool, quarantined.total());
    report.notes = notes(run, pool, &methods)?;
    report.sections.push(funnel(run, &methods));
    for (index, method) in methods.iter().enumerate() {
        let record = &run.records[index];
        let cuts = cuts_on(&record.name, run, &methods)?;
        let later = |rows| methods[index + 1..].iter().fold(rows, |rows, m| m.leaves(rows));
        let in_the_end: Option<&dyn Fn(usize) -> usize> =
            if is_line(run, index) { Some(&later) } else { None };
        let done = Done { record, rows: &run.stage_rows(index)?, cuts, in_the_end };
        report.sections.extend(method.report(&page, &done)?);
    }
    report.sections.extend(categories(run)?);
    report.sections.push(quarantine(&quarantined, &page)?);
    report.facts = facts(run, pool);
    Ok(report)
}

/// True where each stage after this one takes the rows of the one before it, and no others.
fn is_line(run: &Run, index: usize) -> bool {
    let takes_before = |stage: &Stage| stage.sources() == [Source::Before];
    run.recipe.stages[index + 1..].iter().all(takes_before)
}

/// The stages that cut a score: name and threshold.
fn cuts_on<'a>(
    score: &str,
    run: &'a Run,
    methods: &[Box<dyn Method>],
) -> Result<Vec<(&'a str, f64)>, Error> {
    let mut cuts = Vec::new();
    for (record, method) in run.records.iter().zip(methods) {
        cuts.extend(method.threshold_on(score, record)?.map(|at| (&*record.name, at)));
    }
    Ok(cuts)
}

fn tiles(run: &Run, pool: &PoolRecord, quarantined: usize) -> Vec<Tile> {
    let removed = run.pool.len() - run.kept.len() - quarantined;
    vec![
        Tile::new("rows in the pool", run.pool.len()).hint(crate::plan::bytes(pool.bytes())),
        Tile::new("kept", run.kept.len()).hint("the subset"),
        Tile::new("removed", removed).hint("by the recipe, each with its reason"),
        Tile::new("quarantined", quarantined).hint("could not be judged"),
    ]
}

fn notes(run: &Run, pool: &PoolRecord, methods: &[Box<dyn Method>]) -> Result<Vec<Note>, Error> {
    let mut notes: Vec<Note> = pool
        .skipped
        .iter()
        .map(|s| Note::warning(format!("Shard {} was left out: {}.", s.name, s.reason)))
        .collect();
    if run.kept.is_empty() {
        notes
            .push(Note::warning("No row is left. The funnel shows which stage took the last one."));
    }
    notes.extend(run.repeats_note().map(|text| Note::info(format!("{text}."))));
    for (record, method) in run.records.iter().zip(methods) {
        let said = method.notes(record)?.into_iter();
        notes.extend(said.map(|text| Note::info(format!("Stage {}: {text}.", record.name))));
    }
    Ok(notes)
}

fn facts(run: &Run, pool: &PoolRecord) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("pool", Value::Code(pool.path.display().to_string())),
        Fact::new("pool digest", Value::Code(pool.digest.clone())),
        Fact::new("ids", pool.ids.to_string()),
        Fact::new("seed", run.recipe.seed.to_string()),
        Fact::new("version", env!("CARGO_PKG_VERSION")),
    ];
    for record in &run.records {
        facts
            .push(Fact::new(format!("seconds of {}", record.name), Value::Seconds(record.seconds)));
    }
    facts
}

fn funnel(run: &Run, methods: &[Box<dyn Method>]) -> Section {
    let mut steps = vec![pool_step(run)];
    for (method, record) in methods.iter().zip(&run.records) {
        steps.push(FunnelStep {
            stage: record.name.clone(),
            rule: method.in_words(),
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
        Some(_) => Removal::quarantined(in_words(rule), rows as u64),
        None => Removal::new(in_words(rule), rows as u64),
    }
}

/// Rows that were quarantined, by the first fault that was found: how many, and the first of them.
#[derive(Default)]
struct Quarantined(BTreeMap<Fault, (usize, Vec<usize>)>);

impl Quarantined {
    fn of(gone: &Gone) -> Self {
        let mut found = Self::default();
        for (row, fault) in gone.quarantined() {
            let (count, first) = found.0.entry(fault).or_default();
            *count += 1;
            first.extend((*count <= QUARANTINED).then_some(row));
        }
        found
    }

    fn total(&self) -> usize {
        self.0.values().map(|(count, _)| count).sum()
    }
}

/// What stays of each source and each kind of caption, where the pool says them.
fn categories(run: &Run) -> Result<Option<Section>, Error> {
    let mut tables = Vec::new();
    for field in ["source", "caption_kind"] {
        let Some(counts) = run.pool.count_labels(field, &run.kept, CATEGORIES)? else { continue };
        if counts.keys().all(Option::is_none) {
            continue;
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
                .map(|(label, [rows, kept])| {
                    let share = kept as f64 / rows as f64;
                    vec![
                        Value::Text(label.unwrap_or_else(|| "none".to_owned())),
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

fn quarantine(quarantined: &Quarantined, page: &Page<'_>) -> Result<Section, Error> {
    let mut groups = Vec::new();
    for (fault, (count, shown)) in &quarantined.0 {
        groups.push(Group {
            heading: format!("{}: {}", fault.in_words(), counted(*count as u64, "row")),
            cards: page.cards(shown, |_| Verdict::Quarantined, |row| format!("row {row}"))?,
            omitted: (count - shown.len()) as u64,
            ..Group::default()
        });
    }
    Ok(Section::new("Quarantine")
        .intro("Rows that could not be judged. They changed no other row's fate.")
        .block(Gallery {
            groups,
            when_empty: "Every row could be judged.".into(),
            ..Gallery::default()
        }))
}
