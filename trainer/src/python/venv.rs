//! A Python environment of the versions that imports are tested with, made on request and kept.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{Python, scratch};
use crate::error::{Error, Result};
use crate::output;

/// What is installed, each at a pinned version.
pub const REQUIREMENTS: &str = include_str!("requirements.txt");

/// What is being installed: says that the folder is ours.
const WANTED: &str = "loadcast-requirements.txt";

/// The same, once it is installed.
const INSTALLED: &str = "loadcast-installed.txt";

impl Python {
    /// The Python of an environment at `folder` that has [`REQUIREMENTS`]; made by this one where it is not there yet,
    /// which takes a minute or two, 0.9 GB and the package index that pip is set up for.
    ///
    /// # Errors
    /// [`Error::Settings`] for a folder that holds something else, and when venv or pip fail, with their last words;
    /// [`Error::Output`] when the folder cannot be written.
    pub async fn with_venv(self, folder: &Path) -> Result<Self> {
        let made = Self {
            program: interpreter(folder)?,
            ..self.clone()
        };
        if is(folder, INSTALLED) {
            return Ok(made);
        }
        if !is(folder, WANTED) && is_taken(folder) {
            return Err(Error::settings(
                format!(
                    "--make-venv {}: it holds files that this build did not install",
                    folder.display()
                ),
                "name an empty folder or a new one; a Python of your own is named with --python",
            ));
        }
        output::write(&folder.join(WANTED), REQUIREMENTS.as_bytes())?;
        let mut venv = Command::new(&self.program);
        venv.args(["-m", "venv"]).arg(folder);
        self.install("venv", venv).await?;
        let mut pip = Command::new(&made.program);
        pip.args(["-m", "pip", "install", "--quiet", "--no-input"]);
        pip.args(["--disable-pip-version-check", "-r"])
            .arg(folder.join(WANTED));
        made.install("pip", pip).await?;
        output::write(&folder.join(INSTALLED), REQUIREMENTS.as_bytes())?;
        Ok(made)
    }

    async fn install(&self, what: &str, command: Command) -> Result<()> {
        let printed = scratch()?;
        let (status, last_words) = self.finish(command, printed.path()).await?;
        if status.success() {
            return Ok(());
        }
        Err(self.failed(
            &format!("-m {what}, for --make-venv, ended with {status}"),
            &last_words,
        ))
    }
}

fn interpreter(folder: &Path) -> Result<PathBuf> {
    // Absolute, because a bare name would be looked up in PATH.
    let folder = std::path::absolute(folder).map_err(|error| {
        Error::settings(
            format!("--make-venv {}: {error}", folder.display()),
            "name a folder",
        )
    })?;
    Ok(folder.join("bin/python"))
}

/// Whether the folder says in `file` that it has exactly what this build wants.
fn is(folder: &Path, file: &str) -> bool {
    std::fs::read(folder.join(file)).is_ok_and(|text| text == REQUIREMENTS.as_bytes())
}

fn is_taken(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_that_the_tests_run_with() {
        let tested = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/python.txt");
        let tested = std::fs::read_to_string(tested).unwrap();
        for line in REQUIREMENTS.lines().filter(|line| !line.starts_with('#')) {
            assert!(tested.lines().any(|other| other == line), "{line}");
        }
    }
}
