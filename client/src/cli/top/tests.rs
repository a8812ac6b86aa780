//! What a look comes down to, and how it is drawn.

use std::time::Duration;

use jiff::Timestamp;
use loadcast_client::{
    BatchItem, Code, Error, Forecast, Freshness, Model, ModelState, Quantile, Scores, Series,
    Served,
};

use crate::cli::ansi;
use crate::cli::show::tests::forecast;
use crate::cli::top::look::{Look, Sort};
use crate::cli::top::view;

fn at() -> Timestamp {
    "2026-10-08T00:03:20Z".parse().unwrap()
}

fn answer(series: &str, unit: &str, yhat: Vec<f64>) -> Forecast {
    let mut forecast = forecast(yhat);
    forecast.provenance.series = series.to_owned();
    forecast.unit = Some(unit.to_owned());
    forecast.quantiles = vec![Quantile {
        level: 0.9,
        values: forecast.yhat.iter().map(|value| value * 1.25).collect(),
    }];
    forecast
}

fn ok(forecast: Forecast) -> BatchItem {
    BatchItem {
        series: forecast.provenance.series.clone(),
        forecast: Ok(forecast),
    }
}

fn model(series: &str, state: ModelState) -> Model {
    Model {
        series: Series {
            name: series.to_owned(),
            labels: Default::default(),
            unit: Some("cores".into()),
            step: Some(Duration::from_secs(300)),
            time_zone: "UTC".into(),
            zero_means: None,
            predecessor: None,
        },
        state,
        reason: None,
        message: None,
        served: None,
        aspired: None,
        last_rejection: None,
        freshness: None,
        live_scores: None,
        live: None,
        kept_versions: Vec::new(),
        aliases: Default::default(),
    }
}

fn scored(series: &str, live: Option<f64>, backtest: f64) -> Model {
    let skill = |skill| Scores {
        skill: Some(skill),
        ..Scores::default()
    };
    Model {
        live_scores: live.map(skill),
        served: Some(Served {
            version: 3,
            artifact_sha256: "1a2b3c4d".repeat(8),
            size_bytes: 1,
            alias: None,
            cutoff: at(),
            trained_at: at(),
            served_since: at(),
            revision: 12,
            rows: 0,
            scores: Some(skill(backtest)),
            trainer_version: None,
            clamps: None,
        }),
        ..model(series, ModelState::Serving)
    }
}

fn fleet() -> Look {
    let mut stale = answer("shop.web.memory", "bytes", vec![3.5e9, 3.6e9, 3.4e9]);
    stale.provenance.freshness = Freshness::StaleData;
    let mut gated = answer("shop.queue.depth", "1", vec![120.0, 90.0]);
    gated.provenance.reason = Some("LIVE_SKILL".to_owned());
    let refused = Error::Refused {
        code: Code::NotFound,
        reason: "UNKNOWN_SERIES".to_owned(),
        message: "nobody pushed it".to_owned(),
        violations: Vec::new(),
        retry_after: None,
    };
    let items = vec![
        ok(stale),
        ok(gated),
        BatchItem {
            series: "nobody.knows".to_owned(),
            forecast: Err(refused),
        },
        ok(answer("shop.web.cpu", "cores", vec![1.5, 1.75, 2.25])),
        ok(answer("shop.api.requests", "1/s", vec![9_500.0, 38_000.0])),
        ok(answer(
            "payments.a-workload-with-a-name-that-goes-on-and-on.container.cpu",
            "cores",
            vec![0.25, 0.25],
        )),
    ];
    let models = vec![
        scored("shop.web.cpu", Some(0.42), 0.3),
        scored("shop.web.memory", None, 0.18),
        model("old.batch.cpu", ModelState::Retired),
    ];
    let hour = Duration::from_secs(3_600);
    Look::new("http://127.0.0.1:50051", at(), hour, 0.9, models, items)
}

fn drawn(look: &Look, columns: u16, colour: bool) -> Vec<String> {
    ansi::lines(&view::whole(look, columns), colour)
}

#[test]
fn a_fleet_at_80_columns_reads_as_it_should() {
    let look = fleet().sorted(Sort::Attention);
    let expected = "\
7 series, 4 not fresh · next hour · 00:03:20 UTC · http://127.0.0.1:50051
SERIES                        NOW   MAX AT     Q0.9 VER STATE              SKILL
old.batch.cpu                   -     - -         -   - retired                -
nobody.knows                    -     - -         -   - unknown series         -
shop.queue.depth              120   120 00:00   150   3 gated: live skill      -
shop.web.memory          3.26 GiB  3.35 00:05  4.19   3 stale data        (0.18)
shop.api.requests          9500/s 38.0k 00:05 47.5k   3 fresh                  -
shop.web.cpu           1.50 cores  2.25 00:10  2.81   3 fresh               0.42
payments.a-…tainer.cpu 0.25 cores  0.25 00:00  0.31   3 fresh                  -
";
    let lines = drawn(&look, 80, false);
    assert_eq!(lines.join("\n") + "\n", expected);
}

#[test]
fn no_line_is_wider_than_any_screen_and_none_has_an_escape_without_colour() {
    for columns in [40, 60, 80, 99, 100, 140, 240] {
        for line in drawn(&fleet(), columns, false) {
            assert!(line.chars().count() <= usize::from(columns), "{line:?}");
            assert!(!line.contains('\u{1b}'), "{line:?}");
        }
    }
}

#[test]
fn states_are_in_colour_where_there_are_colours() {
    let text = drawn(&fleet(), 80, true).join("\n");
    for expected in [
        "\u{1b}[32mfresh",
        "\u{1b}[33mstale data",
        "\u{1b}[33mgated: live skill",
        "\u{1b}[31mretired",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn what_cannot_be_trusted_comes_first_then_what_rises_most() {
    let names = |look: &Look| -> Vec<String> {
        let names = look.rows.iter().map(|row| row.series.clone());
        names.collect()
    };
    let attention = names(&fleet().sorted(Sort::Attention));
    assert_eq!(
        &attention[..6],
        [
            "old.batch.cpu",
            "nobody.knows",
            "shop.queue.depth",
            "shop.web.memory",
            "shop.api.requests",
            "shop.web.cpu",
        ]
    );
    let mut sorted = names(&fleet());
    sorted.sort();
    assert_eq!(names(&fleet()), sorted);
}

#[test]
fn programs_get_numbers_that_round_trip_and_codes() {
    let json = fleet().to_json();
    let row = |name: &str| {
        let rows = json["series"].as_array().unwrap();
        rows.iter().find(|row| row["series"] == name).unwrap()
    };
    let web = row("shop.web.cpu");
    assert_eq!(
        (web["now"].as_f64(), web["max"].as_f64()),
        (Some(1.5), Some(2.25))
    );
    assert_eq!(web["max_at"], "2026-10-08T00:10:00Z");
    assert_eq!(web["max_of_quantile"].as_f64(), Some(2.8125));
    assert_eq!(web["live_skill"].as_f64(), Some(0.42));
    assert_eq!((&web["state"], &web["code"]), (&"FRESH".into(), &().into()));
    let gated = row("shop.queue.depth");
    assert_eq!(
        (&gated["state"], &gated["code"]),
        (&"GATED".into(), &"LIVE_SKILL".into())
    );
    let nobody = row("nobody.knows");
    assert_eq!(
        (&nobody["state"], &nobody["now"]),
        (&"NONE".into(), &().into())
    );
    assert!(
        nobody["message"]
            .as_str()
            .unwrap()
            .contains("nobody pushed it")
    );
}

#[test]
fn nothing_selected_says_so() {
    let hour = Duration::from_secs(3_600);
    let look = Look::new("http://web", at(), hour, 0.9, Vec::new(), Vec::new());
    let lines = drawn(&look, 80, false);
    assert!(lines[1].starts_with("no series; push one"), "{lines:?}");
}
