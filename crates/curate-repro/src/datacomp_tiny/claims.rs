//! What the papers say, and what has to be measured for it to hold here. Fixed before the first run.

use anyhow::{Context, Result};
use curate_select::spearman;

use super::{Strategy, Summary};
use crate::{Claim, Kind, OutOfReach};

/// Means over DataComp's 38 tasks of models trained at the scales medium and large, with no filter and six filters,
/// and their ImageNet accuracy: from the evaluation tables that open_clip publishes of DataComp's checkpoints.
const MEDIUM: [[f64; 7]; 2] = [
    [0.258, 0.285, 0.292, 0.307, 0.312, 0.328, 0.328],
    [0.176, 0.226, 0.230, 0.255, 0.268, 0.273, 0.297],
];
const LARGE: [[f64; 7]; 2] = [
    [0.437, 0.459, 0.501, 0.476, 0.481, 0.529, 0.537],
    [0.459, 0.516, 0.553, 0.561, 0.572, 0.578, 0.631],
];

pub(super) fn claims(
    arms: &[Summary],
    steps: [usize; 2],
    rank_correlation: [Option<f64>; 2],
) -> Result<Vec<Claim>> {
    let at = |strategy: Strategy, steps: usize| -> Result<f64> {
        let found = arms.iter().find(|arm| arm.strategy == strategy && arm.steps == steps);
        Ok(found.context("a strategy was not run")?.average.mean)
    };
    // The smaller of the leads at the two budgets.
    let lead = |strategy: Strategy, over: Strategy| -> Result<f64> {
        let of = |steps| Ok::<f64, anyhow::Error>(at(strategy, steps)? - at(over, steps)?);
        Ok(of(steps[0])?.min(of(steps[1])?))
    };
    let best = |steps: usize| {
        let of_budget = arms.iter().filter(|arm| arm.steps == steps);
        of_budget.max_by(|a, b| a.average.mean.total_cmp(&b.average.mean))
    };
    let chosen = best(steps[0]).context("no strategy")?.strategy;
    let regret = best(steps[1]).context("no strategy")?.average.mean - at(chosen, steps[1])?;
    let published =
        |task: usize| spearman(&MEDIUM[task], &LARGE[task]).map(Option::unwrap_or_default);
    let (average, imagenet) = (published(0)?, published(1)?);
    let kind = Kind::ScaledDown;
    let no_filter = Strategy::NoFilter;
    Ok(vec![
        Claim::at_least(
            "strategies keep their order from the small budget to the large one: rank correlation of the mean of the tasks",
            kind, 0.7, rank_correlation[1].unwrap_or(0.0),
        )
        .quoting(format!("{average:.2} from medium to large over seven strategies, mean of 38 tasks (from open_clip's tables)")),
        Claim::at_least(
            "the same of zero-shot accuracy",
            kind, 0.7, rank_correlation[0].unwrap_or(0.0),
        )
        .quoting(format!("{imagenet:.2}, ImageNet accuracy (the same tables)")),
        Claim::at_most("choosing by the small budget costs little at the large one: regret", kind, 0.01, regret)
            .quoting("the best at medium, image-based and CLIP score, is the best at large"),
        Claim::at_least("CLIP score beats no filter: the smaller of the leads at the two budgets", kind, 0.0, lead(Strategy::ClipScore, no_filter)?)
            .quoting("medium .328 against .258, large .529 against .437"),
        Claim::at_least("the image-based filter beats no filter", kind, 0.0, lead(Strategy::ImageBased, no_filter)?)
            .quoting("medium .312 against .258, large .481 against .437"),
        Claim::at_least("both filters together beat each alone", kind, 0.0,
            lead(Strategy::ImageAndClip, Strategy::ClipScore)?.min(lead(Strategy::ImageAndClip, Strategy::ImageBased)?))
            .quoting("medium .328, as CLIP score; large .537 against .529 and .481"),
        Claim::at_least("the DFN beats CLIP score", kind, 0.0, lead(Strategy::Dfn, Strategy::ClipScore)?)
            .quoting("medium .373 against .328, large .560 against .529 (arXiv 2309.17425, table 3)"),
        Claim::at_least("deduplicated and pruned, the DFN's set teaches no less", kind, -0.005, lead(Strategy::DfnDedupPrune, Strategy::Dfn)?)
            .quoting("deduplication, CLIP score and pruning: the best ImageNet accuracy on DataComp medium at its time (arXiv 2401.04578; second hand)"),
    ])
}

pub(super) fn out_of_reach() -> Vec<OutOfReach> {
    let one = |quoted: &str, why: &str| OutOfReach { quoted: quoted.into(), why: why.into() };
    vec![
        one(
            "CLIP ViT-B/32 from pixels on 12.8 to 128 million pairs, 38 tasks",
            "a pool that is not here, and weeks of GPUs; `curate eval command` writes the command for such a cluster",
        ),
        one(
            "pools that grow with the budget, so that no strategy repeats its pairs more at a larger scale",
            "one pool of 36,130 pairs: at 800 steps a set of 30 % is seen 38 times",
        ),
    ]
}
