//! The stages as processes of their own, on data in MinIO: the same bytes as one process makes, and nothing else is pushed.

use std::path::Path;

use loadcast_components::minio::{BUCKET, Minio, ORIGINAL, minio};
use loadcast_components::tools::tool;

use crate::house::{done, refused, server};
use crate::minio::{get, put};

const SERIES: &str = "web.cpu=cpu_mean_5m:cores";

/// Two weeks of rows as CSV.
async fn csv(folder: &Path) -> Vec<u8> {
    let path = folder.join("metrics.csv").display().to_string();
    done(
        &[
            "generate",
            "--weeks",
            "2",
            "--end",
            "2026-01-31T12:00:00Z",
            "--output",
            &path,
        ],
        &[],
    )
    .await;
    std::fs::read(path).unwrap()
}

/// The same rows as pandas writes them: Parquet, times as timestamps.
fn parquet(folder: &Path, python: &Path) -> Vec<u8> {
    let script = "import sys, pandas; d = pandas.read_csv(sys.argv[1] + '/metrics.csv'); \
                  d['timestamp'] = pandas.to_datetime(d['timestamp']); \
                  d.to_parquet(sys.argv[1] + '/metrics.parquet')";
    let output = std::process::Command::new(python)
        .args(["-c", script])
        .arg(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read(folder.join("metrics.parquet")).unwrap()
}

/// The four stages, each a process, from `data` to `place`.
async fn stages(minio: &Minio, data: &str, place: &str, method: &[&str]) {
    let variables = minio.variables();
    let at = |stage: &str| format!("{place}/{stage}");
    done(
        &[
            "validate-data",
            "--data",
            data,
            "--series",
            SERIES,
            "--output",
            &at("valid"),
        ],
        &variables,
    )
    .await;
    done(
        &["prepare", "--input", &at("valid"), "--output", &at("grid")],
        &variables,
    )
    .await;
    let mut train = vec!["train", "--input"];
    let (grid, model, approved) = (at("grid"), at("model"), at("approved"));
    train.extend([grid.as_str(), "--output", &model]);
    train.extend(method);
    done(&train, &variables).await;
    done(
        &["validate-model", "--input", &model, "--output", &approved],
        &variables,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_as_processes_make_the_bytes_that_one_process_makes_of_csv_and_of_parquet() {
    let (Some(minio), Some(python)) = (
        minio(),
        tool("Python's pandas", "python/bin/python", "Python"),
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    put(minio, BUCKET, "rows/metrics.csv", csv(folder.path()).await).await;
    put(
        minio,
        BUCKET,
        "rows/metrics.parquet",
        parquet(folder.path(), &python),
    )
    .await;
    let variables = minio.variables();
    let spec = folder.path().join("spec.toml").display().to_string();
    std::fs::write(&spec, "weekly_seasonality = false\n").unwrap();
    for (search, method) in [
        (false, &["--spec", spec.as_str()][..]),
        (true, &["--search"][..]),
    ] {
        let mut made: Vec<(String, Vec<u8>)> = Vec::new();
        for format in ["csv", "parquet"] {
            let data = format!("s3://{BUCKET}/rows/metrics.{format}");
            let output = folder.path().join(format!("run-{format}-{search}"));
            let shown = output.display().to_string();
            let mut run = vec!["run", "--data", &data, "--series", SERIES, "--dry-run"];
            run.extend(["--output-dir", &shown]);
            run.extend(method);
            done(&run, &variables).await;
            made.push((
                format!("run, {format}, search {search}"),
                std::fs::read(output.join("web.cpu/model.pr")).unwrap(),
            ));
            let place = format!("stages/{format}-{search}");
            stages(minio, &data, &format!("s3://{BUCKET}/{place}"), method).await;
            made.push((
                format!("stages, {format}, search {search}"),
                get(minio, &format!("{place}/approved/web.cpu/model.pr")).await,
            ));
        }
        for (what, bytes) in &made {
            println!(
                "{} bytes of model.pr, sha256 {}: {what}",
                bytes.len(),
                loadcast_model::artifact::sha256_hex(bytes)
            );
            assert!(*bytes == made[0].1, "{what} differs from {}", made[0].0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stages_hand_to_push_is_the_version_that_run_pushes_and_nothing_unvalidated_is() {
    let Some(minio) = minio() else { return };
    let folder = tempfile::tempdir().unwrap();
    put(minio, BUCKET, "push/metrics.csv", csv(folder.path()).await).await;
    let data = format!("s3://{BUCKET}/push/metrics.csv");
    let place = format!("s3://{BUCKET}/push");
    stages(minio, &data, &place, &[]).await;
    let (server, variables) = (server().await, minio.variables());
    let url = server.url();

    let model = format!("{place}/model");
    let told = refused(&["push", "--input", &model, "--server", &url], &variables).await;
    assert!(
        told.contains("no model that was validated")
            && told.contains("run `loadcast-trainer validate-model`"),
        "{told}"
    );
    let told = refused(
        &[
            "validate-model",
            "--input",
            &format!("{place}/valid"),
            "--output",
            &model,
        ],
        &variables,
    )
    .await;
    assert!(told.contains("takes over from train"), "{told}");

    let approved = format!("{place}/approved");
    let printed = done(
        &["push", "--input", &approved, "--server", &url],
        &variables,
    )
    .await;
    assert!(printed.contains("version 1, served"), "{printed}");
    let run = ["run", "--data", &data, "--series", SERIES, "--server", &url];
    let printed = done(&run, &variables).await;
    assert!(
        printed.contains("version 1, served") && printed.contains("pushed before"),
        "{printed}"
    );

    // A model.pr of somewhere else in the folder of a validated one.
    put(
        minio,
        BUCKET,
        "push/approved/web.cpu/model.pr",
        b"{}".to_vec(),
    )
    .await;
    let told = refused(
        &["push", "--input", &approved, "--server", &url],
        &variables,
    )
    .await;
    assert!(
        told.contains("is not the file that was handed over"),
        "{told}"
    );
    assert_eq!(
        server.client().model("web.cpu").await.unwrap().aliases["champion"],
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_of_the_pipeline_that_came_before_needs_no_other_flag() {
    let Some(minio) = minio() else { return };
    let folder = tempfile::tempdir().unwrap();
    put(
        minio,
        ORIGINAL,
        "metrics_dataset.csv",
        csv(folder.path()).await,
    )
    .await;
    let run = ["run", "--profile", "original", "--dry-run"];
    let printed = done(&run, &minio.variables()).await;
    assert!(
        printed.contains("CPU_Prophet_Model (column cpu_mean_5m, cores)")
            && printed.contains("Memory_Prophet_Model (column mem_mean_5m, bytes)"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_refused_go_to_no_later_stage_and_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("short.csv");
    let rows: String = (0..10)
        .map(|i| format!("{},{i},1\n", 1_767_225_600 + 300 * i))
        .collect();
    std::fs::write(&data, format!("time,cpu,mem\n{rows}")).unwrap();
    let place = folder.path().join("stages").display().to_string();
    let data = data.display().to_string();
    let told = refused(
        &[
            "validate-data",
            "--data",
            &data,
            "--series",
            "a=cpu",
            "--output",
            &place,
        ],
        &[],
    )
    .await;
    assert!(told.contains("10 usable rows"), "{told}");
    let printed = done(&["prepare", "--input", &place, "--output", &place], &[]).await;
    assert!(
        printed.contains("left out: validate-data refused it"),
        "{printed}"
    );
    let told = refused(
        &["push", "--input", &place, "--server", "http://127.0.0.1:9"],
        &[],
    )
    .await;
    assert!(
        told.contains("validate-data refused it") && told.contains("10 usable rows"),
        "{told}"
    );
}
