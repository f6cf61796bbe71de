//! What `curate plan` prints for people.

use std::fmt;

use curate::scaling::{
    Interval, Law, Metric,
    decide::{Proposal, Ranked},
    fit::OutOfRange,
    show_count as count,
};

use super::{
    Predictions,
    decide::{ComputeDecision, Decision, LawDecision, MixtureDecision, PoolDecision},
    fit::Fitted,
    words::write_words,
};

/// Possible runs that are worth a line.
const PROPOSALS: usize = 3;
/// Rounded win frequencies from which a decision counts as settled.
const SETTLED: f64 = 0.95;

pub(super) fn metric_name(metric: Metric) -> &'static str {
    match metric {
        Metric::Error => "error",
        Metric::Loss => "loss",
    }
}

/// Four significant digits.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-4..1e5).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let digits = (3.0 - value.abs().log10().floor()).clamp(0.0, 8.0) as usize;
    format!("{value:.digits$}")
}

fn interval(interval: &Interval, shown: fn(f64) -> String) -> String {
    let end = |value: f64| if value == f64::INFINITY { "never".to_owned() } else { shown(value) };
    format!("{} to {}", end(interval.low), end(interval.high))
}

fn plural(count: usize, of: &str) -> String {
    if count == 1 { format!("1 {of}") } else { format!("{count} {of}s") }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn outside(found: &[OutOfRange]) -> String {
    let one = |o: &OutOfRange| {
        let (value, low, high) = (count(o.value), count(o.span.low), count(o.span.high));
        let off = if o.value > o.span.high {
            format!("{} times the largest", short(o.value / o.span.high))
        } else {
            format!("{} of the smallest", short(o.value / o.span.low))
        };
        format!("{} {value} is outside the runs' {low} to {high}, {off}", o.axis)
    };
    found.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Fitted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.tried.is_empty() {
            self.write_tried(f)?;
        }
        self.write_parameters(f)?;
        self.write_search(f)?;
        for warning in self.fit.warnings() {
            writeln!(f, "warning: {warning}")?;
        }
        write_words(f, &self.words(), self.explain)?;
        writeln!(f, "wrote {}", self.out.display())
    }
}

impl Fitted<'_> {
    fn words(&self) -> Vec<&str> {
        let mut words =
            if self.tried.is_empty() { vec![] } else { vec!["held out", "share", "AICc"] };
        words.extend(["objective", "R2", "noise", "condition"]);
        let base = |name: &'_ str| name.split('[').next().unwrap_or_default().len();
        words.extend(self.fit.slots().iter().map(|slot| &slot.name[..base(&slot.name)]));
        words
    }

    fn write_tried(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<32} {:>10} {:>10} {:>10} {:>7}",
            "law", "parameters", "AICc", "held out", "share"
        )?;
        for law in self.tried {
            let score = &law.score;
            let aicc = score.aicc.map_or("-".to_owned(), |a| format!("{a:.1}"));
            let held = score.holdout.as_ref().map_or("-".to_owned(), |h| short(h.rmse));
            let (name, parameters, share) = (&score.law, score.parameters, percent(law.share));
            writeln!(f, "{name:<32} {parameters:>10} {aicc:>10} {held:>10} {share:>7}")?;
        }
        for law in self.left_out {
            writeln!(f, "{:<32} left out: {}", law.law, law.why)?;
        }
        writeln!(f)
    }

    fn write_parameters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let observations = self.fit.observations();
        let (law, metric) = (self.fit.law().name(), metric_name(self.fit.metric()));
        let pools = self.fit.pools().len();
        let share = if self.tried.len() > 1 { ", whose share is the largest" } else { "" };
        let (runs, pools) = (plural(observations, "run"), plural(pools, "pool"));
        writeln!(f, "law {law}{share}, fitted to {runs} ({metric}, {pools})")?;
        let level = format!("{} interval", percent(self.level));
        writeln!(f, "  {:<28} {:>12}   {level}", "parameter", "value")?;
        for (i, (slot, value)) in self.fit.slots().iter().zip(self.fit.theta()).enumerate() {
            let doubt = match (slot.fixed, self.intervals.get(i)) {
                (Some(_), _) => "fixed".to_owned(),
                (None, Some(found)) => interval(found, short),
                (None, None) => "no draws".to_owned(),
            };
            writeln!(f, "  {:<28} {:>12}   {doubt}", slot.name, short(*value))?;
        }
        Ok(())
    }

    fn write_search(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minima = self.fit.minima();
        let noise = self.fit.noise().map_or(String::new(), |n| format!(", noise {}", short(n)));
        writeln!(
            f,
            "objective {}, R2 {:.4}{noise}, scaled gradient {:.0e}, condition {}",
            short(minima[0].objective),
            self.r_squared,
            minima[0].gradient,
            self.fit.curvature().condition.map_or("infinite".to_owned(), |c| format!("{c:.0}")),
        )?;
        for other in &minima[1..] {
            writeln!(f, "another minimum: objective {}", short(other.objective))?;
        }
        Ok(())
    }
}

impl fmt::Display for Predictions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.predictions.iter().map(|p| named(&p.candidate).len());
        let wide = names.max().unwrap_or(0).max("pool".len());
        let (metric, level) = (metric_name(self.metric), percent(self.level));
        writeln!(f, "{}, {level} intervals", of_laws(&self.law))?;
        write_shares(f, &self.law)?;
        write_without(f, "  ", &self.without)?;
        writeln!(
            f,
            "{:<wide$} {:>9} {:>8} {metric:>9}   {:<20} of a new run",
            "pool", "samples", "epochs", "of the curve"
        )?;
        for p in &self.predictions {
            let epochs = p.epochs.map_or("-".to_owned(), short);
            let of = |i: &Option<Interval>| i.map_or("-".to_owned(), |i| interval(&i, short));
            writeln!(
                f,
                "{:<wide$} {:>9} {epochs:>8} {:>9}   {:<20} {}",
                named(&p.candidate),
                count(p.samples),
                short(p.metric),
                of(&p.interval),
                of(&p.new_run)
            )?;
            if !p.out_of_range.is_empty() {
                writeln!(f, "{:<wide$} ! {}", "", outside(&p.out_of_range))?;
            }
        }
        write_words(f, &["epochs", "curve", "new run"], self.explain)
    }
}

/// A table without a column of pools has one, without a name.
fn named(pool: &str) -> &str {
    if pool.is_empty() { "the pool" } else { pool }
}

fn listed(names: &[String]) -> String {
    match names {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        _ => names.join(", "),
    }
}

/// One law by its name, several by their number.
fn of_laws(law: &str) -> String {
    match law.matches(", ").count() {
        0 => format!("law {law}"),
        more => format!("{} laws together", more + 1),
    }
}

/// Several laws with their shares, in a line.
fn write_shares(f: &mut fmt::Formatter<'_>, law: &str) -> fmt::Result {
    if law.contains(", ") { writeln!(f, "  {law}") } else { Ok(()) }
}

fn write_without(f: &mut fmt::Formatter<'_>, indent: &str, without: &[&str]) -> fmt::Result {
    if without.is_empty() {
        return Ok(());
    }
    writeln!(f, "{indent}without {}, which cannot predict every candidate", without.join(", "))
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(decision) => decision.fmt(f),
            Self::Compute(decision) => decision.fmt(f),
            Self::Mixture(decision) => decision.fmt(f),
        }
    }
}

impl fmt::Display for PoolDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for law in &self.laws {
            law.write(f, self.samples, self.level)?;
        }
        if !self.consensus.is_empty() {
            writeln!(f, "all files together:")?;
            for joined in &self.consensus {
                let laws: Vec<String> = joined.best_of.iter().map(|law| of_laws(law)).collect();
                let best_of = match laws.is_empty() {
                    true => String::new(),
                    false => format!("   best by {}", laws.join(", ")),
                };
                writeln!(f, "  {} wins {}{best_of}", joined.name, percent(joined.wins))?;
            }
        }
        if !self.over_epochs.is_empty() {
            let names = self.over_epochs.join(", ");
            writeln!(f, "left out, repeated more often than allowed: {names}")?;
        }
        let mut words = vec!["wins", "regret"];
        if self.laws.iter().any(|law| !law.next.is_empty()) {
            words.push("doubt");
        }
        write_words(f, &words, self.explain)
    }
}

impl LawDecision {
    fn write(&self, f: &mut fmt::Formatter<'_>, samples: f64, level: f64) -> fmt::Result {
        let (best, laws) = (self.best.best(), of_laws(self.best.law()));
        let at = format!("{laws}: at {} samples", count(samples));
        match self.best.winner() {
            Some(only) if self.best.ranking().len() == 1 => {
                writeln!(f, "{at}, {} is the only candidate", named(&only.name))?;
            }
            Some(winner) => writeln!(f, "{at}, train on {}", named(&winner.name))?,
            None => writeln!(f, "{at}, cannot tell {} apart", listed(self.best.tied()))?,
        }
        write_shares(f, self.best.law())?;
        write_without(f, "  ", &self.without)?;
        self.write_ranking(f, level)?;
        if !best.out_of_range.is_empty() {
            writeln!(f, "  ! {}: an extrapolation", outside(&best.out_of_range))?;
        }
        if self.best.winner().is_none() {
            return writeln!(
                f,
                "  no pool is chosen: nothing in the law differs between them. Fit again without \
                 --law, or give pools a parameter of their own (--own)"
            );
        }
        if self.best.ranking().len() == 1 {
            return Ok(());
        }
        if best.wins < SETTLED {
            writeln!(f, "  not settled: the best wins {} of the draws", percent(best.wins))?;
        }
        self.write_switches(f)?;
        self.write_multipliers(f)?;
        self.write_proposals(f)
    }

    fn write_ranking(&self, f: &mut fmt::Formatter<'_>, level: f64) -> fmt::Result {
        let ranking = self.best.ranking();
        let names = ranking.iter().map(|r| named(&r.name).len());
        let wide = names.max().unwrap_or(0).max("pool".len());
        let of_level = format!("{} interval", percent(level));
        writeln!(
            f,
            "  {:<wide$} {:>9}   {of_level:<20} {:>6} {:>9}",
            "pool", "metric", "wins", "regret"
        )?;
        for Ranked { name, metric, wins, regret, .. } in ranking {
            let (wins, regret) = match ranking.len() {
                1 => ("-".to_owned(), "-".to_owned()),
                _ => (percent(*wins), short(*regret)),
            };
            let (value, doubt) = (short(metric.estimate), interval(metric, short));
            let name = named(name);
            writeln!(f, "  {name:<wide$} {value:>9}   {doubt:<20} {wins:>6} {regret:>9}")?;
        }
        Ok(())
    }

    fn write_switches(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (count(self.range.0), count(self.range.1));
        if self.switches.is_empty() {
            writeln!(f, "  no switch of the best pool between {low} and {high} samples")?;
        }
        for switch in &self.switches {
            writeln!(
                f,
                "  from {} to {} at {} samples ({}; never in {} of the draws)",
                switch.from,
                switch.to,
                count(switch.samples.estimate),
                interval(&switch.samples, count),
                percent(switch.never)
            )?;
        }
        Ok(())
    }

    fn write_multipliers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (other, worth) in &self.multipliers {
            let times = if worth.multiplier.estimate.is_finite() {
                let (times, doubt) =
                    (short(worth.multiplier.estimate), interval(&worth.multiplier, short));
                format!("needs {times} times the samples to match it ({doubt})")
            } else {
                "never matches it".to_owned()
            };
            writeln!(f, "  {other} {times}")?;
        }
        Ok(())
    }

    fn write_proposals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.next.is_empty() {
            writeln!(f, "  the next run that would settle most:")?;
        }
        for Proposal { candidate, samples, settles, spread, .. } in self.next.iter().take(PROPOSALS)
        {
            writeln!(
                f,
                "    {candidate} for {} samples: {} of the doubt (the draws differ by {} there)",
                count(*samples),
                percent(*settles),
                short(*spread)
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for ComputeDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} FLOP, {} intervals:", short(self.compute), percent(self.level))?;
        for pool in &self.pools {
            let best = &pool.best;
            let epochs = best.epochs.map_or(String::new(), |e| format!(", {} epochs", short(e)));
            let cap = if best.at_cap { " (the most allowed)" } else { "" };
            let name = named(&pool.pool);
            writeln!(
                f,
                "  {name} (law {}): a model of {} ({}) for {} samples ({}){epochs}{cap}, metric {}",
                pool.law,
                count(best.parameters),
                interval(&pool.parameters, count),
                count(best.samples),
                interval(&pool.samples, count),
                short(best.metric)
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for MixtureDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let best = &self.optimum;
        let mean = if self.fits > 1 { "mean " } else { "" };
        writeln!(f, "at {} samples, {mean}metric {}:", count(self.samples), short(best.metric))?;
        let wide = best.domains.iter().map(String::len).max().unwrap_or(0).max("domain".len());
        writeln!(f, "  {:<wide$} {:>8} {:>8}   without caps", "domain", "weight", "epochs")?;
        for (i, domain) in best.domains.iter().enumerate() {
            let epochs = best.epochs.get(i).map_or("-".to_owned(), |e| short(*e));
            let cap = if best.at_cap[i] { "  at its cap" } else { "" };
            writeln!(
                f,
                "  {domain:<wide$} {:>8.4} {epochs:>8}   {:.4}{cap}",
                best.weights[i], best.unconstrained[i]
            )?;
        }
        writeln!(f, "metric without caps: {}", short(best.unconstrained_metric))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(short(0.123456), "0.1235");
        assert_eq!(short(12.3456), "12.35");
        assert_eq!(short(12345.6), "12346");
        assert_eq!(short(1.0e-7), "1.000e-7");
        assert_eq!(listed(&["a", "b", "c"].map(str::to_owned)), "a, b and c");
    }
}
