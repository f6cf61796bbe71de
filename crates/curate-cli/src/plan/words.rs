//! What the words of the output mean: a line each, and more when asked.

use std::fmt;

/// A word, what it means in a line, and more.
struct Word {
    name: &'static str,
    line: &'static str,
    more: &'static str,
}

const WORDS: [Word; 26] = [
    Word {
        name: "held out",
        line: "how far off the law is (RMSE) at the largest budget when fitted to the smaller runs",
        more: "the best test of a law that is to look further ahead than its runs",
    },
    Word {
        name: "share",
        line: "how much a law has to say in every answer, by its held-out error",
        more: "its share of the draws, so intervals hold the doubt about the law too",
    },
    Word {
        name: "AICc",
        line: "how well a law fits, less a penalty for its parameters; lower is better",
        more: "corrected for few runs; `-` where there are too few of them. Differences below 2 say \
               nothing",
    },
    Word {
        name: "objective",
        line: "the sum of the residuals' costs, which the fit makes small",
        more: "its other minima are other parameters that the search also came to rest at",
    },
    Word {
        name: "R2",
        line: "the share of the metric's variance that the law explains",
        more: "near 1 for almost any curve that falls: no proof of a law",
    },
    Word {
        name: "noise",
        line: "the typical size of what the law leaves unexplained in a run",
        more: "the standard deviation of residuals, corrected for the parameters searched",
    },
    Word {
        name: "condition",
        line: "how much parameters can trade off against each other: above 100, read no single one",
        more: "the ratio of the best to the least determined direction; predictions stay sound",
    },
    Word {
        name: "wins",
        line: "the share of draws in which the pool is the best",
        more: "draws are parameters and laws that the runs allow; equal pools share a draw. 50 % of \
               two pools is a toss-up",
    },
    Word {
        name: "regret",
        line: "what choosing the pool costs on average, against the best pool of each draw",
        more: "in units of the metric: a pool that seldom wins may still cost next to nothing",
    },
    Word {
        name: "doubt",
        line: "how much the draws disagree on which pool is better, and by how much",
        more: "the variance over draws of the gap between the best pool and its rivals; a run that \
               removes 80 % of it all but settles the question",
    },
    Word {
        name: "curve",
        line: "the metric of a typical run, without the luck of one",
        more: "its interval narrows with more runs",
    },
    Word {
        name: "new run",
        line: "what one run would measure: the curve's doubt and a run's noise",
        more: "its interval never gets narrower than the noise",
    },
    Word {
        name: "epochs",
        line: "how often a run passes over its pool: samples seen over distinct samples",
        more: "",
    },
    Word {
        name: "b",
        line: "a pool's quality: error above d falls as samples^b while fresh; more negative is better",
        more: "the exponent of the law of the quality-quantity trade-off (QQT)",
    },
    Word { name: "d", line: "the error that no amount of this data removes", more: "" },
    Word {
        name: "E",
        line: "the error or loss that no amount of this data (and no larger model) removes",
        more: "",
    },
    Word {
        name: "unit_samples",
        line: "the samples at which the reducible error would be 1: the curves' height",
        more: "trades off against d; the paper's a is 1e5 / unit_samples",
    },
    Word {
        name: "half_life",
        line: "the epochs after which seeing a sample again helps half as much",
        more: "in epochs for each million distinct samples where the law is `-proportional`; at a \
               million where it is `-power`",
    },
    Word {
        name: "half_life_power",
        line: "how the half-life grows with the pool: 0 not at all, 1 in proportion",
        more: "",
    },
    Word { name: "A", line: "the height of the part of the curve that falls", more: "" },
    Word { name: "B", line: "the height of the part that falls with the samples", more: "" },
    Word { name: "c", line: "how fast samples lower it: samples^-c", more: "" },
    Word { name: "alpha", line: "how fast parameters lower it: parameters^-alpha", more: "" },
    Word { name: "beta", line: "how fast samples lower it: samples^-beta", more: "" },
    Word {
        name: "R_D",
        line: "the repeats of the data after which more hardly help",
        more: "repeats beyond it are worth less than 37 % of fresh samples",
    },
    Word {
        name: "shift",
        line: "the samples of the warm-up, before the curve falls as a power law",
        more: "",
    },
];

/// The meaning of the words that an output uses, a line each; with `explain`, more of each.
pub(super) fn write_words(f: &mut fmt::Formatter<'_>, used: &[&str], explain: bool) -> fmt::Result {
    for Word { name, line, more } in WORDS.iter().filter(|word| used.contains(&word.name)) {
        writeln!(f, "{name}: {line}")?;
        if explain && !more.is_empty() {
            writeln!(f, "    {more}")?;
        }
    }
    if !explain && !used.is_empty() {
        writeln!(f, "(more with --explain)")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_a_line_of_its_own() {
        for (i, word) in WORDS.iter().enumerate() {
            assert!(WORDS[..i].iter().all(|other| other.name != word.name), "{}", word.name);
            assert!(word.line.len() + word.name.len() < 100, "{}", word.name);
        }
    }
}
