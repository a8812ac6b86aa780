//! Python as a process that is asked one question: a script, a question in JSON, a time limit, an answer in JSON.
//!
//! A pickle can be read by nothing but Python, and MLflow's own client registers what Python is to load. Neither runs in
//! the server, which has no Python. The scripts are part of the binary; question and answer are files in a folder that
//! is gone afterwards, so that nothing a library prints can be taken for an answer.

pub mod venv;

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::time::show_length;

/// The longest answer that is read: a model.pr at its longest, escaped once more, and what stands beside it.
const MAX_ANSWER_BYTES: u64 = 2 * loadcast_model::artifact::MAX_ARTIFACT_BYTES as u64;

/// How much of the end of what Python printed is shown when it failed.
const LAST_WORDS_BYTES: u64 = 2_048;

const PRELUDE: &str = include_str!("python/prelude.py");

/// An interpreter, and how long it may take for an answer.
#[derive(Debug, Clone)]
pub struct Python {
    /// A path, or a name that is looked up in PATH.
    pub program: PathBuf,
    /// After this it is stopped.
    pub limit: Duration,
}

/// What a script writes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply<A> {
    Answer(A),
    Refused(Refusal),
}

/// What a script refuses, in its own words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    kind: Kind,
    what: String,
    remedy: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Source,
    Settings,
    Model,
}

impl Python {
    /// What `script` answers. It defines `answer(question, folder)` and may use what prelude.py defines.
    ///
    /// # Errors
    /// What the script refuses; [`Error::Settings`] when the interpreter cannot be started, fails, answers nothing that
    /// is an answer, or takes longer than its limit.
    pub async fn ask<A: DeserializeOwned>(
        &self,
        script: &str,
        question: &impl Serialize,
    ) -> Result<A> {
        let folder = scratch()?;
        let text = serde_json::to_vec(question)
            .map_err(|error| of_scratch(folder.path(), &error.into()))?;
        std::fs::write(folder.path().join("question.json"), text)
            .map_err(|error| of_scratch(folder.path(), &error))?;
        let mut command = Command::new(&self.program);
        command
            .arg("-c")
            .arg(format!("{PRELUDE}\n\n{script}\n\nmain(answer)\n"))
            .arg(folder.path());
        let (status, last_words) = self.finish(command, folder.path()).await?;
        let answer = read_answer(&folder.path().join("answer.json"));
        match answer.as_deref().map(serde_json::from_slice::<Reply<A>>) {
            Some(Ok(Reply::Answer(answer))) if status.success() => Ok(answer),
            Some(Ok(Reply::Refused(refusal))) if status.success() => Err(refusal.into()),
            Some(Err(error)) if status.success() => {
                tracing::debug!(%error, "no answer of the script");
                Err(self.failed(
                    &format!("wrote no answer that is one ({error})"),
                    &last_words,
                ))
            }
            _ => Err(self.failed(&format!("ended without an answer ({status})"), &last_words)),
        }
    }

    /// Runs `command`, what it prints kept in `folder`: how it ended, and its last words.
    async fn finish(&self, mut command: Command, folder: &Path) -> Result<(ExitStatus, String)> {
        let said = folder.join("said.txt");
        let of_folder = |error: &std::io::Error| of_scratch(folder, error);
        let printed = File::create(&said).map_err(|error| of_folder(&error))?;
        let also = printed.try_clone().map_err(|error| of_folder(&error))?;
        command
            .stdin(Stdio::null())
            .stdout(printed)
            .stderr(also)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| self.absent(&error))?;
        let status = match tokio::time::timeout(self.limit, child.wait()).await {
            Ok(status) => status.map_err(|error| of_folder(&error))?,
            Err(_) => {
                // It may have ended just now; then there is nothing to stop.
                let _ = child.kill().await;
                let limit = i64::try_from(self.limit.as_secs()).unwrap_or(i64::MAX);
                let late = format!("took longer than {} and was stopped", show_length(limit));
                return Err(Error::settings(
                    format!("{} {late}{}", self.name(), told(&last_words(&said))),
                    "give it more time with --time-limit, or see what holds it up",
                ));
            }
        };
        Ok((status, last_words(&said)))
    }

    fn name(&self) -> String {
        self.program.display().to_string()
    }

    fn absent(&self, error: &std::io::Error) -> Error {
        let what = match error.kind() {
            ErrorKind::NotFound => "no such program".to_owned(),
            ErrorKind::PermissionDenied => "it may not be run".to_owned(),
            _ => error.to_string(),
        };
        Error::settings(
            format!("--python {}: {what}", self.name()),
            "install Python 3.11 or later, and name it with --python PATH",
        )
    }

    fn failed(&self, how: &str, last_words: &str) -> Error {
        Error::settings(
            format!("{} {how}{}", self.name(), told(last_words)),
            "mend what it says; a Python that works is made with --make-venv DIR",
        )
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let (what, remedy) = (one_line(&refusal.what), one_line(&refusal.remedy));
        match refusal.kind {
            Kind::Source => Self::source(what, remedy),
            Kind::Settings => Self::settings(what, remedy),
            Kind::Model => Self::model(what, remedy),
        }
    }
}

pub(crate) fn scratch() -> Result<TempDir> {
    tempfile::tempdir().map_err(|error| of_scratch(&std::env::temp_dir(), &error))
}

fn of_scratch(folder: &Path, error: &std::io::Error) -> Error {
    Error::output(
        format!("the temporary folder {}: {error}", folder.display()),
        "make room there, or name another one in TMPDIR",
    )
}

/// The bytes of the answer; `None` where there is none, or more than is read.
fn read_answer(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        let mut bounded = file.take(MAX_ANSWER_BYTES + 1);
        bounded.read_to_end(&mut bytes)
    });
    read.is_ok_and(|length| length as u64 <= MAX_ANSWER_BYTES)
        .then_some(bytes)
}

/// The end of what was printed; empty where nothing was.
fn last_words(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS_BYTES)))?;
        file.take(LAST_WORDS_BYTES).read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(error) => format!("(what it printed cannot be read: {error})"),
    }
}

/// The last line, which is the exception of a traceback; all the rest goes to the log.
fn told(last_words: &str) -> String {
    let Some(last) = last_words.lines().last() else {
        return String::new();
    };
    tracing::warn!(printed = last_words, "Python failed");
    format!("; it said: {}", one_line(last))
}

/// Text of a script without what could move a terminal's cursor.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
