//! The report's section of a stage that gives a score.

use std::ops::Range;

use curate_report::{Gallery, Group, Histogram, Marker, Role, Section};

use super::ranked::ranked;
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
    // Both ascend: a search for every row would take longer than the rest of the section.
    let mut kept = page.kept.iter().peekable();
    for (i, row) in rows.rows.iter().enumerate().filter(|&(i, _)| rows.keeps(i)) {
        while kept.next_if(|&other| other < row).is_some() {}
        let side = if kept.peek() == Some(&row) { &mut stay } else { &mut go };
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
    let count = order.len();
    let mut of = |ranks: Range<usize>| ranked(rows, &mut order, ranks);
    let mut groups = vec![("Highest", of(0..SCORED.min(count)))];
    if let Some(threshold) = threshold {
        let reaches = |&i: &usize| rows.keeps(i) && rows.value.get(i) >= threshold;
        let at = (0..rows.rows.len()).filter(reaches).count();
        let border = at.saturating_sub(SCORED / 2)..count.min(at + SCORED / 2);
        groups.push(("At the threshold", of(border)));
    }
    let mut lowest = of(count.saturating_sub(SCORED)..count);
    lowest.reverse();
    groups.push(("Lowest", lowest));
    groups
}

#[cfg(test)]
mod tests {
    use curate_core::{Selection, random};

    use super::*;

    #[test]
    fn rows_are_shown_by_rank_and_equal_ones_by_row() {
        for (count, threshold) in [(0, 0.5), (5, 0.5), (12, 2.0), (400, 0.4), (400, -1.0)] {
            let mut rows = StageRows::new(&Selection::all(count));
            // Few different values, so that many are equal.
            let value = |row: usize| f64::from((random::derive(row as u64, "value") % 20) as u32);
            rows.value = (0..count).map(|row| value(row) / 20.0).collect::<Vec<f64>>().into();
            (0..count).filter(|row| row % 7 == 3).for_each(|row| rows.remove(row, "below"));
            let mut order: Vec<usize> = (0..count).filter(|&row| rows.keeps(row)).collect();
            order.sort_by(|&a, &b| value(b).total_cmp(&value(a)).then(a.cmp(&b)));
            let at = order.partition_point(|&row| rows.value.get(row) >= threshold);
            let border = at.saturating_sub(SCORED / 2)..order.len().min(at + SCORED / 2);
            let expected = vec![
                ("Highest", order.iter().copied().take(SCORED).collect::<Vec<_>>()),
                ("At the threshold", order[border].to_vec()),
                ("Lowest", order.iter().rev().copied().take(SCORED).collect()),
            ];
            assert_eq!(shown(&rows, Some(threshold)), expected, "{count} {threshold}");
        }
    }
}
