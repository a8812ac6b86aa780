//! Unary questions to the release server, beside a bare tonic server that returns the same bytes, and beside Prophet
//! behind FastAPI. One load tool asks them all; every server is a process of its own, on loopback.

pub mod echo;
mod fleet;
mod load;
mod prophet;
mod question;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::{
    report::Section,
    timing::median,
    unary::{
        echo::Echo,
        fleet::Fleet,
        load::{Load, Run},
        prophet::Prophet,
        question::{Asked, Kind, Questions},
    },
};

/// Series that are served.
const SERIES: usize = 1_000;

/// Connections, and questions that are under way at once on each.
const CONNECTIONS: usize = 8;
const IN_FLIGHT: usize = 16;

/// How long each run asks, after [`WARM_UP`].
const RUN: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(300);

/// Paired runs, in turn, so that neither always comes first.
const PAIRS: usize = 5;

/// Of so many answers one is computed again from the model.
const RECHECKED: u64 = 100;

/// Measures everything and adds it to `section`.
///
/// # Errors
/// When a server cannot be started, a question is not answered, or an answer is not what the model says.
pub fn run(section: &mut Section) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(section))
}

async fn measure(section: &mut Section) -> Result<()> {
    let fleet = Fleet::start(SERIES).await?;
    let questions = Questions::new(SERIES);
    for kind in [Kind::Repeated, Kind::Different] {
        for points in [1, 288] {
            let asked = questions.asked(kind, points);
            beside_echo(section, &fleet, asked).await?;
        }
    }
    beside_prophet(section, &fleet, &questions).await?;
    let busy = std::fs::read_to_string("/proc/loadavg")?;
    section.say(format!(
        "{CONNECTIONS} connections, {IN_FLIGHT} questions under way on each; medians of {PAIRS} pairs of {RUN:?}; load {}",
        busy.trim()
    ));
    Ok(())
}

/// Ours and echo's throughput for the same questions, in pairs.
async fn beside_echo(section: &mut Section, fleet: &Fleet, asked: Asked) -> Result<()> {
    // What ours answers, so that echo's messages are as long.
    let sample = load::ask(fleet.server().addr(), &asked.request(0)).await?;
    let echo = Echo::start(&sample).await?;
    let ours = |turn: usize| Load {
        addr: fleet.server().addr(),
        pid: fleet.server().pid(),
        asked: asked.turned(turn),
        in_flight: IN_FLIGHT,
    };
    let theirs = |turn: usize| Load {
        addr: echo.addr(),
        pid: echo.pid(),
        asked: asked.turned(turn),
        in_flight: IN_FLIGHT,
    };
    let (mut our_runs, mut their_runs) = (Vec::new(), Vec::new());
    let mut rechecked = 0;
    for pair in 0..PAIRS {
        for first in [pair % 2 == 0, pair % 2 != 0] {
            if first {
                let run = ours(pair).run().await?;
                rechecked += recheck(fleet, &asked.turned(pair), &run)?;
                our_runs.push(run);
            } else {
                their_runs.push(theirs(pair).run().await?);
            }
        }
    }
    let name = format!("unary_{}_{}_points", asked.kind.name(), asked.points);
    let pairs = || our_runs.iter().zip(&their_runs);
    let of = |runs: &[Run], value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
    section.put(format!("{name}_per_second"), of(&our_runs, Run::per_second));
    section.put(
        format!("{name}_echo_per_second"),
        of(&their_runs, Run::per_second),
    );
    section.put(
        format!("{name}_of_echo"),
        median(
            pairs()
                .map(|(o, t)| o.per_second() / t.per_second())
                .collect(),
        ),
    );
    section.put(format!("{name}_cpu_us"), of(&our_runs, Run::cpu_micros));
    section.put(
        format!("{name}_echo_cpu_us"),
        of(&their_runs, Run::cpu_micros),
    );
    for (q, label) in [(0.5, "p50"), (0.99, "p99")] {
        let at = |runs: &[Run]| median(runs.iter().map(|run| run.latency_micros(q)).collect());
        section.put(format!("{name}_{label}_us"), at(&our_runs));
        section.put(format!("{name}_echo_{label}_us"), at(&their_runs));
    }
    section.put(format!("{name}_rechecked"), rechecked as f64);
    Ok(())
}

/// Computes the answers that a run kept again, from the model itself. How many they were.
fn recheck(fleet: &Fleet, asked: &Asked, run: &Run) -> Result<usize> {
    for (number, answer) in &run.kept {
        let (series, times, levels) = asked.meaning(*number);
        fleet
            .recheck(series, &times, &levels, answer)
            .with_context(|| format!("question {number}"))?;
    }
    ensure!(!run.kept.is_empty(), "no answer was kept to be rechecked");
    Ok(run.kept.len())
}

/// Questions for one point, to ours and to Prophet behind FastAPI, over as many connections.
async fn beside_prophet(section: &mut Section, fleet: &Fleet, questions: &Questions) -> Result<()> {
    let prophet = Prophet::start(fleet.model_pr()).await?;
    let asked = questions.asked(Kind::Different, 1);
    let (mut one, mut many, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..3 {
        for (in_flight, runs) in [(1, &mut one), (IN_FLIGHT, &mut many)] {
            let load = Load {
                addr: fleet.server().addr(),
                pid: fleet.server().pid(),
                asked: asked.turned(100 + pair),
                in_flight,
            };
            runs.push(load.run().await?);
        }
        theirs.push(prophet.load().await?);
    }
    let of = |runs: &[Run], value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
    let prophets = of(&theirs, Run::per_second);
    section.put("prophet_fastapi_per_second", prophets);
    section.put(
        "prophet_fastapi_p50_us",
        of(&theirs, |run| run.latency_micros(0.5)),
    );
    section.put(
        "prophet_fastapi_p99_us",
        of(&theirs, |run| run.latency_micros(0.99)),
    );
    for (name, runs) in [("one_under_way", &one), ("sixteen_under_way", &many)] {
        let ours = of(runs, Run::per_second);
        section.put(format!("beside_prophet_{name}_per_second"), ours);
        section.put(format!("beside_prophet_{name}_times"), ours / prophets);
        section.put(
            format!("beside_prophet_{name}_p50_us"),
            of(runs, |run| run.latency_micros(0.5)),
        );
        section.put(
            format!("beside_prophet_{name}_p99_us"),
            of(runs, |run| run.latency_micros(0.99)),
        );
    }
    Ok(())
}
