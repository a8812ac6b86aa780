//! Python's side, as a process that answers one line for each line it is sent.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The interpreter that `.ci/tools.sh` installs.
pub(crate) fn interpreter() -> PathBuf {
    root().join(".tools/python/bin/python")
}

/// The path of a script of `benches/python`.
pub(crate) fn script(name: &str) -> PathBuf {
    root().join("benches/python").join(name)
}

/// A script of `benches/python` that runs.
#[derive(Debug)]
pub struct Python {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Python {
    /// Starts `script` with the interpreter that `.ci/tools.sh` installs.
    ///
    /// # Errors
    /// When there is no such interpreter: run `.ci/tools.sh`.
    pub fn start(script: &str) -> Result<Self> {
        let mut child = Command::new(interpreter())
            .arg(self::script(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("no Python with Prophet under .tools; run .ci/tools.sh")?;
        let stdin = child.stdin.take().ok_or_else(|| anyhow!("no stdin"))?;
        let stdout = child.stdout.take().ok_or_else(|| anyhow!("no stdout"))?;
        Ok(Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        })
    }

    /// Sends a line of JSON and waits for the line that answers it.
    ///
    /// # Errors
    /// When the script has ended or says no JSON.
    pub fn ask(&mut self, question: &Value) -> Result<Value> {
        writeln!(self.stdin, "{question}")?;
        self.stdin.flush()?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("Python answered {line:?}"))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It has nothing to save; that it may have ended by itself is no matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
