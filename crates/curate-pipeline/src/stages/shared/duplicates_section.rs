//! The report's section of a stage that removes duplicates.

use std::ops::Range;

use curate_core::rank::similarity_threshold;
use curate_report::{
    Column, Curve, CurveChart, Gallery, Group, Histogram, Marker, Role, Section, Table, Value,
    counted,
};

use super::ranked::ranked;
use crate::{
    Error,
    page::{Page, spread, stage_verdict},
    rows::StageRows,
    stage::{Done, short},
};

/// Groups of duplicates shown.
const DUPLICATE_GROUPS: usize = 24;
/// Removed rows shown beside the row that stays.
const DUPLICATES_A_GROUP: usize = 5;

/// How similar rows are to preferred ones, what another limit would keep, and some groups.
pub(crate) fn section(
    page: &Page<'_>,
    done: &Done<'_>,
    threshold: Option<f64>,
    other_cuts: bool,
) -> Result<Section, Error> {
    let rows = done.rows;
    let judged: Vec<usize> = (0..rows.rows.len())
        .filter(|&i| rows.cluster.get(i).is_some_and(Option::is_some))
        .collect();
    let section = Section::new(format!("Duplicates ({})", done.record.name)).intro(
        "In each cluster rows stand in order of preference; a row goes when a preferred row is too \
         similar to it.",
    );
    let title = "Largest similarity to a preferred row";
    let section = section
        .block(similarities(title, rows, &judged, threshold))
        .block(kept_curve(&values(rows, &judged), threshold));
    let section = match other_cuts {
        true => section.block(other_epsilons(done, page.pool.len(), threshold)),
        false => section,
    };
    Ok(section.block(duplicate_groups(page, rows)?))
}

/// Epsilons that are often asked about.
const EPSILONS: [f64; 8] = [0.01, 0.02, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3];

/// What other epsilons would keep, in this stage and in the end.
fn other_epsilons(done: &Done<'_>, pool: usize, threshold: Option<f64>) -> Table {
    let rows = done.rows;
    let similarities: Vec<f64> = (0..rows.rows.len())
        .filter(|&at| rows.keeps(at) || rows.cause(at).is_some())
        .map(|at| rows.value.get(at))
        .collect();
    let mut asked: Vec<(f64, f64, bool)> = EPSILONS
        .iter()
        .map(|&epsilon| (epsilon, f64::from(similarity_threshold(epsilon)), false))
        .collect();
    if let Some(used) = threshold {
        asked.retain(|&(_, at, _)| at != used);
        asked.push((1.0 - used, used, true));
        asked.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    let row = |&(epsilon, most, used): &(f64, f64, bool)| {
        let stays = |similarity: &&f64| similarity.is_nan() || **similarity <= most;
        let kept = similarities.iter().filter(stays).count();
        let name = if used { ", this run" } else { "" };
        let end = done.in_the_end.map(|end| end(kept));
        let count = |n: usize| Value::Count(n as u64);
        vec![
            Value::Text(format!("{}{name}", short(epsilon, 4))),
            count(kept),
            count(rows.rows.len() - kept),
            end.map_or(Value::Missing, count),
            end.map_or(Value::Missing, |end| count(pool - end)),
        ]
    };
    Table {
        title: "Other epsilons".into(),
        note: "This stage\u{2019}s counts are exact. In the end there are at most as many: what stages \
               after it keep of so many rows, were every row one that they can judge. `curate select RUN \
               --epsilon …` carries them out."
            .into(),
        columns: ["epsilon", "kept here", "removed here", "kept in the end", "removed in the end"]
            .map(Column::new)
            .into(),
        rows: asked.iter().map(row).collect(),
        when_empty: "No row was compared.".into(),
        ..Table::default()
    }
}

/// How similar rows are to a reference, what another limit would keep, and the rows about the limit.
pub(crate) fn near_reference(
    page: &Page<'_>,
    done: &Done<'_>,
    threshold: Option<f64>,
) -> Result<Section, Error> {
    let rows = done.rows;
    let compared = |i: &usize| !rows.threshold.get(*i).is_nan() && !rows.value.get(*i).is_nan();
    let mut judged: Vec<usize> = (0..rows.rows.len()).filter(compared).collect();
    let title = "Largest similarity to the reference";
    let section = Section::new(format!("Near the reference ({})", done.record.name))
        .intro("A row goes when a row of the reference is too similar to it.")
        .block(similarities(title, rows, &judged, threshold))
        .block(kept_curve(&values(rows, &judged), threshold));
    // Those that went are nearer than those that stayed.
    let (removed, count) = (judged.iter().filter(|&&i| !rows.keeps(i)).count(), judged.len());
    let (first, last) = (removed.saturating_sub(DUPLICATE_GROUPS), removed + DUPLICATE_GROUPS);
    let detail = |row| similarity_to(rows, row);
    let mut group = |heading: &str, ranks: Range<usize>| -> Result<Group, Error> {
        let members = ranked(rows, &mut judged, ranks);
        let cards = page.cards(&members, |row| stage_verdict(rows, row), detail)?;
        Ok(Group { heading: heading.into(), cards, ..Group::default() })
    };
    let groups = vec![
        group("Just too near", first..removed)?,
        group("Just far enough", removed..last.min(count))?,
    ];
    Ok(section.block(Gallery {
        title: "Rows about the limit".into(),
        groups,
        when_empty: "No row was compared.".into(),
        ..Gallery::default()
    }))
}

fn similarity_to(rows: &StageRows, row: usize) -> String {
    let Some(position) = rows.position(row) else { return String::new() };
    let to = rows.reference.get(position).and_then(Option::as_deref).unwrap_or("the reference");
    format!("similarity {:.4} to {to}", rows.value.get(position))
}

fn values(rows: &StageRows, positions: &[usize]) -> Vec<f64> {
    positions.iter().map(|&i| rows.value.get(i)).collect()
}

fn similarities(
    title: &str,
    rows: &StageRows,
    judged: &[usize],
    threshold: Option<f64>,
) -> Histogram {
    let (stay, go): (Vec<usize>, Vec<usize>) = judged.iter().partition(|&&i| rows.keeps(i));
    let series: [(&str, Role, &[f64]); 2] = [
        ("kept", Role::Kept, &values(rows, &stay)),
        ("removed", Role::Removed, &values(rows, &go)),
    ];
    Histogram {
        title: title.into(),
        x_label: "cosine".into(),
        unit: "rows".into(),
        stacked: true,
        threshold: threshold.map(|t| Marker::new(t, format!("limit {}", short(t, 4)))),
        when_empty: "No row was compared.".into(),
        ..Histogram::of_values(48, &series)
    }
}

/// Groups of duplicates: a row that the stage kept, and the rows that went for it, directly or
/// for another row that went.
fn duplicate_groups(page: &Page<'_>, rows: &StageRows) -> Result<Gallery, Error> {
    // Pairs of head and member, sorted: groups of one are many, and a list for each would take more.
    let found = survivors(rows).into_iter().zip(rows.rows.iter());
    let mut pairs: Vec<(usize, usize)> =
        found.filter_map(|(survivor, row)| Some((survivor?, row))).collect();
    pairs.sort_unstable();
    let mut largest: Vec<&[(usize, usize)]> = pairs.chunk_by(|a, b| a.0 == b.0).collect();
    let total = largest.len();
    largest.sort_by(|a, b| b.len().cmp(&a.len()).then(a[0].cmp(&b[0])));
    let mut shown = Vec::new();
    for group in leading_and_spread(&largest, DUPLICATE_GROUPS) {
        let head = group[0].0;
        let gone: Vec<usize> = group.iter().map(|&(_, row)| row).collect();
        let members = spread(&gone, DUPLICATES_A_GROUP);
        let members: Vec<usize> = std::iter::once(head).chain(members).collect();
        shown.push(Group {
            heading: format!("{} went for this one", counted(gone.len() as u64, "row")),
            omitted: (gone.len() + 1 - members.len()) as u64,
            cards: page.cards(
                &members,
                |row| stage_verdict(rows, row),
                |row| nearest(page, rows, row, head),
            )?,
            ..Group::default()
        });
    }
    Ok(Gallery {
        title: "Duplicate groups".into(),
        note: "The largest groups, then some of all sizes. The first of a group stayed, in this stage."
            .into(),
        omitted: (total - shown.len()) as u64,
        groups: shown,
        when_empty: "No duplicates were found.".into(),
    })
}

/// For each row that went, the row for which it went in the end: the first one on its chain of causes that
/// the stage kept. Causes come earlier in the order of preference, so the chain ends. Every link is
/// followed once: chains are as long as clusters are large.
fn survivors(rows: &StageRows) -> Vec<Option<usize>> {
    let mut survivors = vec![None; rows.rows.len()];
    let mut chain = Vec::new();
    for first in 0..survivors.len() {
        let mut at = first;
        let survivor = loop {
            if let Some(known) = survivors[at] {
                break known;
            }
            let Some(cause) = rows.cause(at) else { break rows.row(at) };
            chain.push(at);
            match rows.position(cause) {
                Some(position) => at = position,
                None => break cause,
            }
        };
        chain.drain(..).for_each(|at| survivors[at] = Some(survivor));
    }
    survivors
}

/// How near a duplicate is, and to which row of its group.
fn nearest(page: &Page<'_>, rows: &StageRows, row: usize, head: usize) -> String {
    let Some(position) = rows.position(row).filter(|_| row != head) else {
        return "stayed, the others went for it".to_owned();
    };
    let mut said = format!("similarity {:.4}", rows.value.get(position));
    // A chain: it went for one that went.
    let next = |row: &usize| rows.position(*row).and_then(|position| rows.cause(position));
    let links: Vec<usize> = std::iter::successors(rows.cause(position), next).collect();
    for (step, &link) in links.iter().enumerate().filter(|(_, link)| **link != head) {
        let joint = if step == 0 { " to" } else { ", which went for" };
        said += &format!("{joint} {}", page.short_id(link));
    }
    if links.len() > 1 {
        said += ", which went for the first";
    }
    said
}

/// Half of the places for the leading items, the other half spread over the rest.
fn leading_and_spread<T: Clone>(items: &[T], count: usize) -> Vec<T> {
    let leading = items.len().min(count / 2);
    [items[..leading].to_vec(), spread(&items[leading..], count - leading)].concat()
}

/// How many rows each epsilon would keep.
fn kept_curve(similarities: &[f64], threshold: Option<f64>) -> CurveChart {
    let mut sorted = similarities.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len().max(1) as f64;
    let kept = |epsilon: f64| sorted.partition_point(|&s| s <= 1.0 - epsilon) as f64 / n;
    let points =
        (0..=60).map(|i| f64::from(i) / 100.0).map(|epsilon| (epsilon, kept(epsilon))).collect();
    CurveChart {
        title: "What another epsilon would keep".into(),
        x_label: "epsilon".into(),
        y_label: "share of the stage's rows".into(),
        y_percent: true,
        curves: vec![Curve { name: "kept".into(), role: Role::Kept, points, ..Curve::default() }],
        markers: threshold
            .map(|t| Marker::new(1.0 - t, format!("epsilon {}", short(1.0 - t, 4))))
            .into_iter()
            .collect(),
        note: "Of this stage alone, before the stages after it. `curate select RUN --epsilon …` \
               carries those out too and writes what the run would have kept."
            .into(),
        when_empty: "No row was compared.".into(),
        ..CurveChart::default()
    }
}

#[cfg(test)]
mod tests {
    use curate_core::Selection;

    use super::*;

    #[test]
    fn a_chain_ends_at_the_row_that_stayed() {
        let rows = Selection::all(9);
        let mut rows = StageRows::new(&rows);
        // 8 went for 2, which went for 5, which stayed; 0 for 1, which stayed; 7 for 8.
        rows.related = vec![None; 9];
        for (at, cause) in [(8, 2), (2, 5), (0, 1), (7, 8)] {
            rows.remove(at, "semantic-duplicate");
            rows.related[at] = Some(cause);
        }
        let expected = [Some(1), None, Some(5), None, None, None, None, Some(5), Some(5)];
        assert_eq!(survivors(&rows), expected);
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
