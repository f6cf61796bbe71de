//! The report's section of a stage that prunes concepts.

use curate_report::{
    Column, Curve, CurveChart, CurveStyle, Fact, Gallery, Group, Section, Table, Value,
};

use crate::{
    Error,
    concept::{Concept, words},
    page::{Page, spread, stage_verdict},
    rows::StageRows,
    stage::Done,
};

/// Clusters shown, and cards of each verdict in each.
const CLUSTERS: usize = 12;
const CARDS_A_CLUSTER: usize = 6;

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
    let largest = concepts.iter().map(|c| c.size).max().unwrap_or(0) as f64;
    let words = words(page.pool, done.rows, concepts.len())?;
    let chart = CurveChart {
        title: "Quota against size".into(),
        x_label: "rows of the concept".into(),
        y_label: "rows kept".into(),
        curves: vec![
            Curve {
                name: "concepts".into(),
                style: CurveStyle::Points,
                points,
                ..Curve::default()
            },
            Curve {
                name: "every row kept".into(),
                points: vec![(0.0, 0.0), (largest, largest)],
                ..Curve::default()
            },
        ],
        when_empty: "There is no concept.".into(),
        ..CurveChart::default()
    };
    Ok(Section::new(format!("Concepts ({})", done.record.name))
        .intro(
            "Rows are clustered into concepts. A concept that is spread out and far from its neighbors is \
             complex and keeps more of its rows.",
        )
        .block(chart)
        .block(table(concepts, &order, &words))
        .block(gallery(page, done.rows, concepts, (&order, &words))?))
}

fn table(concepts: &[Concept], order: &[usize], words: &[Vec<String>]) -> Table {
    let number = |x: Option<f64>| Value::Number(x.unwrap_or(f64::NAN));
    let row = |&c: &usize| {
        let concept = &concepts[c];
        vec![
            Value::Text(format!("{c}")),
            Value::Text(words[c].join(", ")),
            Value::Count(concept.size as u64),
            Value::Count(concept.quota as u64),
            Value::Count(concept.lost() as u64),
            Value::Share(concept.share_lost()),
            number(concept.complexity),
            number(concept.intra),
            number(concept.inter),
        ]
    };
    Table {
        title: "All concepts".into(),
        note:
            "Its words are the commonest of a concept's captions that other concepts do not have."
                .into(),
        columns: vec![
            Column::new("concept"),
            Column::new("words"),
            Column::bar("rows"),
            Column::new("kept"),
            Column::bar("lost"),
            Column::bar("share lost"),
            Column::new("complexity"),
            Column::new("spread"),
            Column::new("distance to neighbors"),
        ],
        rows: order.iter().map(row).collect(),
        orders: vec![4, 5, 2, 6],
        when_empty: "There is no concept.".into(),
        ..Table::default()
    }
}

/// Some concepts from complex to simple.
fn gallery(
    page: &Page<'_>,
    rows: &StageRows,
    concepts: &[Concept],
    (order, words): (&[usize], &[Vec<String>]),
) -> Result<Gallery, Error> {
    let group = |c: usize| group(page, rows, &concepts[c], (c, &words[c]));
    let groups = spread(order, CLUSTERS).into_iter().map(group);
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

fn group(
    page: &Page<'_>,
    rows: &StageRows,
    concept: &Concept,
    (c, words): (usize, &[String]),
) -> Result<Group, Error> {
    let mut members: Vec<usize> =
        (0..rows.rows.len()).filter(|&i| rows.cluster.get(i) == Some(&Some(c as u32))).collect();
    members.sort_by(|&a, &b| rows.value.get(a).total_cmp(&rows.value.get(b)));
    let (stay, go): (Vec<usize>, Vec<usize>) = members.iter().partition(|&&i| rows.keeps(i));
    let picked = [spread(&stay, CARDS_A_CLUSTER), spread(&go, CARDS_A_CLUSTER)].concat();
    let picked: Vec<usize> = picked.iter().map(|&i| rows.row(i)).collect();
    let rank =
        |row| rows.position(row).map_or(String::new(), |i| format!("rank {}", rows.value.get(i)));
    Ok(Group {
        heading: match words {
            [] => format!("Concept {c}"),
            words => format!("Concept {c}: {}", words.join(", ")),
        },
        facts: vec![
            Fact::new("rows", members.len()),
            Fact::new("kept", stay.len()),
            Fact::new("lost", go.len()),
            Fact::new("complexity", concept.complexity),
        ],
        cards: page.cards(&picked, |row| stage_verdict(rows, row), rank)?,
        omitted: (members.len() - picked.len()) as u64,
        ..Group::default()
    })
}
