//! The trainer's release binary as a process, and what it used.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

/// How often the process is looked at. Its peak never falls, so only what it takes right before its end can be missed.
const LOOK: Duration = Duration::from_millis(20);

/// Linux tells CPU time to programs in hundredths of a second, whatever the kernel counts in.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process used.
#[derive(Debug)]
pub(super) struct Usage {
    /// From its start to its end.
    pub(super) seconds: f64,
    /// Of all its threads, in user mode and in the kernel.
    pub(super) cpu_seconds: f64,
    /// The most of it that was in memory.
    pub(super) peak_bytes: u64,
}

/// Runs the trainer on the Parquet file `rows`.
///
/// # Errors
/// When its release binary is not built, or it fails.
pub(super) fn run(rows: &Path, catalog: &Path, report: &Path) -> Result<Usage> {
    let binary = binary()?;
    let begun = Instant::now();
    let mut child = Command::new(&binary)
        .args(["run", "--dry-run", "--search", "--shift-to-now"])
        .arg("--data")
        .arg(rows)
        .arg("--catalog")
        .arg(catalog)
        .arg("--report")
        .arg(report)
        .env("RUST_LOG", "error")
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| binary.display().to_string())?;
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let mut peak_bytes = 0;
    // A process that has ended has no memory, and until it is waited for still tells what CPU time it took.
    while let Some(peak) = peak(&proc)? {
        peak_bytes = peak_bytes.max(peak);
        thread::park_timeout(LOOK);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_seconds = cpu_seconds(&proc)?;
    let status = child.wait()?;
    // 1 is a run of which some series failed; the report says which.
    ensure!(
        matches!(status.code(), Some(0 | 1)),
        "the trainer ended with {status}"
    );
    Ok(Usage {
        seconds,
        cpu_seconds,
        peak_bytes,
    })
}

/// `VmHWM`; `None` when the process has ended.
fn peak(proc: &Path) -> Result<Option<u64>> {
    let status = fs::read_to_string(proc.join("status"))?;
    let Some(line) = status.lines().find(|line| line.starts_with("VmHWM:")) else {
        return Ok(None);
    };
    let kib = line.split_whitespace().nth(1).context("VmHWM")?;
    Ok(Some(kib.parse::<u64>()? * 1024))
}

/// utime and stime of `/proc/PID/stat`, which come 11th and 12th after the name in brackets.
fn cpu_seconds(proc: &Path) -> Result<f64> {
    let stat = fs::read_to_string(proc.join("stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("stat")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || -> Result<f64> { Ok(fields.next().context("stat")?.parse()?) };
    Ok((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

/// The binary beside this one, or above it: benches lie in a folder of their own.
fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.ancestors().skip(1).take(2);
    let mut found = beside.map(|folder| folder.join("loadcast-trainer"));
    found
        .find(|binary| binary.exists())
        .context("no release binary of the trainer: cargo build --release -p loadcast-trainer")
}
