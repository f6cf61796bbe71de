//! A comparison as a page to look at.

use std::collections::BTreeMap;

use curate::{
    eval::compare::{CompareParams, Ranked, Ranking, Report},
    report::{
        Column, Curve, CurveChart, CurveStyle, Fact, Note, Report as Page, Scale, Section, Table,
        Tile, Value,
    },
    scaling::show_count,
};

use super::text::{Spent, not_trained_on, range};

/// The page of a comparison.
pub(super) fn of(report: &Report, spent: &Spent, params: &CompareParams) -> Page {
    let mut page = Page::new("Which selection trains the better model?");
    page.subtitle = format!("curate {}", env!("CARGO_PKG_VERSION"));
    page.lead = report.rankings.iter().map(verdict).collect();
    page.tiles = vec![
        Tile::new("trainings", report.runs.len()),
        Tile::new("rows tested on", report.test_rows),
        Tile::new("seeds", params.seeds).hint("trainings of a selection at a budget"),
    ];
    let left_out = report.left_out.iter();
    page.notes = left_out.map(|(name, why)| Note::info(not_trained_on(name, why))).collect();
    page.sections = vec![curves(report), tables(report)];
    page.facts = facts(report, spent, params);
    page
}

/// What a budget says, in a sentence.
fn verdict(ranking: &Ranking) -> String {
    let first = &ranking.selections[0];
    let budget = show_count(ranking.budget as f64);
    let score = 100.0 * first.score.mean;
    if ranking.selections.len() == 1 {
        return format!("{budget} samples: {} has {score:.2} % right.", first.name);
    }
    if ranking.settled {
        return format!("{budget} samples: {} is the best, with {score:.2} % right.", first.name);
    }
    let equals: Vec<&str> = ranking.equals().map(|ranked| ranked.name.as_str()).collect();
    let others = equals.join(", ");
    format!(
        "{budget} samples: {} has {score:.2} % right, and cannot be told from {others}.",
        first.name
    )
}

/// Each selection's score over the samples seen.
fn curves(report: &Report) -> Section {
    let mut found: BTreeMap<&str, Curve> = BTreeMap::new();
    for ranking in &report.rankings {
        for ranked in &ranking.selections {
            let curve = found.entry(&ranked.name).or_insert_with(|| Curve {
                name: ranked.name.clone(),
                style: CurveStyle::LineAndPoints,
                ..Curve::default()
            });
            let (x, score) = (ranking.samples as f64, &ranked.score);
            curve.points.push((x, score.mean));
            curve.band.extend(score.interval.map(|[low, high]| (x, low, high)));
        }
    }
    let chart = CurveChart {
        title: "Right answers by samples seen".into(),
        x_label: "samples seen, repeats included".into(),
        y_label: "right".into(),
        x_scale: Scale::Log,
        y_percent: true,
        curves: found.into_values().collect(),
        note: format!(
            "Bands: {:.0} % intervals of the mean over seeds. They hold the doubt about the training, not that \
             about the rows tested on.",
            100.0 * report.level
        ),
        ..CurveChart::default()
    };
    Section::new("Scores").block(chart)
}

/// A table a budget.
fn tables(report: &Report) -> Section {
    let intro = "Behind the best: the mean of the differences seed by seed, with its interval. Where the interval \
                 holds 0, the two cannot be told apart.";
    let blocks = report.rankings.iter();
    blocks.fold(Section::new("Rankings").intro(intro), |section, r| section.block(table(r)))
}

fn table(ranking: &Ranking) -> Table {
    let tasks: Vec<&String> = ranking.selections[0].tasks.keys().collect();
    let several = tasks.len() > 1;
    let mut columns = vec![
        Column::new("selection"),
        Column::new("samples"),
        Column::new("epochs"),
        Column::new("right (%)"),
        Column::new("interval (%)"),
        Column::new("behind the best (points)"),
    ];
    columns.extend(tasks.iter().filter(|_| several).map(|task| Column::new(format!("{task} (%)"))));
    let shifted: Vec<&String> = ranking.selections[0].shifted.keys().collect();
    columns.extend(shifted.iter().map(|pool| Column::new(format!("on {pool} (%)"))));
    let row = |ranked: &Ranked| {
        let mut row: Vec<Value> = vec![
            ranked.name.as_str().into(),
            ranked.unique.into(),
            ranked.epochs.into(),
            hundredths(ranked.score.mean),
            range(&ranked.score).into(),
            behind(ranked),
        ];
        let of = |scores: &BTreeMap<String, f64>, name: &String| {
            scores.get(name).map_or(Value::Missing, |score| hundredths(*score))
        };
        row.extend(tasks.iter().filter(|_| several).map(|task| of(&ranked.tasks, task)));
        row.extend(shifted.iter().map(|pool| of(&ranked.shifted, pool)));
        row
    };
    Table {
        title: format!("{} samples seen", show_count(ranking.budget as f64)),
        columns,
        rows: ranking.selections.iter().map(row).collect(),
        ..Table::default()
    }
}

/// A share in percent, with two digits.
fn hundredths(share: f64) -> Value {
    Value::Text(format!("{:.2}", 100.0 * share))
}

fn behind(ranked: &Ranked) -> Value {
    let Some(behind) = &ranked.behind else { return Value::Missing };
    let by = -100.0 * behind.mean;
    Value::Text(match behind.interval {
        Some([low, high]) => format!("{by:.2} ({:.2} to {:.2})", -100.0 * high, -100.0 * low),
        None => format!("{by:.2}"),
    })
}

fn facts(report: &Report, spent: &Spent, params: &CompareParams) -> Vec<Fact> {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let model = serde_json::to_value(params.model).map(word).unwrap_or_default();
    let score = serde_json::to_value(report.score).map(word).unwrap_or_default();
    vec![
        Fact::new("model", model),
        Fact::new("score", score),
        Fact::new("batch", params.batch),
        Fact::new("learning rate", params.rate),
        Fact::new("rows of the pool", spent.rows),
        Fact::new("with a label", spent.labeled),
        Fact::new("classes", spent.classes),
        Fact::new("version", env!("CARGO_PKG_VERSION")),
    ]
}
