//! The clients in other languages of proto/README.md: made from the published protos as it says, and run against the
//! binary, over a kill -9 of it.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use loadcast_components::tools::{free_port, python, python_grpc, tool};
use tempfile::TempDir;

use crate::support::{Process, command_at, push};

/// However slow the machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn proto() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto")
}

/// The one block of proto/README.md that is fenced as `kind`.
fn block(kind: &str) -> String {
    let text = fs::read_to_string(proto().join("README.md")).unwrap();
    let (_, rest) = text.split_once(&format!("\n```{kind}\n")).unwrap();
    let (block, _) = rest.split_once("\n```").unwrap();
    format!("{block}\n")
}

/// A folder as the README has it in mind: the repository's `proto` in it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(proto(), folder.path().join("proto")).unwrap();
    folder
}

/// Runs the shell's block `kind` in `folder`, but for what installs, which `.ci/tools.sh` has done: its programs are in
/// `tools`.
fn make(kind: &str, folder: &Path, tools: &[&Path]) {
    let script = block(kind);
    let installs = ["pip install", "go install"];
    let lines = script.lines();
    let lines = lines.filter(|line| !installs.iter().any(|install| line.starts_with(install)));
    let script: Vec<&str> = lines.collect();
    let output = Command::new("sh")
        .args(["-euc", &script.join("\n")])
        .current_dir(folder)
        .env("PATH", path(tools))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", script.join("\n"));
}

fn path(first: &[&Path]) -> OsString {
    let others = std::env::var_os("PATH").unwrap_or_default();
    let first = first.iter().map(|folder| folder.to_path_buf());
    std::env::join_paths(first.chain(std::env::split_paths(&others))).unwrap()
}

/// A program that tells line by line; killed when dropped.
struct Telling {
    child: Child,
    lines: Receiver<String>,
}

impl Telling {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::sync_channel(100);
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| tell.send(line))
        });
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What both programs must tell: an answer, what is served, and after the server was killed and came back, what changed
/// meanwhile and since.
async fn outlives_the_server(program: &mut Command) {
    let state = tempfile::tempdir().unwrap();
    let port = free_port();
    let start = || Process::spawn(command_at(state.path(), &format!("127.0.0.1:{port}")));
    let server = start();
    let pushing = server.client();
    pushing.push(push("web.cpu", 2.5)).await.unwrap();
    let client = Telling::start(program.arg(&server.grpc).arg("web.cpu"));
    assert_eq!(client.next(), "next hour 2.50 cores, version 1");
    assert_eq!(client.next(), "version 1 says 2.50");
    pushing.push(push("web.cpu", 3.5)).await.unwrap();
    assert_eq!(client.next(), "version 2 says 3.50");
    server.kill();
    let server = start();
    server.client().push(push("web.cpu", 4.5)).await.unwrap();
    // What was told last may be told once more.
    let mut told = client.next();
    if told == "version 2 says 3.50" {
        told = client.next();
    }
    assert_eq!(told, "version 3 says 4.50");
    server
        .client()
        .retire("web.cpu", "decommissioned")
        .await
        .unwrap();
    assert_eq!(client.next(), "web.cpu is gone: RETIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_of_the_readme_forecasts_and_watches_over_a_kill() {
    let Some(tools) = python_grpc("Python client (grpcio-tools)") else {
        return;
    };
    let folder = folder();
    make("sh python", folder.path(), &[&tools]);
    fs::write(folder.path().join("watcher.py"), block("python")).unwrap();
    let mut program = Command::new(tools.join("python"));
    program.arg("watcher.py").current_dir(folder.path());
    outlives_the_server(&mut program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_go_client_of_the_readme_forecasts_and_watches_over_a_kill() {
    let plugin = tool(
        "Go client (protoc-gen-go-grpc)",
        "bin/protoc-gen-go-grpc",
        "Go",
    );
    let (Some(plugin), Some(tools)) = (plugin, python_grpc("protoc (grpcio-tools)")) else {
        return;
    };
    let folder = folder();
    // The protoc that Python's gRPC brings, as a program.
    let protoc = folder.path().join("protoc");
    let python = tools.join("python");
    let script = format!(
        "#!/bin/sh\nexec {} -m grpc_tools.protoc \"$@\"\n",
        python.display()
    );
    fs::write(&protoc, script).unwrap();
    fs::set_permissions(&protoc, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("main.go"), block("go")).unwrap();
    make(
        "sh go",
        folder.path(),
        &[folder.path(), plugin.parent().unwrap()],
    );
    outlives_the_server(&mut Command::new(folder.path().join("watcher"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flight_client_of_the_readme_reads_a_fleet() {
    let Some(python) = python("Arrow Flight (pyarrow.flight)") else {
        return;
    };
    let state = tempfile::tempdir().unwrap();
    let server = Process::start(state.path());
    for series in ["web.cpu", "api.cpu"] {
        server.client().push(push(series, 2.5)).await.unwrap();
    }
    let program = Command::new(python)
        .args(["-c", &block("python flight"), &server.grpc])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&program.stdout);
    assert!(
        said.contains("api.cpu") && said.contains("web.cpu") && said.contains("2.5"),
        "{said}\n{}",
        String::from_utf8_lossy(&program.stderr)
    );
}
