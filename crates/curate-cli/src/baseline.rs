//! `curate baseline`: DataComp's filtering baselines, with its flag names.

use std::{fmt, path::PathBuf};

use clap::{Args, ValueEnum};
use curate::{
    baselines::{Arch, Baseline, BaselineName, BaselineParams, MorphyRule, Rule, Subset},
    core::ParamsError,
    io::subset::{self, SubsetFormat},
};
use serde::Serialize;

use crate::{
    failure::Failure,
    progress::Shown,
    show,
    values::{number, output, share},
};

#[derive(Args)]
pub(crate) struct BaselineArgs {
    /// The baseline.
    #[arg(required_unless_present = "name_flag")]
    name: Option<Name>,
    /// The same, as DataComp's baselines.py takes it.
    #[arg(
        long = "name",
        id = "name_flag",
        value_name = "NAME",
        conflicts_with = "name",
        hide = true
    )]
    name_flag: Option<Name>,
    /// The folder of metadata shards: NAME.parquet, and NAME.npz for the image-based baselines.
    #[arg(long, alias = "metadata_dir", value_name = "FOLDER")]
    metadata_dir: PathBuf,
    /// The subset file to write: .npy as DataComp does, or .memmap, .parquet, .jsonl, .txt.
    #[arg(long, alias = "save_path", value_name = "FILE", value_parser = output)]
    save_path: PathBuf,
    /// Whose CLIP score to read, for clip_score and image_based_intersect_clip_score.
    #[arg(long)]
    arch: Option<ArchArg>,
    /// Keep rows of at least this score.
    #[arg(long, allow_hyphen_values = true, conflicts_with = "fraction", value_parser = number)]
    threshold: Option<f64>,
    /// Keep the best fraction of the pool by score, ties included; for random_subset, the share of
    /// ids to draw.
    #[arg(long, allow_hyphen_values = true, value_parser = share)]
    fraction: Option<f64>,
    /// The seed of random_subset.
    #[arg(long)]
    seed: Option<u64>,
    /// A fastText model that names languages, such as lid.176.bin (126 MB, which DataComp uses) or
    /// lid.176.ftz (0.9 MB), CC BY-SA 3.0, from fasttext.cc/docs/en/language-identification.html.
    #[arg(long, alias = "language_model", value_name = "FILE")]
    language_model: Option<PathBuf>,
    /// Name languages without a model, by a built-in identifier of 16 of them: another subset than
    /// DataComp's.
    #[arg(long, value_name = "IDENTIFIER", conflicts_with = "language_model")]
    language: Option<Language>,
    /// WordNet 3.0's folder (index.noun, data.noun, noun.exc, ...), for text_based. Debian has it in
    /// the package wordnet-base.
    #[arg(long, value_name = "FOLDER")]
    wordnet: Option<PathBuf>,
    /// The ids to look for, one a line (n01440764), for text_based: DataComp's list is that of
    /// ImageNet-21k.
    #[arg(long, alias = "entity_ids", value_name = "FILE")]
    entity_ids: Option<PathBuf>,
    /// How words are brought to their base form: `one-step` as NLTK 3.9 and later, `repeated` as
    /// NLTK 3.8.1, which DataComp pins.
    #[arg(long, value_name = "RULE", default_value = "one-step")]
    morphy: MorphyArg,
    /// Centroids of the pool's ViT-L/14 image features, an npy file of k x d floats, for
    /// image_based. DataComp publishes them as PyTorch files:
    /// `numpy.save("c.npy", torch.load("c.pt"))`.
    #[arg(long, alias = "centroids_path", value_name = "FILE")]
    centroids: Option<PathBuf>,
    /// ViT-L/14 features of the images wanted (ImageNet's), an npy file of n x d floats, for
    /// image_based.
    #[arg(long, alias = "target_features", value_name = "FILE")]
    target_features: Option<PathBuf>,
    /// Threads, as DataComp's baselines.py takes them: the same as --threads.
    #[arg(long, alias = "num_workers", value_name = "N", hide = true)]
    pub(crate) num_workers: Option<usize>,
    /// Accepted for DataComp's sake; no GPU is needed.
    #[arg(long, alias = "num_gpus", value_name = "N", hide = true)]
    num_gpus: Option<usize>,
    /// Accepted for DataComp's sake; results do not depend on it.
    #[arg(long, alias = "batch_size", value_name = "N", hide = true)]
    batch_size: Option<usize>,
    /// The scale whose centroids DataComp downloads; --centroids names them here.
    #[arg(long, alias = "image_based_scale", value_name = "SCALE", hide = true)]
    image_based_scale: Option<Scale>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Every row.
    #[value(name = "no_filter", alias = "no-filter")]
    NoFilter,
    /// A seeded share of the ids.
    #[value(name = "random_subset", alias = "random-subset")]
    RandomSubset,
    /// English captions of enough words, images of enough pixels.
    #[value(name = "basic_filter", alias = "basic-filter")]
    BasicFilter,
    /// A good enough CLIP score.
    #[value(name = "clip_score", alias = "clip-score")]
    ClipScore,
    /// English captions with a ViT-B/32 score of at least 0.28. DataComp names languages with CLD3
    /// here, which this program does not have: the subset is another one.
    #[value(name = "laion2b")]
    Laion2b,
    /// English captions that name an entity of a list.
    #[value(name = "text_based", alias = "text-based")]
    TextBased,
    /// Pictures in the clusters of ImageNet's.
    #[value(name = "image_based", alias = "image-based")]
    ImageBased,
    /// Both image_based and clip_score.
    #[value(name = "image_based_intersect_clip_score", alias = "image-based-intersect-clip-score")]
    ImageBasedIntersectClipScore,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    BuiltIn,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scale {
    Small,
    Medium,
    Large,
    Xlarge,
}

#[derive(Clone, Copy, ValueEnum)]
enum ArchArg {
    /// ViT-B/32.
    B32,
    /// ViT-L/14.
    L14,
}

#[derive(Clone, Copy, ValueEnum)]
enum MorphyArg {
    OneStep,
    Repeated,
}

impl From<Name> for BaselineName {
    fn from(name: Name) -> Self {
        match name {
            Name::NoFilter => Self::NoFilter,
            Name::RandomSubset => Self::RandomSubset,
            Name::BasicFilter => Self::BasicFilter,
            Name::ClipScore => Self::ClipScore,
            Name::Laion2b => Self::Laion2b,
            Name::TextBased => Self::TextBased,
            Name::ImageBased => Self::ImageBased,
            Name::ImageBasedIntersectClipScore => Self::ImageBasedIntersectClipScore,
        }
    }
}

pub(crate) fn run(args: &BaselineArgs, shown: &Shown) -> Result<(), Failure> {
    let format = SubsetFormat::of_path(&args.save_path)?;
    let baseline = args.params().check().map_err(|e| usage(&e, args.rule()))?;
    named(&baseline)?;
    args.language_named()?;
    let subset = baseline.subset(&args.metadata_dir, shown)?;
    subset::write(&args.save_path, format, &subset.ids)?;
    let count = subset.ids.len();
    let found = Found {
        baseline: baseline.rule(),
        count,
        subset: &subset,
        languages: args.languages(),
        args,
    };
    if args.json {
        show::json(&found)?
    } else {
        show::text(found)?
    }
    Ok(())
}

/// Every violation, with its parameter as a flag.
fn usage(error: &ParamsError, rule: BaselineName) -> Failure {
    let said = error.violations.iter().map(|violation| {
        let (flag, value, allowed) = (&violation.field, &violation.value, &violation.allowed);
        format!("--{flag} is {value}, but must be {}", allowed.replace('`', ""))
    });
    Failure::Usage(format!("{rule}: {}", said.collect::<Vec<_>>().join("; ")))
}

/// Refuses a rule whose files no flag names.
fn named(baseline: &Baseline) -> Result<(), Failure> {
    let flags: Vec<String> = baseline.unnamed().iter().map(|flag| format!("--{flag}")).collect();
    if flags.is_empty() {
        return Ok(());
    }
    let (rule, flags) = (baseline.rule().name(), flags.join(" and "));
    Err(Failure::Usage(format!("{rule} needs {flags}; --help says what they are")))
}

/// Who names the languages of captions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Languages {
    BuiltIn,
    FastText,
}

impl Languages {
    /// What keeps the subset from being DataComp's.
    fn note(self, rule: BaselineName) -> Option<&'static str> {
        match (self, rule) {
            (_, BaselineName::Laion2b) => {
                Some("not DataComp's subset: its laion2b names languages with CLD3")
            }
            (Self::BuiltIn, _) => Some(
                "not DataComp's subset: the built-in identifier named languages, not lid.176.bin",
            ),
            (Self::FastText, _) => None,
        }
    }
}

impl BaselineArgs {
    /// Refuses to choose another identifier of languages than DataComp's by itself.
    fn language_named(&self) -> Result<(), Failure> {
        let rule = self.rule();
        if !rule.asks_language() || self.language_model.is_some() || self.language.is_some() {
            return Ok(());
        }
        let built_in =
            "--language built-in names 16 languages without a model and keeps other rows";
        Err(Failure::Usage(match rule {
            BaselineName::Laion2b => format!(
                "laion2b names languages with CLD3 in DataComp, which this program does not have, so \
                 that its subset cannot be made here. Near it: --language-model lid.176.bin \
                 (fastText). {built_in}"
            ),
            _ => format!(
                "{rule} names languages with fastText's lid.176.bin: give it with --language-model \
                 (--help says where it is). {built_in}"
            ),
        }))
    }

    fn languages(&self) -> Option<Languages> {
        let model =
            if self.language_model.is_some() { Languages::FastText } else { Languages::BuiltIn };
        self.rule().asks_language().then_some(model)
    }

    fn rule(&self) -> BaselineName {
        self.name.or(self.name_flag).expect("clap requires one of the two").into()
    }

    fn params(&self) -> BaselineParams {
        let mut params = BaselineParams::new(self.rule()).morphy(match self.morphy {
            MorphyArg::OneStep => MorphyRule::OneStep,
            MorphyArg::Repeated => MorphyRule::Repeated,
        });
        if let Some(arch) = self.arch {
            params = params.arch(match arch {
                ArchArg::B32 => Arch::B32,
                ArchArg::L14 => Arch::L14,
            });
        }
        if let Some(threshold) = self.threshold {
            params = params.threshold(threshold);
        }
        if let Some(fraction) = self.fraction {
            params = params.fraction(fraction);
        }
        if let Some(seed) = self.seed {
            params = params.seed(seed);
        }
        type SetFile = fn(BaselineParams, PathBuf) -> BaselineParams;
        let files: [(&Option<PathBuf>, SetFile); 5] = [
            (&self.language_model, BaselineParams::language_model),
            (&self.wordnet, BaselineParams::wordnet),
            (&self.entity_ids, BaselineParams::entity_ids),
            (&self.centroids, BaselineParams::centroids),
            (&self.target_features, BaselineParams::target_features),
        ];
        for (file, set) in files {
            if let Some(file) = file {
                params = set(params, file.clone());
            }
        }
        params
    }
}

/// What was kept, for people and as JSON.
#[derive(Serialize)]
struct Found<'a> {
    baseline: &'a Rule,
    count: usize,
    #[serde(flatten)]
    subset: &'a Subset,
    /// Who named languages, where the rule asks for them.
    languages: Option<Languages>,
    #[serde(skip)]
    args: &'a BaselineArgs,
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subset { rows, dropped, threshold, .. } = self.subset;
        let share = 100.0 * self.count as f64 / (*rows).max(1) as f64;
        writeln!(f, "{} of {rows} rows kept ({share:.1} %)", self.count)?;
        if let Some(threshold) = threshold {
            writeln!(f, "  score of at least {threshold}")?;
        }
        for (rule, count) in dropped {
            writeln!(f, "  {count:>9} {rule}")?;
        }
        if let Some(note) = self.languages.and_then(|languages| languages.note(self.args.rule())) {
            writeln!(f, "{note}")?;
        }
        writeln!(f, "wrote {}", self.args.save_path.display())
    }
}
