//! The section of a score stage.

use curate_report::{Gallery, Group, Histogram, Marker, Role, Section};

use super::{Writer, capitalised, short, verdict};
use crate::{Error, StageRecord, StageRows, recipe::Stage, stages};

/// Best, worst and border rows of a score.
const SCORED: usize = 12;

impl Writer<'_> {
    pub(super) fn score(
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
}
