//! The section of a pruning stage.

use curate_report::{
    Column, Curve, CurveChart, CurveStyle, Fact, Gallery, Group, Section, Table, Value,
};

use super::{Writer, spread, stage_verdict};
use crate::{Error, StageRecord, StageRows};

/// Clusters shown, and cards of each verdict in each.
const CLUSTERS: usize = 12;
const CARDS_A_CLUSTER: usize = 6;

impl Writer<'_> {
    pub(super) fn concepts(
        &self,
        record: &StageRecord,
        rows: &StageRows,
    ) -> Result<Section, Error> {
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
                    style: CurveStyle::Points,
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
}
