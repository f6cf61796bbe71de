//! Flags of DataComp's resharder.py beside those that `curate reshard` has under its own names.

use clap::Args;

/// How its shards are named, there and here.
const SHARDS: &str = "{:08d}.tar";
/// How the counts beside them are.
const STATS: &str = "{:08d}_stats.json";

/// They are taken where they ask for what is done anyway, and otherwise refused with what to do instead.
#[derive(Args)]
pub(crate) struct DataCompArgs {
    #[arg(long, short = 'n', alias = "num_shards", value_name = "N", hide = true)]
    num_shards: Option<usize>,
    #[arg(long, alias = "first_shard", value_name = "N", hide = true)]
    first_shard: Option<usize>,
    #[arg(long, alias = "shard_format", value_name = "FORMAT", hide = true)]
    shard_format: Option<String>,
    #[arg(long, alias = "output_shard_format", value_name = "FORMAT", hide = true)]
    output_shard_format: Option<String>,
    #[arg(long, alias = "output_shard_stats_format", value_name = "FORMAT", hide = true)]
    output_shard_stats_format: Option<String>,
    /// Samples are counted in the shards themselves.
    #[arg(long, alias = "shard_stats_format", value_name = "FORMAT", hide = true)]
    shard_stats_format: Option<String>,
    /// As above.
    #[arg(long, alias = "shard_table", value_name = "FILE", hide = true)]
    shard_table: Option<String>,
    /// sizes.json is always written.
    #[arg(long, alias = "write_shard_table", hide = true)]
    write_shard_table: bool,
    /// One process writes all shards.
    #[arg(long, alias = "is_master", hide = true)]
    is_master: bool,
    #[arg(long, alias = "blur_metadata_map", value_name = "FILE", hide = true)]
    blur_metadata_map: Option<String>,
    #[arg(long, alias = "apply_blur", hide = true)]
    apply_blur: bool,
    #[arg(long, alias = "inject_blur_metadata", hide = true)]
    inject_blur_metadata: bool,
    /// Images are never encoded again.
    #[arg(long, alias = "reencode_webp_quality", value_name = "QUALITY", hide = true)]
    reencode_webp_quality: Option<String>,
    #[arg(long, alias = "dry_run", hide = true)]
    dry_run: bool,
    #[arg(long, short, action = clap::ArgAction::Count, hide = true)]
    verbose: u8,
}

impl DataCompArgs {
    /// What is asked for and not done here, with what to do instead.
    pub(super) fn refused(&self) -> Result<(), String> {
        let is_other = |given: &Option<String>, usual| given.as_deref().is_some_and(|g| g != usual);
        let pattern = "name the shards by a pattern, such as DIR/{00000000..00000099}.tar";
        let names = "shards are named {:08d}.tar here, with the counts in {:08d}_stats.json";
        let blur = "images are written as they are: blur them before";
        let refusals = [
            (self.num_shards.is_some(), "--num-shards", pattern),
            (self.first_shard.is_some_and(|first| first > 0), "--first-shard", pattern),
            (is_other(&self.shard_format, SHARDS), "--shard-format", pattern),
            (is_other(&self.output_shard_format, SHARDS), "--output-shard-format", names),
            (
                is_other(&self.output_shard_stats_format, STATS),
                "--output-shard-stats-format",
                names,
            ),
            (self.blur_metadata_map.is_some(), "--blur-metadata-map", blur),
            (self.apply_blur, "--apply-blur", blur),
            (self.inject_blur_metadata, "--inject-blur-metadata", blur),
            (self.dry_run, "--dry-run", "what is selected is counted by `curate subset info FILE`"),
        ];
        let asked = refusals.into_iter().filter(|(is_asked, ..)| *is_asked);
        let said: Vec<String> =
            asked.map(|(_, flag, remedy)| format!("{flag} is not done here: {remedy}")).collect();
        if said.is_empty() { Ok(()) } else { Err(said.join("\n")) }
    }
}
