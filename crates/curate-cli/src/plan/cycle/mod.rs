//! `curate plan run`: small runs on buckets of a pool by quality, the law that they follow, and the share of
//! the pool to keep for the budget that counts.
//!
//! The steps are those of `curate run`, `eval compare`, `plan fit` and `plan decide`, and so are their files:
//! each step can be looked at, and repeated by hand, with those commands.

mod asked;
mod buckets;
mod page;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use curate::{
    io::{IoError, atomic},
    scaling::decide::Proposal,
};

use self::{
    asked::Loop,
    buckets::{Bucket, fill, percent, recipe},
    page::Page,
};
use super::{
    args::{FitArgs, LoopArgs},
    decide::{self, Decision, LawDecision},
    fit,
};
use crate::{
    eval::{args::CompareArgs, compare::compare},
    failure::Failure,
    progress::Shown,
    show,
    words::parsed,
};

pub(super) fn run(args: &LoopArgs, shown: &Shown) -> Result<(), Failure> {
    let asked = Loop::read(&args.file)?;
    let buckets = buckets::of(&asked, &args.out);
    let first = Part { asked: &asked, out: args.out.join("runs") };
    // Before the pool is scored: what is wrong with the file is told at once.
    first.args(&buckets, &asked.budgets)?;
    let rows = fill(&buckets, &asked, &args.out, shown)?;
    if let Some(advice) = only_repeats(&rows, &asked.sizes()) {
        show::text(advice)?;
    }
    first.train(&buckets, &asked.budgets, shown)?;
    let mut decided = decide(&asked, &args.out, &buckets, shown)?;
    if args.go_on {
        let Some((proposal, bucket)) = next_run(&decided, &buckets) else {
            let problem = "no run on a bucket is proposed: there is none between those made and the \
                           budget that counts that would settle more";
            return Err(Failure::Usage(problem.to_owned()));
        };
        let samples = format!("{:.0}", proposal.samples);
        let out = args.out.join(format!("more/{}-{samples}", bucket.name));
        let more = Part { asked: &asked, out };
        more.train(std::slice::from_ref(bucket), &[samples], shown)?;
        decided = decide(&asked, &args.out, &buckets, shown)?;
    }
    answer(&asked, args, &buckets, &decided, shown)
}

/// Said where no bucket has two budgets that repeat nothing: errors fall more slowly with the budget
/// because of a floor and because of repeats, and only runs without repeats tell one from the other.
fn only_repeats(rows: &[usize], budgets: &[f64]) -> Option<String> {
    let fresh = |rows: usize| budgets.iter().filter(|budget| **budget <= rows as f64).count();
    let largest = rows.iter().copied().max()?;
    rows.iter().all(|rows| fresh(*rows) < 2).then(|| {
        format!(
            "note: nearly all small runs see their bucket more than once, so that a law cannot tell a floor of \
             the error from what repeats lose, and promises too much of larger shares: add budgets below {largest} \
             samples\n"
        )
    })
}

/// Some of the small runs, in a folder of their own.
struct Part<'a> {
    asked: &'a Loop,
    out: PathBuf,
}

impl Part<'_> {
    fn train(&self, buckets: &[Bucket], budgets: &[String], shown: &Shown) -> Result<(), Failure> {
        compare(&self.args(buckets, budgets)?, shown)
    }

    /// What `curate eval compare` is asked.
    fn args(&self, buckets: &[Bucket], budgets: &[String]) -> Result<CompareArgs, Failure> {
        let text = |path: &Path| path.display().to_string();
        let mut words = vec![text(&self.asked.pool)];
        words.extend(buckets.iter().map(|b| format!("{}={}", b.name, text(&b.file))));
        words.extend(["--budgets".into(), budgets.join(","), "--out".into(), text(&self.out)]);
        words.extend(["--seeds".into(), self.asked.seeds.to_string()]);
        if let Some(embeddings) = &self.asked.embeddings {
            words.extend(["--embeddings".into(), text(embeddings)]);
        }
        words.extend(self.asked.train.iter().cloned());
        let file = self.asked.file.display();
        parsed(words).map_err(|error| Failure::Usage(format!("{file}: `train`: {error}")))
    }
}

/// The run on a bucket that would settle most.
fn next_run<'a>(law: &'a LawDecision, buckets: &'a [Bucket]) -> Option<(&'a Proposal, &'a Bucket)> {
    let of_bucket = |proposal: &'a Proposal| {
        let bucket = buckets.iter().find(|bucket| bucket.name == proposal.candidate)?;
        Some((proposal, bucket))
    };
    law.next.iter().filter(|proposal| proposal.settles > 0.0).find_map(of_bucket)
}

/// Fits the laws to all runs in the folder, and asks them for the share to keep.
fn decide(
    asked: &Loop,
    out: &Path,
    buckets: &[Bucket],
    shown: &Shown,
) -> Result<LawDecision, Failure> {
    let text = |name: &str| out.join(name).display().to_string();
    atomic::write(&out.join("runs.csv"), gathered(out)?.as_bytes())?;
    fit::fit(&parsed::<FitArgs>(vec![text("runs.csv"), "--out".into(), text("fit.json")])?, shown)?;
    let names: Vec<&str> = buckets.iter().map(|bucket| &*bucket.name).collect();
    let mut words = vec![text("fit.json"), "--samples".into(), asked.budget.clone()];
    words.extend(["--cumulative".into(), names.join(","), "--out".into(), text("decision.json")]);
    for name in &names {
        // A run that is worth making is larger than those there are, and smaller than the one that counts.
        let doubled = std::iter::successors(Some(2.0 * asked.largest()), |n| Some(2.0 * n));
        for samples in doubled.take_while(|&n| n < asked.target()).take(4) {
            words.extend(["--try".into(), format!("{name}@{samples:.0}")]);
        }
    }
    let Decision::Pool(decision) = decide::decide(&parsed(words)?, shown)? else {
        unreachable!("which pool for a number of samples was asked");
    };
    Ok(decision.laws.into_iter().next().expect("one fit was asked"))
}

/// The tables of all parts as one.
fn gathered(out: &Path) -> Result<String, IoError> {
    let mut tables = vec![out.join("runs/runs.csv")];
    let more = out.join("more");
    if let Ok(entries) = fs::read_dir(&more) {
        let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        folders.sort_unstable();
        let there = folders.into_iter().map(|folder| folder.join("runs.csv"));
        tables.extend(there.filter(|table| table.exists()));
    }
    let mut all = String::new();
    for table in tables {
        let text = fs::read_to_string(&table).map_err(|e| IoError::os(&table, "read", e))?;
        let (header, rows) = text.split_once('\n').unwrap_or((&text, ""));
        if all.is_empty() {
            // Writing to a string does not fail.
            let _ = writeln!(all, "{header}");
        }
        all += rows;
    }
    Ok(all)
}

/// Says the share to keep, and writes the recipe that keeps it and the page that shows why.
fn answer(
    asked: &Loop,
    args: &LoopArgs,
    buckets: &[Bucket],
    law: &LawDecision,
    shown: &Shown,
) -> Result<(), Failure> {
    let path = args.out.join("recipe.toml");
    let (verdict, files) = match law.best.winner() {
        Some(winner) => {
            let share = buckets::end(buckets, &winner.name).expect("a union ends with a bucket");
            atomic::write(&path, recipe(asked, share)?.to_toml().as_bytes())?;
            let verdict = format!(
                "keep the best {} % of the pool for {} samples: the best of {} shares in {:.0} % of draws",
                percent(share),
                asked.budget,
                buckets.len(),
                100.0 * winner.wins
            );
            (verdict, "recipe.toml and report.html")
        }
        None => {
            // One of earlier runs would keep a share that is no longer known to be the best.
            if path.exists() {
                fs::remove_file(&path).map_err(|e| IoError::os(&path, "removed", e))?;
            }
            ("no share is known to be the best: no recipe is written".to_owned(), "report.html")
        }
    };
    let page = Page { asked, buckets, law, verdict: &verdict }.read(&args.out, shown)?;
    atomic::write(&args.out.join("report.html"), page.to_html().as_bytes())?;
    let mut said = format!("\n{verdict}\n");
    if let Some(beyond) = asked.far_beyond() {
        let _ = writeln!(said, "{beyond}");
    }
    let _ = writeln!(said, "wrote {}: {files}", args.out.display());
    if let Some((next, _)) = next_run(law, buckets) {
        let _ = writeln!(
            said,
            "--continue makes the run that would settle most: {} for {:.0} samples",
            next.candidate, next.samples
        );
    }
    show::text(said)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::only_repeats;

    #[test]
    fn budgets_that_all_repeat_are_told() {
        let advice = only_repeats(&[900, 2300], &[2000.0, 4000.0]).unwrap();
        assert!(advice.contains("add budgets below 2300 samples"), "{advice}");
        assert_eq!(only_repeats(&[900, 2300], &[1000.0, 2000.0, 4000.0]), None);
    }
}
