//! The report's section of a stage that gives a score.

use curate_report::{Gallery, Group, Histogram, Marker, Role, Section};

use crate::{
    Error,
    page::{Page, capitalized},
    rows::StageRows,
    stage::{Done, short},
};

/// Best, worst and border rows of a score.
const SCORED: usize = 12;

/// How the score is distributed, where it is cut, and what its best and worst rows are.
pub(crate) fn section(page: &Page<'_>, done: &Done<'_>, rule: &str) -> Result<Section, Error> {
    let (name, rows) = (&done.record.name, done.rows);
    let cut = done.cuts.first();
    let mut section = Section::new(format!("Score {name}"))
        .intro(format!("{}.", capitalized(rule)))
        .block(histogram(page, done));
    if let Some((stage, _)) = cut {
        section = section.intro(format!("The line is the threshold of stage {stage}."));
    }
    let detail = |row| {
        rows.position(row).map_or(String::new(), |i| format!("score {:.4}", rows.value.get(i)))
    };
    let mut groups = Vec::new();
    for (heading, members) in shown(rows, cut.map(|(_, threshold)| *threshold)) {
        let cards = page.cards(&members, |row| page.verdict(row), detail)?;
        groups.push(Group { heading: heading.into(), cards, ..Group::default() });
    }
    Ok(section.block(Gallery {
        title: "Best, border and worst".into(),
        groups,
        when_empty: "No row has a score.".into(),
        ..Gallery::default()
    }))
}

fn histogram(page: &Page<'_>, done: &Done<'_>) -> Histogram {
    let (name, rows) = (&done.record.name, done.rows);
    let (mut stay, mut go) = (Vec::new(), Vec::new());
    for i in (0..rows.rows.len()).filter(|&i| rows.keeps(i)) {
        let side = if page.kept.contains(rows.row(i)) { &mut stay } else { &mut go };
        side.push(rows.value.get(i));
    }
    let series: [(&str, Role, &[f64]); 2] =
        [("in the subset", Role::Kept, &stay), ("removed by any stage", Role::Removed, &go)];
    let marker = |(stage, at): &(&str, f64)| Marker::new(*at, format!("{stage} {}", short(*at, 4)));
    Histogram {
        title: format!("Distribution of {name}"),
        x_label: name.clone(),
        unit: "rows".into(),
        stacked: true,
        threshold: done.cuts.first().map(marker),
        when_empty: "No row has a score.".into(),
        ..Histogram::of_values(48, &series)
    }
}

/// Rows of the pool to show, under headings.
fn shown(rows: &StageRows, threshold: Option<f64>) -> Vec<(&'static str, Vec<usize>)> {
    let mut order: Vec<usize> = (0..rows.rows.len()).filter(|&i| rows.keeps(i)).collect();
    order.sort_by(|&a, &b| {
        rows.value.get(b).total_cmp(&rows.value.get(a)).then(rows.row(a).cmp(&rows.row(b)))
    });
    let of = |positions: &mut dyn Iterator<Item = &usize>| -> Vec<usize> {
        positions.map(|&i| rows.row(i)).collect()
    };
    let mut groups = vec![("Highest", of(&mut order.iter().take(SCORED)))];
    if let Some(threshold) = threshold {
        let at = order.partition_point(|&i| rows.value.get(i) >= threshold);
        let border = at.saturating_sub(SCORED / 2)..order.len().min(at + SCORED / 2);
        groups.push(("At the threshold", of(&mut order[border].iter())));
    }
    groups.push(("Lowest", of(&mut order.iter().rev().take(SCORED))));
    groups
}
