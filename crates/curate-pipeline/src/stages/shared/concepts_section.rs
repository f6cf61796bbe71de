//! The report's section of a stage that prunes concepts.

use curate_report::{
    Column, Curve, CurveChart, CurveStyle, Fact, Gallery, Group, Section, Table, Value,
};

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    page::{Page, spread, stage_verdict},
    rows::StageRows,
    stage::Done,
};

/// Clusters shown, and cards of each verdict in each.
const CLUSTERS: usize = 12;
const CARDS_A_CLUSTER: usize = 6;

/// What is known of a concept. A control asks for no complexity, and an empty cluster has no spread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Concept {
    /// Its rows.
    pub(crate) size: usize,
    /// Rows of it that stay.
    pub(crate) quota: usize,
    /// Its share of the rows that stay, before bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) complexity: Option<f64>,
    /// Mean distance of its rows to its centroid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) intra: Option<f64>,
    /// Mean distance of its centroid to the nearest others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inter: Option<f64>,
}

/// Quotas against sizes, some concepts to look at, and all of them as a table.
pub(crate) fn section(
    page: &Page<'_>,
    done: &Done<'_>,
    concepts: &[Concept],
) -> Result<Section, Error> {
    let mut order: Vec<usize> = (0..concepts.len()).filter(|&c| concepts[c].size > 0).collect();
    let complexity = |c: usize| concepts[c].complexity.unwrap_or(f64::NAN);
    order.sort_by(|&a, &b| complexity(b).total_cmp(&complexity(a)));
    let points = concepts.iter().map(|c| (c.size as f64, c.quota as f64)).collect();
    let chart = CurveChart {
        title: "Quota against size".into(),
        x_label: "rows of the concept".into(),
        y_label: "rows kept".into(),
        curves: vec![Curve {
            name: "concepts".into(),
            style: CurveStyle::Points,
            points,
            ..Curve::default()
        }],
        when_empty: "There is no concept.".into(),
        ..CurveChart::default()
    };
    Ok(Section::new(format!("Concepts ({})", done.record.name))
        .intro(
            "Rows are clustered into concepts. A concept that is spread out and far from its neighbors is \
             complex and keeps more of its rows.",
        )
        .block(chart)
        .block(gallery(page, done.rows, concepts, &order)?)
        .block(table(concepts, &order)))
}

fn table(concepts: &[Concept], order: &[usize]) -> Table {
    let number = |x: Option<f64>| Value::Number(x.unwrap_or(f64::NAN));
    let row = |&c: &usize| {
        let concept = &concepts[c];
        vec![
            Value::Text(format!("{c}")),
            Value::Count(concept.size as u64),
            Value::Count(concept.quota as u64),
            number(concept.complexity),
            number(concept.intra),
            number(concept.inter),
        ]
    };
    Table {
        title: "Concepts by complexity".into(),
        columns: vec![
            Column::new("concept"),
            Column::bar("rows"),
            Column::bar("kept"),
            Column::bar("complexity"),
            Column::new("spread"),
            Column::new("distance to neighbors"),
        ],
        rows: order.iter().map(row).collect(),
        when_empty: "There is no concept.".into(),
        ..Table::default()
    }
}

/// Some concepts from complex to simple.
fn gallery(
    page: &Page<'_>,
    rows: &StageRows,
    concepts: &[Concept],
    order: &[usize],
) -> Result<Gallery, Error> {
    let groups = spread(order, CLUSTERS).into_iter().map(|c| group(page, rows, &concepts[c], c));
    let groups = groups.collect::<Result<Vec<_>, _>>()?;
    Ok(Gallery {
        title: "Concepts, from complex to simple".into(),
        note: "Of each concept some rows that stay and some that go, in order of preference."
            .into(),
        omitted: (order.len() - groups.len()) as u64,
        groups,
        when_empty: "There is no concept.".into(),
    })
}

fn group(page: &Page<'_>, rows: &StageRows, concept: &Concept, c: usize) -> Result<Group, Error> {
    let mut members: Vec<usize> =
        (0..rows.rows.len()).filter(|&i| rows.cluster.get(i) == Some(&Some(c as u32))).collect();
    members.sort_by(|&a, &b| rows.value.get(a).total_cmp(&rows.value.get(b)));
    let (stay, go): (Vec<usize>, Vec<usize>) = members.iter().partition(|&&i| rows.keeps(i));
    let picked = [spread(&stay, CARDS_A_CLUSTER), spread(&go, CARDS_A_CLUSTER)].concat();
    let picked: Vec<usize> = picked.iter().map(|&i| rows.row(i)).collect();
    let rank =
        |row| rows.position(row).map_or(String::new(), |i| format!("rank {}", rows.value.get(i)));
    Ok(Group {
        heading: format!("Concept {c}"),
        facts: vec![
            Fact::new("rows", members.len()),
            Fact::new("kept", stay.len()),
            Fact::new("complexity", concept.complexity),
        ],
        cards: page.cards(&picked, |row| stage_verdict(rows, row), rank)?,
        omitted: (members.len() - picked.len()) as u64,
        ..Group::default()
    })
}
