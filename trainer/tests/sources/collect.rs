//! `collect` may be killed at any time and run as often as one likes: nothing is asked twice, and nothing is there twice.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loadcast_trainer::source::dataset::Dataset;
use loadcast_trainer::source::location::Location;

use loadcast_components::minio::{BUCKET, minio};

use crate::house::{command, done, refused};
use crate::wire::{Asked, Scripted, whole};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// So few samples at once that a chunk is 500 steps of two series: 41 hours and 40 minutes.
const COLLECT: [&str; 11] = [
    "collect",
    "--promql",
    "up",
    "--name",
    "{job}.up",
    "--history",
    "2d",
    "--prometheus-samples",
    "1000",
    "--prometheus-parallel",
    "2",
];

fn two(question: &Asked) -> crate::wire::Answer {
    whole(&[("a", 0.0), ("b", 0.5)], question)
}

/// The instants and values of a series.
async fn rows(dataset: &Path, at: usize) -> Vec<(String, String)> {
    let place = Location::of(dataset.to_str().unwrap()).unwrap();
    let dataset = Dataset::find(&place).await.unwrap().unwrap();
    let collected = dataset.series().nth(at).unwrap();
    let table = dataset.table(&collected, i64::MAX).await.unwrap();
    let rows = table.rows(&["timestamp", "value"], "").unwrap();
    let rows = rows.column(0).zip(rows.column(1));
    rows.map(|(time, value)| (time.to_owned(), value.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_it_goes_on_where_it_was_and_the_rows_are_those_of_one_that_was_not() {
    let stuck = Arc::new(AtomicBool::new(true));
    let is_stuck = Arc::clone(&stuck);
    let hung = Arc::new(tokio::sync::Notify::new());
    let tell = Arc::clone(&hung);
    let scripted = Scripted::start(2, move |number, question| {
        if number >= 2 && is_stuck.load(Ordering::SeqCst) {
            tell.notify_one();
            return None;
        }
        two(question)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let with = |output: &Path| -> Vec<String> {
        let longer = COLLECT.map(|text| if text == "2d" { "10d" } else { text });
        let mut arguments: Vec<String> = longer.map(str::to_owned).to_vec();
        let more = [
            "--prometheus-url",
            &scripted.url,
            "--output",
            output.to_str().unwrap(),
        ];
        arguments.extend(more.map(str::to_owned));
        arguments
    };
    let arguments = with(&one);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut child = tokio::process::Command::from(command(&arguments, &[]));
    let mut child = child
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    tokio::time::timeout(PATIENCE, hung.notified())
        .await
        .unwrap();
    // The first chunk is complete when its manifest is there.
    let manifest = one.join("entries");
    let written = async {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        while std::fs::read_dir(&manifest).map_or(0, |files| {
            files
                .filter(|file| {
                    file.as_ref()
                        .is_ok_and(|file| file.path().extension().is_some_and(|e| e == "json"))
                })
                .count()
        }) == 0
        {
            every.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, written).await.unwrap();
    child.kill().await.unwrap();

    let asked = scripted.asked();
    let first = asked
        .iter()
        .map(|question| question.number("start"))
        .min()
        .unwrap();
    stuck.store(false, Ordering::SeqCst);
    done(&arguments, &[]).await;
    let again = scripted.asked().split_off(asked.len());
    assert!(!again.is_empty());
    assert!(
        again
            .iter()
            .all(|question| question.number("start") > first),
        "{again:?}"
    );

    let arguments = with(&other);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    done(&arguments, &[]).await;
    for at in 0..2 {
        let (resumed, at_once) = (rows(&one, at).await, rows(&other, at).await);
        let mut times: Vec<&String> = resumed.iter().map(|(time, _)| time).collect();
        times.dedup();
        assert_eq!(times.len(), resumed.len(), "no time is there twice");
        // A step may have passed between the two: what both cover is the same.
        let both = |rows: Vec<(String, String)>, from: String, until: String| -> Vec<_> {
            rows.into_iter()
                .filter(|(time, _)| *time >= from && *time <= until)
                .collect()
        };
        let from = resumed[0].0.clone().max(at_once[0].0.clone());
        let until = resumed
            .last()
            .unwrap()
            .0
            .clone()
            .min(at_once.last().unwrap().0.clone());
        let (resumed, at_once) = (
            both(resumed, from.clone(), until.clone()),
            both(at_once, from, until),
        );
        assert!(resumed.len() >= 2_875, "{}", resumed.len());
        assert_eq!(resumed, at_once);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_in_a_bucket_is_appended_to_and_run_reads_it() {
    let Some(minio) = minio() else { return };
    let scripted = Scripted::start(2, |_, question| two(question)).await;
    let place = format!("s3://{BUCKET}/datasets/up");
    let mut collect: Vec<&str> = COLLECT.to_vec();
    collect.extend(["--prometheus-url", &scripted.url, "--output", &place]);
    let printed = done(&collect, &minio.variables()).await;
    assert!(printed.contains("2 series, 1152 new samples"), "{printed}");
    let asked = scripted.asked().len();
    // Further back than before: only what is missing is asked for.
    let longer: Vec<&str> = collect
        .iter()
        .map(|text| if *text == "2d" { "3d" } else { text })
        .collect();
    let printed = done(&longer, &minio.variables()).await;
    assert!(printed.contains("2 series, "), "{printed}");
    let more = scripted.asked().split_off(asked);
    let until = more
        .iter()
        .map(|question| question.number("end"))
        .min()
        .unwrap();
    assert!(until < scripted.asked()[0].number("start"), "{more:?}");
    let run = ["run", "--dry-run", "--data", &place];
    let printed = done(&run, &minio.variables()).await;
    assert!(
        printed.contains("a.up") && printed.contains("b.up"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_expression_changed_is_not_mixed_into_what_was_collected() {
    let scripted = Scripted::start(2, |_, question| two(question)).await;
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("data").display().to_string();
    let mut collect: Vec<&str> = COLLECT.to_vec();
    collect.extend(["--prometheus-url", &scripted.url, "--output", &output]);
    done(&collect, &[]).await;
    let other: Vec<&str> = collect
        .iter()
        .map(|text| if *text == "up" { "rate(up[5m])" } else { text })
        .collect();
    let told = refused(&other, &[]).await;
    assert!(
        told.contains("another expression") && told.contains("under another name"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_fails_stops_no_other_and_each_is_named_at_the_end() {
    let scripted = Scripted::start(2, |_, question| match question.query() {
        "up" => two(question),
        _ => crate::wire::error(400, "bad_data", "1:5: parse error"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog.toml");
    let entries = [("first", "wrong ("), ("{job}.up", "up"), ("last", "bad (")];
    let entries =
        entries.map(|(name, promql)| format!("[[series]]\nname = {name:?}\npromql = {promql:?}\n"));
    std::fs::write(&catalog, entries.concat()).unwrap();
    let output = folder.path().join("data");
    let told = refused(
        &[
            "collect",
            "--catalog",
            catalog.to_str().unwrap(),
            "--history",
            "2d",
            "--prometheus-url",
            &scripted.url,
            "--output",
            output.to_str().unwrap(),
        ],
        &[],
    )
    .await;
    assert!(
        told.contains("first: ") && told.contains("last: ") && !told.contains("{job}.up: "),
        "{told}"
    );
    assert_eq!(rows(&output, 0).await.len(), 576);
    assert_eq!(rows(&output, 1).await.len(), 576);
}
