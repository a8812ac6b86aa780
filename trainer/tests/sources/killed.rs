//! A run of a fleet that is killed goes on where it was; a service runs again, and not before its time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use tokio::io::AsyncBufReadExt as _;

use crate::exposition::{load, now};
use crate::house::{SKILL_IS_TOLD, command, done, server};

/// Series of the fleet.
const FLEET: i64 = 16;

/// Longer than any of these waits takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Two weeks of quarters of an hour, a column for each series.
fn rows(folder: &Path) -> String {
    let path = folder.join("fleet.csv");
    let end = now() / 900 * 900;
    let header: Vec<String> = (0..FLEET).map(|i| format!("c{i}")).collect();
    let mut text = format!("time,{}\n", header.join(","));
    for step in 0..14 * 96 {
        let at = end - (14 * 96 - step) * 900;
        let values: Vec<String> = (0..FLEET).map(|i| load(i, at).to_string()).collect();
        text += &format!("{at},{}\n", values.join(","));
    }
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn run(data: &str, journal: &Path, server: &str) -> Vec<String> {
    let series: Vec<String> = (0..FLEET)
        .map(|i| format!("fleet.s{i}=c{i}:cores"))
        .collect();
    let journal = journal.display().to_string();
    let flags = ["--data", data, "--journal", &journal, "--server", server];
    let flags = [&flags[..], &SKILL_IS_TOLD[..]].concat();
    let series = ["--series".to_owned(), series.join(";")];
    let flags = flags.into_iter().map(str::to_owned);
    flags.chain(series).collect()
}

/// The files of what a run has done, with the times they were written; of models, and of series that were pushed.
fn noted(journal: &Path) -> (BTreeMap<PathBuf, SystemTime>, BTreeMap<PathBuf, SystemTime>) {
    let (mut models, mut pushed) = (BTreeMap::new(), BTreeMap::new());
    for folder in fs::read_dir(journal.join("series"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let series = folder.path().join("series.json");
        let Ok(text) = fs::read_to_string(&series) else {
            continue;
        };
        let written = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        let model = folder.path().join("model.pr");
        models.insert(model.clone(), written(&model));
        if text.contains("\"already_registered\"") {
            pushed.insert(series.clone(), written(&series));
        }
    }
    (models, pushed)
}

/// Starts the run and kills it as soon as `enough` says so of what it has noted.
async fn killed_when(arguments: &[String], journal: &Path, enough: impl Fn(usize, usize) -> bool) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = command(&[&["run"], arguments.as_slice()].concat(), &[]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let waiting = async {
        loop {
            let (models, pushed) = noted(journal);
            if enough(models.len(), pushed.len()) {
                return;
            }
            assert!(
                child.try_wait().unwrap().is_none(),
                "it ended before it was killed"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_fleet_run_that_is_killed_repeats_no_finished_series_and_makes_no_second_version() {
    let folder = tempfile::tempdir().unwrap();
    let server = server().await;
    let journal = folder.path().join("journal");
    let arguments = run(&rows(folder.path()), &journal, &server.url());

    killed_when(&arguments, &journal, |models, _| models >= 4).await;
    let judged = noted(&journal).0;
    killed_when(&arguments, &journal, |_, pushed| pushed >= 3).await;
    let (models, pushed) = noted(&journal);
    assert_eq!(models.len(), FLEET as usize);
    for (model, written) in &judged {
        assert_eq!(
            models.get(model),
            Some(written),
            "{} was made again",
            model.display()
        );
    }
    let whole: Vec<&str> = ["run"]
        .into_iter()
        .chain(arguments.iter().map(String::as_str))
        .collect();
    let printed = done(&whole, &[]).await;
    assert!(
        printed.starts_with("going on with the run of "),
        "{printed}"
    );
    assert!(printed.contains(&format!("{FLEET} series in")), "{printed}");
    let (models_after, pushed_after) = noted(&journal);
    assert_eq!(models_after, models, "nothing was trained again");
    assert_eq!(pushed_after.len(), FLEET as usize);
    for (series, written) in &pushed {
        assert_eq!(
            pushed_after.get(series),
            Some(written),
            "{} was pushed again",
            series.display()
        );
    }
    let client = server.client();
    for i in 0..FLEET {
        let model = client.model(&format!("fleet.s{i}")).await.unwrap();
        let aliases: Vec<u64> = model.aliases.into_values().collect();
        assert!(
            aliases.iter().all(|version| *version == 1) && !aliases.is_empty(),
            "{aliases:?}"
        );
    }
    assert_eq!(server.versions(), FLEET as usize);

    // That run ended: the same command is another run, of which each push is known by its key or is a new version.
    let again = done(&whole, &[]).await;
    assert!(again.contains(&format!("{FLEET} series in")), "{again}");
    assert_ne!(
        noted(&journal).0,
        models,
        "an ended run is not gone on with"
    );
}

#[tokio::test]
async fn shards_run_every_series_once_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = server().await;
    let data = rows(folder.path());
    let mut told = 0;
    for index in ["0", "1", "2"] {
        let journal = folder.path().join("journal");
        let arguments = run(&data, &journal, &server.url());
        let arguments = ["run", "--shards", "3"]
            .into_iter()
            .chain(arguments.iter().map(String::as_str));
        done(
            &arguments.collect::<Vec<_>>(),
            &[("JOB_COMPLETION_INDEX", index)],
        )
        .await;
        told += noted(&journal.join(format!("shard-{index}-of-3"))).1.len();
    }
    assert_eq!(told, FLEET as usize);
    assert_eq!(server.versions(), FLEET as usize);
}

/// Starts a service and waits until its metrics say `what`; what they say then.
async fn serving(arguments: &[&str], what: &str) -> (tokio::process::Child, String) {
    let mut command = tokio::process::Command::from(command(arguments, &[]));
    let mut child = command
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    let addr = first
        .strip_prefix("loadcast-trainer listening http=")
        .unwrap()
        .to_owned();
    // What it prints is read, so that it can go on printing.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let asking = async {
        loop {
            let answer = reqwest::get(format!("http://{addr}/metrics"))
                .await
                .unwrap();
            let text = answer.text().await.unwrap();
            if text.contains(what) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let text = tokio::time::timeout(PATIENCE, asking).await.unwrap();
    let ready = reqwest::get(format!("http://{addr}/readyz")).await.unwrap();
    assert_eq!(ready.status(), 200);
    (child, text)
}

#[tokio::test]
async fn a_service_runs_at_once_and_after_a_restart_not_before_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = server().await;
    let arguments = run(
        &rows(folder.path()),
        &folder.path().join("journal"),
        &server.url(),
    );
    let flags = ["serve", "--every", "6h", "--http-addr", "127.0.0.1:0"].into_iter();
    let arguments: Vec<&str> = flags.chain(arguments.iter().map(String::as_str)).collect();
    let (mut child, text) = serving(&arguments, "runs_total{outcome=\"ended\"} 1").await;
    let series = |outcome: &str| {
        let line = format!("loadcast_trainer_last_run_series{{outcome=\"{outcome}\"}} ");
        let value = text.lines().find_map(|other| other.strip_prefix(&line));
        value.unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(
        series("promoted") + series("candidate"),
        FLEET as f64,
        "{text}"
    );
    // As Kubernetes ends it.
    let pid = child.id().unwrap().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(killed.unwrap().success());
    assert!(child.wait().await.unwrap().success());

    let (_child, text) = serving(&arguments, "next_run_timestamp_seconds").await;
    assert!(text.contains("runs_total{outcome=\"ended\"} 0"), "{text}");
    assert!(text.contains("loadcast_trainer_running 0"), "{text}");
    let next = text
        .lines()
        .find_map(|line| line.strip_prefix("loadcast_trainer_next_run_timestamp_seconds "));
    let next: f64 = next.unwrap().parse().unwrap();
    assert!(next > now() as f64 + 5.0 * 3_600.0, "{next}");
}
