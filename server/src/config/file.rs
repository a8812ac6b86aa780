//! `--config FILE.toml`: flags by their names. The command line and the environment count before the file.

use std::{ffi::OsString, path::Path};

use anyhow::{Context as _, bail, ensure};
use clap::{ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _, parser::ValueSource};

use super::Config;

impl Config {
    /// The configuration that `arguments` (the first is the program), the environment and the file they name make up. Help,
    /// and arguments that are wrong, end the process as clap ends it.
    ///
    /// # Errors
    /// When the file cannot be read, or says what is no flag; the message names it.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<Self> {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        let matches = Self::command().get_matches_from(&arguments);
        if let Some(path) = matches.get_one::<std::path::PathBuf>("config") {
            let shown = format!("--config {}", path.display());
            arguments.extend(flags(path, &matches).context(shown)?);
        }
        let matches = Self::command().get_matches_from(arguments);
        Ok(Self::from_arg_matches(&matches)?)
    }
}

/// What the file at `path` says beyond `given`, as arguments.
fn flags(path: &Path, given: &ArgMatches) -> anyhow::Result<Vec<OsString>> {
    let text = std::fs::read_to_string(path).context("cannot be read")?;
    let table: toml::Table = text.parse().context("is no TOML")?;
    let command = Config::command();
    let mut flags = Vec::new();
    for (key, value) in table {
        let known = |arg: &&clap::Arg| arg.get_long() == Some(&key);
        let Some(arg) = command.get_arguments().find(known) else {
            let names = command.get_arguments().filter_map(clap::Arg::get_long);
            bail!(
                "{key} is no flag; write the name of one without its dashes: {}",
                names.collect::<Vec<_>>().join(", ")
            );
        };
        ensure!(key != "config", "a file cannot name another one");
        if is_given(given, arg) {
            continue;
        }
        let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
        match value {
            toml::Value::Boolean(on) if is_switch => {
                flags.extend(on.then(|| format!("--{key}").into()));
            }
            toml::Value::String(value) if !is_switch => {
                flags.push(format!("--{key}={value}").into())
            }
            toml::Value::Integer(value) if !is_switch => {
                flags.push(format!("--{key}={value}").into())
            }
            other => bail!(
                "{key}: {other} is a {}; write {}",
                other.type_str(),
                if is_switch {
                    "true or false"
                } else {
                    "a string or a number"
                }
            ),
        }
    }
    Ok(flags)
}

fn is_given(given: &ArgMatches, arg: &clap::Arg) -> bool {
    matches!(
        given.value_source(arg.get_id().as_str()),
        Some(ValueSource::CommandLine | ValueSource::EnvVariable)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, more: &[&str]) -> anyhow::Result<Config> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut arguments: Vec<OsString> = vec!["loadcast-server".into(), "--config".into()];
        arguments.push(file.path().into());
        arguments.extend(more.iter().map(OsString::from));
        Config::read(arguments)
    }

    #[test]
    fn a_file_sets_flags_and_the_command_line_counts_before_it() {
        let text =
            "alias = 'blue'\nkeep-versions = 7\npoll-interval = '9s'\nread-only-registry = true\n";
        let config = read(text, &["--alias", "green"]).unwrap();
        assert_eq!(config.alias, "green");
        assert_eq!(config.keep_versions, 7);
        assert_eq!(config.poll_interval, std::time::Duration::from_secs(9));
        assert!(config.read_only_registry);
    }

    #[test]
    fn what_is_no_flag_or_of_the_wrong_kind_is_refused_by_name() {
        for (text, says) in [
            (
                "pol-interval = '9s'",
                "pol-interval is no flag; write the name of one",
            ),
            ("config = 'other.toml'", "a file cannot name another one"),
            ("read-only-registry = 'yes'", "write true or false"),
            ("alias = ['a']", "alias: [\"a\"] is a array"),
            ("alias", "is no TOML"),
        ] {
            let error = format!("{:#}", read(text, &[]).unwrap_err());
            assert!(error.contains(says), "{error}");
            assert!(error.starts_with("--config /"), "{error}");
        }
        let missing = ["loadcast-server", "--config=/nowhere.toml"].map(OsString::from);
        let error = format!("{:#}", Config::read(missing).unwrap_err());
        assert!(
            error.starts_with("--config /nowhere.toml: cannot be read"),
            "{error}"
        );
    }
}
