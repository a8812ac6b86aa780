//! Exit codes and streams of the binary: 0 done, 1 refused with reason and remedy, 2 wrong usage.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

fn trainer(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadcast-trainer"))
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Two weeks that end at a set time, written by the trainer itself.
fn generated(folder: &Path) -> String {
    let path = folder.join("metrics.csv").to_str().unwrap().to_owned();
    let output = trainer(&[
        "generate",
        "--output",
        &path,
        "--weeks",
        "2",
        "--end",
        "2026-01-31T12:02:00Z",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    path
}

fn assert_refused(output: &Output, reason: &str, remedy: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines: Vec<&str> = text(&output.stderr).lines().collect();
    assert!(
        lines[0].starts_with("error: ") && lines[0].contains(reason),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("remedy: ") && lines[1].contains(remedy),
        "{lines:?}"
    );
}

#[test]
fn help_and_version_exit_0_and_show_defaults() {
    for command in ["generate", "run", "forecast"] {
        let output = trainer(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            text(&output.stdout).contains("[env: LOADCAST_"),
            "{command}"
        );
    }
    assert!(text(&trainer(&["run", "--help"]).stdout).contains("[default: 28d]"));
    let version = trainer(&["--version"]);
    assert_eq!(
        text(&version.stdout).trim(),
        concat!("loadcast-trainer ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_usage_exits_2_with_what_to_write() {
    for (args, says) in [
        (
            &["run", "--data", "x.csv", "--series", "a=b:gallons"][..],
            "cores, bytes, 1/s, percent, 1",
        ),
        (&["run", "--data", "x.csv", "--series", "a"], "NAME=COLUMN"),
        (&["run", "--data", "x.csv", "--max-train", "soon"], "28d"),
        (&["run"], "--data"),
        (
            &["generate", "--output", "x.csv", "--end", "tomorrow"],
            "ISO 8601",
        ),
        (&["retrain"], "unrecognized subcommand"),
        (&[], "Usage"),
    ] {
        let output = trainer(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            text(&output.stderr).contains(says),
            "{args:?}: {}",
            text(&output.stderr)
        );
    }
}

#[test]
fn the_same_seed_and_end_generate_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let read = |folder: &Path| std::fs::read(generated(folder)).unwrap();
    let bytes = read(one.path());
    assert_eq!(bytes, read(two.path()));
    let last = text(&bytes).lines().next_back().unwrap();
    assert!(
        last.starts_with("2026-01-31T12:00:00Z,") && last.ends_with(",synthetic"),
        "{last}"
    );
}

#[test]
fn a_dry_run_of_generated_metrics_needs_no_flag_and_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let (data, report) = (generated(folder.path()), folder.path().join("report.json"));
    let models = folder.path().join("models");
    let output = trainer(&[
        "run",
        "--data",
        &data,
        "--dry-run",
        "--report",
        report.to_str().unwrap(),
        "--output-dir",
        models.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    for part in [
        "CPU_Prophet_Model",
        "Memory_Prophet_Model",
        "validate data",
        "prepare features",
        "train",
        "validate model",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["series"][0]["series"], "CPU_Prophet_Model");
    assert_eq!(report["series"][0]["cutoff"], "2026-01-31T12:00:00Z");
    for file in ["MLmodel", "model.pr", "loadcast.json", "requirements.txt"] {
        assert!(
            models.join("CPU_Prophet_Model").join(file).is_file(),
            "{file}"
        );
    }
}

#[test]
fn refusals_exit_1_with_reason_and_remedy_on_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = |content: &str| {
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let run = |data: &str| trainer(&["run", "--dry-run", "--series", "a=cpu", "--data", data]);
    assert_refused(&run("no/such.csv"), "no such file", "check the path");
    assert_refused(&run(&file("")), "is empty", "header line");
    assert_refused(
        &run(&file("time,cpu\n")),
        "no rows",
        "one row per observation",
    );
    assert_refused(&run(&file("time,load\n1,2\n")), "time, load", "--series");
    assert_refused(&run(&file("time,cpu\nsoon,2\n")), "line 2", "ISO 8601");
    assert_refused(
        &run(&file(
            "time,cpu\n1767225600,2\n1767225900,2\n1767226200,3\n",
        )),
        "3 usable rows",
        "576 rows",
    );
    let output = trainer(&[
        "run",
        "--dry-run",
        "--data",
        &file("time,load\n1767225600,2\n"),
    ]);
    assert_refused(&output, "load", "--series my.load=load:1");
}

#[test]
fn an_unreachable_server_exits_1_and_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = generated(folder.path());
    // A port that was free a moment ago refuses connections.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = format!("http://127.0.0.1:{port}");
    let output = trainer(&[
        "run",
        "--data",
        &data,
        "--series",
        "a=cpu_mean_5m:cores",
        "--server",
        &server,
    ]);
    assert_refused(&output, &server, "start loadcast-server");
    let output = trainer(&["run", "--data", &data, "--server", "somewhere"]);
    assert_refused(&output, "somewhere", "http://HOST:PORT");
}

#[test]
fn flags_come_from_the_environment_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = generated(folder.path());
    let output = Command::new(env!("CARGO_BIN_EXE_loadcast-trainer"))
        .args(["run", "--data", &data])
        .env("LOADCAST_DRY_RUN", "1")
        .env("LOADCAST_SERIES", "a=cpu_mean_5m:cores;b=mem_mean_5m:bytes")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("a (column cpu_mean_5m, cores)")
            && stdout.contains("b (column mem_mean_5m, bytes)")
    );
}

#[test]
fn shifted_times_are_said_loudly() {
    let folder = tempfile::tempdir().unwrap();
    let data = generated(folder.path());
    let output = trainer(&[
        "run",
        "--dry-run",
        "--data",
        &data,
        "--shift-to-now",
        "--drop-last",
        "6h",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("times shifted by ") && stdout.contains("to end now"),
        "{stdout}"
    );
    assert!(
        stdout.contains("the last 6 h (72 rows) left out"),
        "{stdout}"
    );
}
