//! The report of a run: what a person looks at.

use std::collections::BTreeMap;

use curate_core::{Selection, fault::Fault};
use curate_io::Sample;
use curate_report::{
    Card, Column, Curve, CurveChart, Fact, Funnel, FunnelStep, Gallery, Group, Histogram, Image,
    Marker, Note, Removal, Report, Role, Section, Table, Tile, Value, Verdict,
};

use crate::{
    Error, StageRecord, StageRows,
    manifest::PoolRecord,
    recipe::{POOL, Stage},
    run::Run,
    stages,
};

/// Groups of duplicates shown.
const DUPLICATE_GROUPS: usize = 24;
/// Removed rows shown beside the row that stays.
const DUPLICATES_A_GROUP: usize = 5;
/// Clusters shown, and cards of each verdict in each.
const CLUSTERS: usize = 12;
const CARDS_A_CLUSTER: usize = 6;
/// Best, worst and border rows of a score.
const SCORED: usize = 12;
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
            Stage::Threshold(_) | Stage::Fraction(_) | Stage::Top(_) | Stage::Combine(_) => {}
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
        let samples = self.run.pool.samples(rows, self.run.recipe.output.images)?;
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

    fn score(
        &self,
        index: usize,
        record: &StageRecord,
        rows: &StageRows,
    ) -> Result<Section, Error> {
        let cuts = self.cuts_on(&record.name);
        let mut section = Section::new(format!("Score {}", record.name))
            .intro(format!("{}.", capitalised(&stages::in_words(&self.run.recipe.stages[index]))));
        let scored: Vec<usize> = (0..rows.rows.len()).filter(|&i| rows.keeps(i)).collect();
        let (in_final, out): (Vec<usize>, Vec<usize>) =
            scored.iter().partition(|&&i| self.run.kept.contains(rows.rows[i]));
        let values =
            |positions: &[usize]| positions.iter().map(|&i| rows.value[i]).collect::<Vec<f32>>();
        let series: [(&str, Role, &[f32]); 2] = [
            ("in the subset", Role::Kept, &values(&in_final)),
            ("removed by any stage", Role::Removed, &values(&out)),
        ];
        section = section.block(Histogram {
            title: format!("Distribution of {}", record.name),
            x_label: record.name.clone(),
            unit: "rows".into(),
            stacked: true,
            threshold: cuts
                .first()
                .map(|(name, t)| Marker::new(*t, format!("{name} {}", short(*t)))),
            when_empty: "No row has a score.".into(),
            ..Histogram::of_values(48, &series)
        });
        let mut order = scored;
        order.sort_by(|&a, &b| {
            rows.value[b].total_cmp(&rows.value[a]).then(rows.rows[a].cmp(&rows.rows[b]))
        });
        let best: Vec<usize> = order.iter().take(SCORED).map(|&i| rows.rows[i]).collect();
        let worst: Vec<usize> = order.iter().rev().take(SCORED).map(|&i| rows.rows[i]).collect();
        let mut groups = vec![("Highest", best)];
        if let Some((name, threshold)) = cuts.first() {
            let at = order.partition_point(|&i| f64::from(rows.value[i]) >= *threshold);
            let border =
                order[at.saturating_sub(SCORED / 2)..order.len().min(at + SCORED / 2)].iter();
            groups.push(("At the threshold", border.map(|&i| rows.rows[i]).collect()));
            section = section.intro(format!("The line is the threshold of stage {name}."));
        }
        groups.push(("Lowest", worst));
        let kept = &self.run.kept;
        let detail = |row| {
            rows.position(row).map_or(String::new(), |i| format!("score {:.4}", rows.value[i]))
        };
        let mut shown = Vec::new();
        for (heading, members) in groups {
            let cards = self.cards(&members, |row| verdict(kept, row), detail)?;
            shown.push(Group { heading: heading.into(), cards, ..Group::default() });
        }
        Ok(section.block(Gallery {
            title: "Best, border and worst".into(),
            groups: shown,
            when_empty: "No row has a score.".into(),
            ..Gallery::default()
        }))
    }

    /// The cuts on a score: stage and threshold.
    fn cuts_on(&self, score: &str) -> Vec<(String, f64)> {
        let cuts = self.run.recipe.stages.iter().zip(&self.run.records);
        let cuts = cuts.filter(|(stage, _)| {
            !matches!(stage, Stage::SemanticDedup(_)) && stage.scores().contains(&score)
        });
        let threshold =
            |record: &StageRecord| record.info.get("threshold").and_then(serde_json::Value::as_f64);
        cuts.filter_map(|(_, record)| Some((record.name.clone(), threshold(record)?))).collect()
    }

    fn duplicates(&self, record: &StageRecord, rows: &StageRows) -> Result<Section, Error> {
        let threshold = record.info.get("threshold").and_then(serde_json::Value::as_f64);
        let judged: Vec<usize> = (0..rows.rows.len())
            .filter(|&i| rows.cluster.get(i).is_some_and(Option::is_some))
            .collect();
        let (stay, go): (Vec<usize>, Vec<usize>) = judged.iter().partition(|&&i| rows.keeps(i));
        let values =
            |positions: &[usize]| positions.iter().map(|&i| rows.value[i]).collect::<Vec<f32>>();
        let series: [(&str, Role, &[f32]); 2] =
            [("kept", Role::Kept, &values(&stay)), ("removed", Role::Removed, &values(&go))];
        let section = Section::new(format!("Duplicates ({})", record.name))
            .intro(
                "In each cluster rows stand in order of preference; a row goes when a preferred row is too \
                 similar to it.",
            )
            .block(Histogram {
                title: "Largest similarity to a preferred row".into(),
                x_label: "cosine".into(),
                unit: "rows".into(),
                stacked: true,
                threshold: threshold.map(|t| Marker::new(t, format!("limit {}", short(t)))),
                when_empty: "No row was compared.".into(),
                ..Histogram::of_values(48, &series)
            })
            .block(kept_curve(&values(&judged), threshold));
        Ok(section.block(self.duplicate_groups(rows)?))
    }

    /// Groups of duplicates: a row that the stage kept, and the rows that went for it, directly or
    /// for another row that went.
    fn duplicate_groups(&self, rows: &StageRows) -> Result<Gallery, Error> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (position, &row) in rows.rows.iter().enumerate() {
            if rows.removal(position).is_some_and(|removal| removal.cause.is_some()) {
                groups.entry(survivor(rows, row)).or_default().push(row);
            }
        }
        let total = groups.len();
        let mut largest: Vec<(usize, Vec<usize>)> = groups.into_iter().collect();
        largest.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(&b.0)));
        let mut shown = Vec::new();
        for (head, gone) in leading_and_spread(&largest, DUPLICATE_GROUPS) {
            let members = spread(&gone, DUPLICATES_A_GROUP);
            let members: Vec<usize> = std::iter::once(head).chain(members).collect();
            shown.push(Group {
                heading: match gone.len() {
                    1 => "1 row went for this one".to_owned(),
                    n => format!("{} rows went for this one", thousands(n)),
                },
                omitted: (gone.len() + 1 - members.len()) as u64,
                cards: self.cards(
                    &members,
                    |row| stage_verdict(rows, row),
                    |row| nearest(rows, row, head),
                )?,
                ..Group::default()
            });
        }
        Ok(Gallery {
            title: "Duplicate groups".into(),
            note: "The largest groups, then some of all sizes.".into(),
            omitted: (total - shown.len()) as u64,
            groups: shown,
            when_empty: "No duplicates were found.".into(),
        })
    }

    fn concepts(&self, record: &StageRecord, rows: &StageRows) -> Result<Section, Error> {
        let clusters =
            record.info.get("clusters").and_then(|c| c.as_array()).cloned().unwrap_or_default();
        let number = |c: &serde_json::Value, key: &str| {
            c.get(key).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN)
        };
        let count = |c: &serde_json::Value, key: &str| {
            c.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0)
        };
        let section = Section::new(format!("Concepts ({})", record.name))
            .intro(
                "Rows are clustered into concepts. A concept that is spread out and far from its neighbours is \
                 complex and keeps more of its rows.",
            )
            .block(CurveChart {
                title: "Quota against size".into(),
                x_label: "rows of the concept".into(),
                y_label: "rows kept".into(),
                curves: vec![Curve {
                    name: "concepts".into(),
                    style: curate_report::CurveStyle::Points,
                    points: clusters.iter().map(|c| (number(c, "size"), number(c, "quota"))).collect(),
                    ..Curve::default()
                }],
                when_empty: "There is no concept.".into(),
                ..CurveChart::default()
            });
        let mut order: Vec<usize> =
            (0..clusters.len()).filter(|&c| count(&clusters[c], "size") > 0).collect();
        order.sort_by(|&a, &b| {
            number(&clusters[b], "complexity").total_cmp(&number(&clusters[a], "complexity"))
        });
        let table = Table {
            title: "Concepts by complexity".into(),
            columns: [
                ("concept", false),
                ("rows", true),
                ("kept", true),
                ("complexity", true),
                ("spread", false),
                ("distance to neighbours", false),
            ]
            .map(|(heading, bar)| if bar { Column::bar(heading) } else { Column::new(heading) })
            .to_vec(),
            rows: order
                .iter()
                .map(|&c| {
                    let k = &clusters[c];
                    vec![
                        Value::Text(format!("{c}")),
                        Value::Count(count(k, "size")),
                        Value::Count(count(k, "quota")),
                        Value::Number(number(k, "complexity")),
                        Value::Number(number(k, "intra")),
                        Value::Number(number(k, "inter")),
                    ]
                })
                .collect(),
            when_empty: "There is no concept.".into(),
            ..Table::default()
        };
        let shown = spread(&order, CLUSTERS);
        Ok(section.block(self.clusters(rows, &clusters, &shown, order.len())?).block(table))
    }

    fn clusters(
        &self,
        rows: &StageRows,
        clusters: &[serde_json::Value],
        shown: &[usize],
        total: usize,
    ) -> Result<Gallery, Error> {
        let mut groups = Vec::new();
        for &c in shown {
            let mut members: Vec<usize> = (0..rows.rows.len())
                .filter(|&i| rows.cluster.get(i) == Some(&Some(c as u32)))
                .collect();
            members.sort_by(|&a, &b| rows.value[a].total_cmp(&rows.value[b]));
            let (stay, go): (Vec<usize>, Vec<usize>) =
                members.iter().partition(|&&i| rows.keeps(i));
            let picked: Vec<usize> = [spread(&stay, CARDS_A_CLUSTER), spread(&go, CARDS_A_CLUSTER)]
                .concat()
                .iter()
                .map(|&i| rows.rows[i])
                .collect();
            let own = |row| stage_verdict(rows, row);
            let rank = |row| {
                rows.position(row).map_or(String::new(), |i| format!("rank {}", rows.value[i]))
            };
            let complexity = clusters[c].get("complexity").and_then(serde_json::Value::as_f64);
            groups.push(Group {
                heading: format!("Concept {c}"),
                facts: vec![
                    Fact::new("rows", members.len()),
                    Fact::new("kept", stay.len()),
                    Fact::new("complexity", complexity),
                ],
                cards: self.cards(&picked, own, rank)?,
                omitted: (members.len() - picked.len()) as u64,
                ..Group::default()
            });
        }
        Ok(Gallery {
            title: "Concepts, from complex to simple".into(),
            note: "Of each concept some rows that stay and some that go, in order of preference."
                .into(),
            omitted: (total - groups.len()) as u64,
            groups,
            when_empty: "There is no concept.".into(),
        })
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

/// The row for which a duplicate went in the end: the first one on its chain of causes that the
/// stage kept. Causes come earlier in the order of preference, so the chain ends.
fn survivor(rows: &StageRows, row: usize) -> usize {
    let cause =
        |row| rows.position(row).and_then(|i| rows.removal(i)).and_then(|removal| removal.cause);
    std::iter::successors(Some(row), |&row| cause(row)).last().unwrap_or(row)
}

/// How near a duplicate is, and to which row of its group.
fn nearest(rows: &StageRows, row: usize, head: usize) -> String {
    let Some(position) = rows.position(row).filter(|_| row != head) else {
        return "preferred".to_owned();
    };
    let cause = rows.related.get(position).copied().flatten();
    let to = if cause == Some(head) { "" } else { ", to another that went" };
    format!("similarity {:.4}{to}", rows.value[position])
}

/// Half of the places for the leading items, the other half spread over the rest.
fn leading_and_spread<T: Clone>(items: &[T], count: usize) -> Vec<T> {
    let leading = items.len().min(count / 2);
    [items[..leading].to_vec(), spread(&items[leading..], count - leading)].concat()
}

/// Up to `count` items, evenly spaced from the first to the last.
fn spread<T: Clone>(items: &[T], count: usize) -> Vec<T> {
    if items.len() <= count {
        return items.to_vec();
    }
    (0..count).map(|i| items[i * (items.len() - 1) / (count - 1).max(1)].clone()).collect()
}

/// How many rows each epsilon would keep.
fn kept_curve(similarities: &[f32], threshold: Option<f64>) -> CurveChart {
    let mut sorted = similarities.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let n = sorted.len().max(1) as f64;
    let kept = |epsilon: f64| sorted.partition_point(|&s| f64::from(s) <= 1.0 - epsilon) as f64 / n;
    let points =
        (0..=60).map(|i| f64::from(i) / 100.0).map(|epsilon| (epsilon, kept(epsilon))).collect();
    CurveChart {
        title: "What another epsilon would keep".into(),
        x_label: "epsilon".into(),
        y_label: "share of the stage's rows".into(),
        y_percent: true,
        curves: vec![Curve { name: "kept".into(), role: Role::Kept, points, ..Curve::default() }],
        markers: threshold
            .map(|t| Marker::new(1.0 - t, format!("epsilon {}", short(1.0 - t))))
            .into_iter()
            .collect(),
        note: "`curate select RUN --epsilon …` writes the subset of another point of this curve."
            .into(),
        when_empty: "No row was compared.".into(),
        ..CurveChart::default()
    }
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

    #[test]
    fn the_curve_of_kept_rows_falls_with_epsilon() {
        let curve = kept_curve(&[0.0, 0.5, 0.96, 1.0], Some(0.95));
        let points = &curve.curves[0].points;
        assert_eq!(points[0], (0.0, 1.0));
        assert_eq!(points[5].1, 0.5);
        assert!(points.windows(2).all(|w| w[1].1 <= w[0].1));
    }
}
