//! The arguments of `curate plan`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::values::{count, number, output, positive, whole};

#[derive(Subcommand)]
pub(crate) enum PlanCommand {
    /// Fit a law to a table of training runs, and save it.
    ///
    /// The table is CSV with a header, JSON lines or Parquet, one run per row: pool, samples
    /// (seen), unique (distinct samples of the pool), parameters, compute, sigma, weight, group,
    /// weight_<domain>, and one metric whose name declares its direction: error, loss or accuracy.
    /// Counts are written 12.8e9, 12.8B or 12_800_000_000.
    #[command(after_help = "Example:\n  curate plan fit runs.csv --out fit.json")]
    Fit(FitArgs),
    /// Predict the metric of pools and unions at a budget.
    #[command(
        after_help = "Example:\n  curate plan predict fit.json --candidates LAION-2B,LAION-80M --samples 34B"
    )]
    Predict(PredictArgs),
    /// Decide which pool to train on at a budget, and say how sure that is.
    #[command(after_help = "Example:\n  curate plan decide fit.json --samples 34B")]
    Decide(DecideArgs),
    /// Draw the curves of the candidates over a range of budgets.
    #[command(
        after_help = "Example:\n  curate plan plot fit.json --runs runs.csv --out curves.svg"
    )]
    Plot(PlotArgs),
    /// Train small models on buckets of a pool by quality, fit the law that they follow, and say which
    /// share of the pool to keep for a budget.
    ///
    /// Needs a program built with the feature `train`. The folder gets the buckets, the runs and their
    /// table, the fit, the decision, recipe.toml, which keeps that share, and report.html. The same command
    /// goes on where it was interrupted.
    #[command(after_help = "Example:\n  curate plan run loop.toml --out runs/loop")]
    Run(LoopArgs),
}

#[derive(Args)]
#[cfg_attr(
    not(feature = "train"),
    allow(dead_code, reason = "a program without training reads none of them")
)]
pub(crate) struct LoopArgs {
    /// The file that says which pool, score, buckets and budgets: LOOP.toml.
    pub(crate) file: PathBuf,
    /// The folder to write to. What is there already is not made again.
    #[arg(long, short, value_name = "FOLDER", default_value = "runs/loop", value_parser = output)]
    pub(crate) out: PathBuf,
    /// Also make the run that would settle most, and decide again.
    #[arg(long = "continue")]
    pub(crate) go_on: bool,
}

#[derive(Args)]
pub(crate) struct FitArgs {
    /// The table of runs: .csv, .jsonl or .parquet.
    pub(crate) runs: PathBuf,
    /// The file to write.
    #[arg(long, short, value_name = "FILE", default_value = "fit.json", value_parser = output)]
    pub(crate) out: PathBuf,
    /// The law, for example qqt, chinchilla, data-constrained or exponential-mixing. By default
    /// every law that the table allows and that can tell its pools apart is fitted with its usual
    /// priors, and all answer together: the better a law predicts the largest budget from the
    /// smaller ones, the more it has to say.
    #[arg(long, value_name = "NAME")]
    pub(crate) law: Option<String>,
    /// Read the table's column THEIRS as OURS. Repeat it for more columns.
    #[arg(long, value_name = "OURS=THEIRS", value_parser = pair)]
    pub(crate) column: Vec<(String, String)>,
    /// Skip these columns, for example a second metric.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) skip: Vec<String>,
    /// Skip every column that no law uses.
    #[arg(long)]
    pub(crate) ignore_unknown: bool,
    /// Use only the rows of this group, for example one architecture.
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// Fix a parameter at a value; `name[pool]` fixes it for one pool.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) fix: Vec<(String, f64)>,
    /// Give every pool its own value of these parameters, and share the others. By default the
    /// parameters that measure a pool's quality are its own. `--own none` shares all.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) own: Option<Vec<String>>,
    /// A normal prior: the most likely value and the spread (relative for positive parameters).
    #[arg(long, value_name = "NAME=VALUE,SPREAD", value_parser = prior)]
    pub(crate) prior: Vec<(String, f64, f64)>,
    /// The expected size of residuals, which sets the weight of priors.
    #[arg(long, value_parser = positive)]
    pub(crate) noise: Option<f64>,
    /// The cost of residuals: squares, huber=DELTA, or asymmetric=DELTA,OVER. By default squares
    /// for errors and huber=0.001 for losses.
    #[arg(long, value_parser = cost)]
    pub(crate) cost: Option<Cost>,
    /// The scale of residuals. By default metric for errors and log for losses.
    #[arg(long)]
    pub(crate) space: Option<SpaceArg>,
    /// The number of starting points of the search.
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = whole)]
    pub(crate) starts: usize,
    /// Bootstrap draws, which give intervals and win frequencies; 0 for none.
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = whole)]
    pub(crate) draws: usize,
    /// What a bootstrap draw of the law named resamples; by default residuals. Laws that are weighed
    /// draw from what their priors and the runs leave open.
    #[arg(long, requires = "law")]
    pub(crate) resample: Option<ResampleArg>,
    /// The seed for starting points and draws.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) shown: ShownArgs,
}

#[derive(Args)]
pub(crate) struct ShownArgs {
    /// The confidence level of the intervals.
    #[arg(long, default_value_t = 0.9, value_parser = level)]
    pub(crate) level: f64,
    /// Explain every word of the output at more length.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Pools and unions, and what-if changes to them.
#[derive(Args)]
pub(crate) struct CandidateArgs {
    /// The candidates, separated by commas; a union is POOL+POOL. By default each pool of the fit.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "cumulative")]
    pub(crate) candidates: Vec<String>,
    /// Pools, best first: the candidates are the best one, the best two together, and so on.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) cumulative: Vec<String>,
    /// What if a pool had this many distinct samples? Without a name it applies to every pool;
    /// repeat it for several pools.
    #[arg(long, value_name = "[POOL=]COUNT", value_parser = sized)]
    pub(crate) unique: Vec<(Option<String>, f64)>,
    /// What if the model had this many parameters?
    #[arg(long, value_name = "COUNT", value_parser = count)]
    pub(crate) parameters: Option<f64>,
}

#[derive(Args)]
pub(crate) struct PredictArgs {
    /// A file that `plan fit` wrote.
    pub(crate) fit: PathBuf,
    /// Samples seen in training, for example 12.8e9 or 12.8B; several are separated by commas.
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = count, required = true)]
    pub(crate) samples: Vec<f64>,
    #[command(flatten)]
    pub(crate) of: CandidateArgs,
    #[command(flatten)]
    pub(crate) shown: ShownArgs,
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("budget").required(true))]
pub(crate) struct DecideArgs {
    /// Files that `plan fit` wrote. With several, all files have an equal say.
    #[arg(required = true, value_name = "FIT")]
    pub(crate) fits: Vec<PathBuf>,
    /// The budget: samples seen in training, for example 12.8e9 or 12.8B.
    #[arg(long, value_name = "COUNT", value_parser = count, group = "budget")]
    pub(crate) samples: Option<f64>,
    /// The budget as training compute in FLOP, to be split between model size and samples. Needs a
    /// law with model size.
    #[arg(long, value_name = "FLOP", value_parser = count, group = "budget")]
    pub(crate) compute: Option<f64>,
    #[command(flatten)]
    pub(crate) of: CandidateArgs,
    /// Look for switches of the best pool in this range of samples; by default from the smallest
    /// run to ten times the budget.
    #[arg(long, value_name = "LOW..HIGH", value_parser = range)]
    pub(crate) range: Option<(f64, f64)>,
    /// Rank these possible runs by how much of the uncertainty they would remove. By default every
    /// candidate at a half, a quarter and so on of the budget, down to the smallest run.
    #[arg(long = "try", value_name = "POOL@COUNT", value_parser = experiment)]
    pub(crate) experiments: Vec<(String, f64)>,
    /// The most passes over a pool or, for a mixing law, a domain.
    #[arg(long, value_name = "COUNT", value_parser = positive)]
    pub(crate) max_epochs: Option<f64>,
    /// Also write everything as JSON to this file.
    #[arg(long, short, value_name = "FILE", value_parser = output)]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) shown: ShownArgs,
}

#[derive(Args)]
pub(crate) struct PlotArgs {
    /// A file that `plan fit` wrote.
    pub(crate) fit: PathBuf,
    /// The image or table to write: .svg, .csv or .json.
    #[arg(long, short, value_name = "FILE", default_value = "curves.svg", value_parser = output)]
    pub(crate) out: PathBuf,
    /// The range of samples; by default from half the smallest run to ten times the largest.
    #[arg(long, value_name = "LOW..HIGH", value_parser = range)]
    pub(crate) range: Option<(f64, f64)>,
    #[command(flatten)]
    pub(crate) of: CandidateArgs,
    /// The table of runs, whose points are then drawn too.
    #[arg(long, value_name = "FILE")]
    pub(crate) runs: Option<PathBuf>,
    /// Points on each curve.
    #[arg(long, value_name = "COUNT", default_value_t = 120, value_parser = whole)]
    pub(crate) points: usize,
    /// The confidence level of the intervals.
    #[arg(long, default_value_t = 0.9, value_parser = level)]
    pub(crate) level: f64,
    /// The title of the image; by default the law and its metric.
    #[arg(long)]
    pub(crate) title: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum SpaceArg {
    /// Differences of the metric.
    Metric,
    /// Differences of its logarithm.
    Log,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum ResampleArg {
    /// Residuals, put back on the fitted curve; works with few runs.
    Residual,
    /// Rows, within each pool.
    Case,
    /// Runs and priors, each within its noise and spread; needs priors.
    Posterior,
}

#[derive(Clone, Copy)]
pub(crate) enum Cost {
    Squares,
    Huber(f64),
    Asymmetric(f64, f64),
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (left, right) = text.split_once('=').ok_or("must have the form OURS=THEIRS")?;
    Ok((left.to_owned(), right.to_owned()))
}

fn setting(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.rsplit_once('=').ok_or("must have the form NAME=VALUE")?;
    Ok((name.to_owned(), number(value)?))
}

fn sized(text: &str) -> Result<(Option<String>, f64), String> {
    match text.rsplit_once('=') {
        Some((name, value)) => Ok((Some(name.to_owned()), count(value)?)),
        None => Ok((None, count(text)?)),
    }
}

fn experiment(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.rsplit_once('@').ok_or("must have the form POOL@COUNT")?;
    Ok((name.to_owned(), count(value)?))
}

fn prior(text: &str) -> Result<(String, f64, f64), String> {
    let form = "must have the form NAME=VALUE,SPREAD";
    let (name, rest) = text.rsplit_once('=').ok_or(form)?;
    let (value, spread) = rest.split_once(',').ok_or(form)?;
    Ok((name.to_owned(), number(value)?, number(spread)?))
}

fn cost(text: &str) -> Result<Cost, String> {
    let (kind, numbers) = text.split_once('=').unwrap_or((text, ""));
    match (kind, numbers.split_once(',')) {
        ("squares", _) if numbers.is_empty() => Ok(Cost::Squares),
        ("huber", None) => Ok(Cost::Huber(number(numbers)?)),
        ("asymmetric", Some((delta, over))) => Ok(Cost::Asymmetric(number(delta)?, number(over)?)),
        _ => Err("must be squares, huber=DELTA or asymmetric=DELTA,OVER".to_owned()),
    }
}

fn range(text: &str) -> Result<(f64, f64), String> {
    let (low, high) = text.split_once("..").ok_or("must have the form LOW..HIGH")?;
    let (low, high) = (count(low)?, count(high)?);
    if low < high { Ok((low, high)) } else { Err("must rise from LOW to HIGH".to_owned()) }
}

fn level(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(level) if level > 0.0 && level < 1.0 => Ok(level),
        _ => Err("must be between 0 and 1, for example 0.9".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_an_equals_sign() {
        assert_eq!(setting("b[p=1]=-0.2"), Ok(("b[p=1]".to_owned(), -0.2)));
        assert_eq!(sized("top=1=2M"), Ok((Some("top=1".to_owned()), 2e6)));
        assert_eq!(sized("2M"), Ok((None, 2e6)));
        assert_eq!(prior("alpha=0.3,0.1"), Ok(("alpha".to_owned(), 0.3, 0.1)));
        assert!(setting("d=nan").is_err() && prior("d=0.1,nan").is_err());
    }

    #[test]
    fn ranges_rise() {
        assert_eq!(range("1M..2B"), Ok((1e6, 2e9)));
        assert!(range("2B..1M").is_err());
        assert!(range("2B").is_err());
    }
}
