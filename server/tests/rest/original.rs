//! The original as benches/python/original_service.py writes it anew, in a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use loadcast_components::tools::python;
use serde_json::Value;

/// It ends with its standard input, which this process holds.
pub(crate) struct Original {
    pub(crate) url: String,
    _folder: tempfile::TempDir,
    _process: Child,
}

impl Original {
    /// The service with these two model.pr, for which it always is `now`; `None` where there is no Python for it.
    pub(crate) async fn start(cpu: &[u8], memory: &[u8], now: &str) -> Option<Self> {
        let python = python("the original's REST")?;
        let folder = tempfile::tempdir().unwrap();
        // As mlflow.prophet lays a model out, and the bare file.
        let model = folder.path().join("cpu");
        std::fs::create_dir(&model).unwrap();
        std::fs::write(model.join("model.pr"), cpu).unwrap();
        std::fs::write(folder.path().join("memory.pr"), memory).unwrap();
        let script = "../benches/python/original_service.py";
        let mut process = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
            .arg(&model)
            .arg(folder.path().join("memory.pr"))
            .args(["--now", now])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let printed = process.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(printed).read_line(&mut line).map(|_| line)
        });
        let said: Value = serde_json::from_str(&line.await.unwrap().unwrap()).unwrap();
        Some(Self {
            url: said["url"].as_str().unwrap().to_owned(),
            _folder: folder,
            _process: process,
        })
    }
}
