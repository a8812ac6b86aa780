//! KEDA's own code against the binary: its generated stubs in `make test`, its whole client in `make soak`.

use std::{path::Path, process::Stdio, time::Duration};

use loadcast_client::Push;
use loadcast_components::{soak, tools::tool};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::ChildStdout,
};

use crate::{
    house::{SERIES, metadata},
    support::{Process, command_at, push},
};

/// A workload of this level, trained just now by the machine's clock.
fn fresh(level: f64) -> Push {
    let now = jiff::Timestamp::now();
    Push {
        cutoff: now,
        trained_at: now,
        ..push(SERIES, level)
    }
}

/// The binary, listening at `grpc`, with its state and registry in `folder`.
fn server(folder: &Path, grpc: &str) -> Process {
    Process::spawn(command_at(folder, grpc))
}

/// What `program poll` prints.
async fn poll(program: &Path, grpc: &str, more: &[(&str, &str)]) -> Vec<Value> {
    let metadata = serde_json::to_string(&metadata(more)).unwrap();
    let mut command = tokio::process::Command::new(program);
    let output = command.args([grpc, "poll", &metadata]).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output).await;
    let text = String::from_utf8(output.unwrap().unwrap().stdout).unwrap();
    eprintln!("{}: {text}", program.display());
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The next lines of `program push`, until one has `key`: its value.
async fn until(lines: &mut Lines<BufReader<ChildStdout>>, key: &str) -> Value {
    loop {
        // KEDA's backoff after an end with OK begins at 2 s.
        let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line());
        let line = line.await.expect("a line in time").unwrap().unwrap();
        eprintln!("{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        if let Some(value) = line.get(key) {
            return value.clone();
        }
    }
}

/// Polls and pushes as KEDA does, over a swap and a restart; `prefix` is what KEDA's own client puts before names.
async fn asks_as_keda_does(program: &Path, prefix: &str) {
    let folder = tempfile::tempdir().unwrap();
    let first = server(folder.path(), "127.0.0.1:0");
    let grpc = first.grpc.clone();
    first.client().push(fresh(2.0)).await.unwrap();
    let specs = json!([{"name": format!("{prefix}loadcast-shop-web-cpu-4fbf7550"), "target": 0.7}]);
    let told = poll(program, &grpc, &[]).await;
    let expected = [json!({"specs": specs}), json!({"value": 2, "active": true})];
    assert_eq!(told, expected);
    let told = poll(program, &grpc, &[("series", "nobody.knows")]).await;
    let error = told.last().unwrap()["error"].as_str().unwrap();
    assert!(error.contains("nobody.knows is not served"), "{error}");
    let told = poll(program, &grpc, &[("leadTime", "soon")]).await;
    let error = told.last().unwrap()["error"].as_str().unwrap();
    assert!(
        error.contains("leadTime") || error.contains("s0-none"),
        "{error}"
    );

    let mut pushing = tokio::process::Command::new(program)
        .args([
            &grpc,
            "push",
            &serde_json::to_string(&metadata(&[])).unwrap(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(pushing.stdout.take().unwrap()).lines();
    assert_eq!(until(&mut lines, "active").await, json!(true));
    // A second active workload is no news; the first idle one is.
    for level in [5.0, 0.0] {
        first.client().push(fresh(level)).await.unwrap();
    }
    assert_eq!(until(&mut lines, "active").await, json!(false));
    first.client().push(fresh(3.0)).await.unwrap();
    assert_eq!(until(&mut lines, "active").await, json!(true));
    first.terminate();
    let _second = server(folder.path(), &grpc);
    // Both streams come back by themselves, and each tells the present state at once.
    assert_eq!(until(&mut lines, "active").await, json!(true));
    let told = poll(program, &grpc, &[]).await;
    assert_eq!(told.last().unwrap(), &json!({"value": 3, "active": true}));
}

#[tokio::test]
async fn keda_s_generated_stubs_poll_and_stream() {
    if let Some(program) = tool("KEDA's generated stubs 2.21.0", "bin/keda-stubs", "Go") {
        asks_as_keda_does(&program, "").await;
    }
}

#[tokio::test]
async fn soak_keda_s_own_client_polls_and_pushes() {
    if !soak::wanted_or_skipped() {
        return;
    }
    if let Some(program) = tool("KEDA's own client 2.21.0", "bin/keda-client", "Go") {
        asks_as_keda_does(&program, "s0-").await;
        let folder = tempfile::tempdir().unwrap();
        let server = server(folder.path(), "127.0.0.1:0");
        server.client().push(fresh(2.0)).await.unwrap();
        // KEDA resolves what comes from the environment of the workload, and leaves the key as it is.
        let mut from_env = metadata(&[("targetFromEnv", "TARGET")]);
        from_env.remove("target");
        let mut command = tokio::process::Command::new(&program);
        command.args([
            &server.grpc,
            "poll",
            &serde_json::to_string(&from_env).unwrap(),
        ]);
        let text = String::from_utf8(command.output().await.unwrap().stdout).unwrap();
        assert!(
            text.contains(r#""target":0.7"#) && text.contains(r#""value":2"#),
            "{text}"
        );
    }
}
