//! The flags that every command takes: `-c`, `--enable`, `--disable`, `--strict-config`, `-p`, `-C`.
//!
//! `-c`, `--enable` and `--disable` are one list in the order typed, because the later one wins; a
//! derived clap struct would give three lists without a common order. Nothing is judged here: the
//! grammar of `-c` and the names of features belong to codex-config.
//!
//! Flatten [`CliConfigOverrides`] into each level of the command tree (not `global = true`: clap then
//! keeps only the innermost values) and join the levels with [`CliConfigOverrides::then`].

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};

const CONFIG: &str = "config_overrides";
const ENABLE: &str = "enable_features";
const DISABLE: &str = "disable_features";
const STRICT: &str = "strict_config";
const PROFILE: &str = "config_profile";
const CD: &str = "cd";

/// One `-c`, `--enable` or `--disable` as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigFlag {
    /// `-c key.path=value`, uncut.
    Set(String),
    /// `--enable FEATURE`.
    Enable(String),
    /// `--disable FEATURE`.
    Disable(String),
}

/// The flags of one command line, or of one level of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CliConfigOverrides {
    /// `-c`, `--enable` and `--disable` in the order typed; later ones win.
    pub flags: Vec<ConfigFlag>,
    /// `--strict-config`: faults of the configuration that are warnings become fatal.
    pub strict_config: bool,
    /// `-p`, `--profile`.
    pub profile: Option<String>,
    /// `-C`, `--cd`: the directory to work in.
    pub cd: Option<PathBuf>,
}

impl CliConfigOverrides {
    /// Joins the flags of an outer level with those typed further right; the latter win.
    pub fn then(mut self, inner: Self) -> Self {
        self.flags.extend(inner.flags);
        Self {
            flags: self.flags,
            strict_config: self.strict_config || inner.strict_config,
            profile: inner.profile.or(self.profile),
            cd: inner.cd.or(self.cd),
        }
    }

    /// Reads this level's flags out of clap's result.
    fn from_matches(matches: &ArgMatches) -> Self {
        let mut flags: Vec<(usize, ConfigFlag)> = Vec::new();
        for id in [CONFIG, ENABLE, DISABLE] {
            let make = match id {
                CONFIG => ConfigFlag::Set,
                ENABLE => ConfigFlag::Enable,
                _ => ConfigFlag::Disable,
            };
            let values = matches.get_many::<String>(id).into_iter().flatten();
            let positions = matches.indices_of(id).into_iter().flatten();
            flags.extend(
                positions
                    .zip(values)
                    .map(|(at, value)| (at, make(value.clone()))),
            );
        }
        flags.sort_by_key(|(position, _)| *position);
        Self {
            flags: flags.into_iter().map(|(_, flag)| flag).collect(),
            strict_config: matches.value_source(STRICT) == Some(ValueSource::CommandLine),
            profile: matches.get_one::<String>(PROFILE).cloned(),
            cd: matches.get_one::<PathBuf>(CD).cloned(),
        }
    }
}

impl FromArgMatches for CliConfigOverrides {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self::from_matches(matches))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = std::mem::take(self).then(Self::from_matches(matches));
        Ok(())
    }
}

impl Args for CliConfigOverrides {
    fn augment_args(command: Command) -> Command {
        let repeated = |id: &'static str, name: &'static str| {
            Arg::new(id)
                .long(id)
                .action(ArgAction::Append)
                .value_name(name)
        };
        command
            .arg(
                repeated(CONFIG, "key=value")
                    .long("config")
                    .short('c')
                    .help("Override a configuration value, e.g. -c model=\"gpt-5.5\"; the value is TOML, else text"),
            )
            .arg(
                repeated(ENABLE, "FEATURE")
                    .long("enable")
                    .help("Enable a feature; same as -c features.<name>=true"),
            )
            .arg(
                repeated(DISABLE, "FEATURE")
                    .long("disable")
                    .help("Disable a feature; same as -c features.<name>=false"),
            )
            .arg(
                Arg::new(STRICT)
                    .long("strict-config")
                    .action(ArgAction::SetTrue)
                    .help("Treat unknown keys and broken entries of the configuration as errors"),
            )
            .arg(
                Arg::new(PROFILE)
                    .long("profile")
                    .short('p')
                    .value_name("NAME")
                    .value_parser(plain_name)
                    .help("Use the settings of a profile"),
            )
            .arg(
                Arg::new(CD)
                    .long("cd")
                    .short('C')
                    .value_name("DIR")
                    .value_parser(clap::value_parser!(PathBuf))
                    .value_hint(ValueHint::DirPath)
                    .help("Work in this directory"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// A profile is a file beside the config file, so its name must not lead elsewhere.
fn plain_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || !text.chars().all(plain) {
        return Err(format!(
            "invalid --profile value `{text}`; pass a plain name such as `work`"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Outer {
        #[command(flatten)]
        overrides: CliConfigOverrides,
        #[command(subcommand)]
        inner: Inner,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Inner {
        Run {
            #[command(flatten)]
            overrides: CliConfigOverrides,
        },
    }

    fn parse(words: &str) -> Result<CliConfigOverrides, clap::Error> {
        let outer = Outer::try_parse_from(words.split(' '))?;
        let Inner::Run { overrides } = outer.inner;
        Ok(outer.overrides.then(overrides))
    }

    #[test]
    fn flags_of_three_kinds_keep_the_order_typed() {
        let flags = parse("codex --disable a -c x=1 run --enable a -c y=2 --disable b")
            .unwrap()
            .flags;
        assert_eq!(
            flags,
            [
                ConfigFlag::Disable("a".into()),
                ConfigFlag::Set("x=1".into()),
                ConfigFlag::Enable("a".into()),
                ConfigFlag::Set("y=2".into()),
                ConfigFlag::Disable("b".into()),
            ]
        );
    }

    #[test]
    fn the_inner_profile_and_directory_win_and_strict_holds() {
        let overrides = parse("codex --strict-config -p a -C /x run -p b").unwrap();
        assert_eq!(overrides.profile.as_deref(), Some("b"));
        assert_eq!(overrides.cd, Some(PathBuf::from("/x")));
        assert!(overrides.strict_config);
        assert!(!parse("codex run").unwrap().strict_config);
    }

    #[test]
    fn a_profile_that_is_a_path_is_a_usage_error() {
        let error = parse("codex run -p a/b").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(
            error
                .to_string()
                .contains("invalid --profile value `a/b`; pass a plain name such as `work`")
        );
    }
}
