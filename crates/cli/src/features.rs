//! `codex features`: what can be switched, and the switch in the user's file.

use clap::{Args, Subcommand};
use codex_config::{ConfigFile, Feature, FeatureRow, LayerSource, Stage, unstable_text};
use codex_runtime::{Invocation, Loaded};
use codex_utils_cli::CliConfigOverrides;
use serde_json::json;

use crate::error::CliError;
use crate::tree::Leaf;

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct FeaturesArgs {
    #[command(flatten)]
    overrides: CliConfigOverrides,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List known features with their stage and effective state
    List(Leaf<ListArgs>),
    /// Enable a feature in config.toml
    Enable(Leaf<NameArgs>),
    /// Disable a feature in config.toml
    Disable(Leaf<NameArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// Key of the feature
    #[arg(value_name = "FEATURE")]
    feature: String,
}

impl FeaturesArgs {
    /// Joins the flags of every level.
    pub(crate) fn split(self, outer: CliConfigOverrides) -> (CliConfigOverrides, Verb) {
        let inner = match &self.verb {
            Verb::List(leaf) => leaf.overrides.clone(),
            Verb::Enable(leaf) | Verb::Disable(leaf) => leaf.overrides.clone(),
        };
        (outer.then(self.overrides).then(inner), self.verb)
    }
}

pub(crate) fn run(verb: Verb, invocation: Invocation) -> Result<u8, CliError> {
    match verb {
        Verb::List(leaf) => {
            let loaded = crate::load(invocation)?;
            crate::print(&list(&leaf.args, &loaded)?)?;
        }
        Verb::Enable(leaf) => {
            let row = row(&leaf.args.feature)?;
            let loaded = crate::load(invocation)?;
            if let Some((sentence, _)) = row.retired().filter(|_| row.stage == Stage::Removed) {
                crate::say(&format!("deprecated: {sentence}\nNothing was written."))?;
                return Ok(0);
            }
            edit(&loaded, row, true)?;
            crate::print(&format!("Enabled feature `{}` in config.toml.\n", row.key))?;
            // One that was on before was told about while loading.
            let was_on = loaded.config.features.enabled(row.feature);
            if let Some((sentence, advice)) = row.retired().filter(|_| !was_on) {
                crate::say(&format!("deprecated: {sentence}\n{advice}"))?;
            }
            if row.stage == Stage::UnderDevelopment && !was_on {
                crate::say(&unstable_text(
                    row.key,
                    &loaded.home.config_file().to_string(),
                ))?;
            }
        }
        Verb::Disable(leaf) => {
            let row = row(&leaf.args.feature)?;
            let loaded = crate::load(invocation)?;
            edit(&loaded, row, false)?;
            crate::print(&format!("Disabled feature `{}` in config.toml.\n", row.key))?;
        }
    }
    Ok(0)
}

fn row(key: &str) -> Result<&'static FeatureRow, CliError> {
    Feature::from_key(key).ok_or_else(|| {
        let error = CliError::new(format!("Unknown feature flag: {key}"));
        match codex_utils_fuzzy_match::nearest_key(key, Feature::keys()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`codex features list` names them all"),
        }
    })
}

fn edit(loaded: &Loaded, row: &FeatureRow, on: bool) -> Result<(), CliError> {
    if let Some((pinned, origin)) = loaded.config.requirements.feature(row.feature)
        && pinned != on
    {
        let text = format!(
            "feature `{}` is set to {pinned} by requirements ({origin})",
            row.key
        );
        return Err(CliError::new(text));
    }
    let file = loaded.home.config_file();
    let places = loaded.layers.places(&["features", row.key]);
    let is_ours = places.iter().any(|origin| origin.file() == Some(&file));
    // Something else than our key turns it on, and would go on doing so.
    let is_on_without_us = loaded.config.features.enabled(row.feature) && !is_ours;
    let value = match on {
        true => Some(true),
        false => (row.default || is_on_without_us).then_some(false),
    };
    let mut file = ConfigFile::open(&loaded.home)?;
    file.set_feature(row.key, value)?;
    file.save()?;
    if let Some(above) = places.first().filter(|origin| {
        !matches!(
            origin.layer,
            LayerSource::System { .. } | LayerSource::User { .. } | LayerSource::SessionFlags
        )
    }) {
        crate::say(&format!(
            "note: `features.{}` is also set by {above}, which wins",
            row.key
        ))?;
    }
    Ok(())
}

fn list(args: &ListArgs, loaded: &Loaded) -> Result<String, CliError> {
    let mut rows: Vec<&FeatureRow> = Feature::table().iter().collect();
    rows.sort_by_key(|row| row.key);
    let features = &loaded.config.features;
    if args.json {
        let rows = rows.iter().map(|row| {
            json!({
                "name": row.key,
                "stage": row.stage.as_str(),
                "default": row.default,
                "enabled": features.enabled(row.feature),
                "source": features.source(row.feature),
            })
        });
        return crate::table::pretty(&rows.collect::<Vec<_>>());
    }
    let longest = rows.iter().map(|row| row.key.len()).max().unwrap_or(0);
    let lines = rows.iter().map(|row| {
        let (stage, on) = (row.stage.as_str(), features.enabled(row.feature));
        format!("{:longest$}  {stage:17}  {on}\n", row.key)
    });
    Ok(lines.collect())
}
