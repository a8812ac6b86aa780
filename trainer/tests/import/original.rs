//! An MLflow with what the original logged in it, and the trainer as a process.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use loadcast_components::tools::python;
use serde_json::Value;

/// What original.py set up.
pub(crate) struct Original {
    /// Where MLflow listens.
    pub(crate) uri: String,
    /// The run that logged.
    pub(crate) run: String,
    folder: PathBuf,
    python: PathBuf,
    /// It ends with its standard input, which this process holds: at its end, however it comes.
    _process: Child,
}

/// The one of all tests here; `None`, said and listed, where there is no Python for it.
pub(crate) fn original() -> Option<&'static Original> {
    static ORIGINAL: OnceLock<Option<Original>> = OnceLock::new();
    ORIGINAL.get_or_init(start).as_ref()
}

fn start() -> Option<Original> {
    let python = python("import of pickles from MLflow")?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import");
    // What an earlier run left there.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/original.py");
    let log = fs::File::create(folder.join("original.log")).unwrap();
    let mut process = Command::new(&python)
        .arg(script)
        .arg(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut printed = BufReader::new(process.stdout.take().unwrap());
    printed.read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
        let log = fs::read_to_string(folder.join("original.log")).unwrap();
        panic!("original.py did not begin: {log}")
    });
    let said = |key: &str| said[key].as_str().unwrap().to_owned();
    Some(Original {
        uri: said("uri"),
        run: said("run"),
        folder,
        python,
        _process: process,
    })
}

impl Original {
    /// A file that original.py wrote.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// The Python that has all an import needs.
    pub(crate) fn python(&self) -> String {
        self.python.to_str().unwrap().to_owned()
    }

    /// `import` by the Python that has all it needs.
    pub(crate) fn import(&self, args: &[&str]) -> Output {
        let mut command = import(args);
        command.arg("--python").arg(&self.python);
        command.output().unwrap()
    }

    /// What Python predicts from the model, by mlflow.prophet and by mlflow.pyfunc: rows of ds, yhat, trend, pyfunc_yhat.
    pub(crate) fn predict(&self, models: &[&str]) -> Vec<Vec<Vec<String>>> {
        let folder = tempfile::tempdir().unwrap();
        let outs: Vec<PathBuf> = (0..models.len())
            .map(|i| folder.path().join(i.to_string()))
            .collect();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/predict.py");
        let mut command = Command::new(&self.python);
        command.arg(script).env("MLFLOW_TRACKING_URI", &self.uri);
        for (model, out) in models.iter().zip(&outs) {
            command.arg(model).arg(self.file("future.csv")).arg(out);
        }
        succeeded(&command.output().unwrap());
        outs.iter().map(|out| rows(out)).collect()
    }

    /// What MLflow's REST answers, asked without Python.
    pub(crate) fn mlflow(&self, path_and_query: &str) -> Value {
        let addr = self.uri.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(addr).unwrap();
        write!(
            stream,
            "GET /api/2.0/mlflow/{path_and_query} HTTP/1.0\r\nHost: {addr}\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

/// `import` with nothing of this process's environment that could answer for a flag.
pub(crate) fn import(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadcast-trainer"));
    command.arg("import").args(args);
    for variable in ["MLFLOW_TRACKING_URI", "LOADCAST_PYTHON", "LOADCAST_SERVER"] {
        command.env_remove(variable);
    }
    command
}

/// The rows of a CSV file below its header line.
pub(crate) fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let cells = |line: &str| line.split(',').map(str::to_owned).collect();
    text.lines().skip(1).map(cells).collect()
}

pub(crate) fn succeeded(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn assert_refused(output: &Output, reason: &[&str], remedy: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let error = stderr.lines().find(|line| line.starts_with("error: "));
    let error = error.unwrap_or_else(|| panic!("no error: {stderr}"));
    for part in reason {
        assert!(error.contains(part), "`{part}` not in: {error}");
    }
    let told = stderr.lines().find(|line| line.starts_with("remedy: "));
    assert!(told.unwrap().contains(remedy), "{stderr}");
}
