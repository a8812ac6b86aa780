//! Answers with what was observed, and without it.

use std::time::Duration;

use futures::StreamExt as _;
use loadcast_client::{
    Forecast, ForecastQuery, ForecastUpdate, Freshness, Range, Selector, Update, UpdateCause,
    WatchQuery,
};
use loadcast_model::forecaster::Forecast as ModelForecast;

use super::scene::{SERIES, STEP, corrected, instant, offline, value};
use crate::support::TestServer;

const LEVELS: [f64; 3] = [0.05, 0.5, 0.9];

fn query(steps: u64) -> ForecastQuery {
    ForecastQuery {
        levels: LEVELS.to_vec(),
        peak_levels: vec![0.9],
        ..ForecastQuery::new(SERIES, Range::Horizon(Duration::from_secs(300 * steps)))
    }
}

/// That both say the same, to the bit.
fn assert_same(served: &Forecast, offline: &ModelForecast) {
    assert_eq!(served.yhat, offline.yhat);
    for (served, offline) in served.quantiles.iter().zip(&offline.quantiles) {
        assert_eq!(
            (served.level, &served.values),
            (offline.level, &offline.values)
        );
    }
    assert_eq!(served.quantiles.len(), offline.quantiles.len());
}

fn times(first: i64, count: i64) -> Vec<i64> {
    (first..first + count)
        .map(|i| instant(i).as_second())
        .collect()
}

#[tokio::test]
async fn without_observations_an_answer_is_the_uncorrected_one_to_the_bit() {
    let server = TestServer::start().await;
    let push = corrected(SERIES);
    server.client().push(push.clone()).await.unwrap();
    let answer = server.client().forecast(&query(48)).await.unwrap();
    let model = offline(&push);
    assert_same(&answer, &model.uncorrected(&times(0, 48), &LEVELS).unwrap());
    assert_eq!(answer.correction, None);
    let peak = model.peak(0, instant(0).as_second(), 48, 300, 0.9).unwrap();
    assert_eq!(answer.peaks[0].value, peak.unwrap());
}

#[tokio::test]
async fn a_corrected_answer_is_that_of_the_offline_model_to_the_bit_and_says_so() {
    let server = TestServer::start().await;
    let push = corrected(SERIES);
    server.client().push(push.clone()).await.unwrap();
    let mut model = offline(&push);
    // A level that jumps, so that the guard is seen at work too.
    for i in 0..60 {
        let observed = value(i) + if i < 50 { 0.0 } else { 40.0 };
        let told = server.observe(SERIES, i, vec![observed]).await;
        assert_eq!(told.accepted, 1);
        model.observe(instant(i).as_second(), observed).unwrap();
        let now = instant(i + 1).as_second();
        let answer = server.client().forecast(&query(48)).await.unwrap();
        let expected = model.forecast(now, &times(i + 1, 48), &LEVELS).unwrap();
        assert_same(&answer, &expected);
        let peak = model.peak(now, now, 48, 300, 0.9).unwrap().unwrap();
        assert_eq!(answer.peaks[0].value, peak);
        let correction = answer.correction.unwrap();
        assert_eq!(correction.observed_at, Some(instant(i)));
        // Two residuals that go twice as far as a jump must.
        assert_eq!(correction.level_shift, i >= 51, "{i}: {correction:?}");
        let uncorrected = model.uncorrected(&times(i + 1, 1), &[]).unwrap();
        let added = expected.yhat[0] - uncorrected.yhat[0];
        assert!(
            (correction.shift - added).abs() < 1e-9,
            "{correction:?} {added}"
        );
        assert!((0.0..=1.0).contains(&correction.decay_per_step));
    }
}

#[tokio::test]
async fn an_answer_as_of_an_earlier_instant_knows_nothing_of_what_came_later() {
    let server = TestServer::start().await;
    let push = corrected(SERIES);
    server.client().push(push.clone()).await.unwrap();
    let before = server.client().forecast(&query(12)).await.unwrap();
    server
        .observe(SERIES, 0, (0..50).map(value).collect())
        .await;
    let past = ForecastQuery {
        as_of: Some(instant(0)),
        ..query(12)
    };
    let answer = server.client().forecast(&past).await.unwrap();
    assert_eq!(answer, before);
    let last = ForecastQuery {
        as_of: Some(instant(49)),
        ..query(12)
    };
    let answer = server.client().forecast(&last).await.unwrap();
    assert!(answer.correction.is_some());
}

#[tokio::test]
async fn observations_that_stop_correct_no_longer_and_the_answer_is_stale() {
    let server = TestServer::start().await;
    let push = corrected(SERIES);
    server.client().push(push.clone()).await.unwrap();
    server
        .observe(SERIES, 0, (0..50).map(value).collect())
        .await;
    // The last step ended at 50; 15 minutes are 3 steps.
    for (after, fresh) in [(50, true), (53, true), (54, false)] {
        server.clock.set(instant(after));
        let answer = server.client().forecast(&query(12)).await.unwrap();
        let freshness = answer.provenance.freshness;
        assert_eq!(
            freshness == Freshness::Fresh,
            fresh,
            "{after}: {freshness:?}"
        );
        assert_eq!(answer.correction.is_some(), fresh, "{after}");
        if !fresh {
            assert_eq!(freshness, Freshness::StaleData);
            let uncorrected = offline(&push).uncorrected(&times(after, 12), &LEVELS);
            assert_same(&answer, &uncorrected.unwrap());
        }
    }
    server.observe(SERIES, 53, vec![value(53)]).await;
    let answer = server.client().forecast(&query(12)).await.unwrap();
    assert_eq!(answer.provenance.freshness, Freshness::Fresh);
}

#[tokio::test]
async fn a_peak_of_other_steps_is_refused_and_of_too_long_a_range_absent() {
    let server = TestServer::start().await;
    server.client().push(corrected(SERIES)).await.unwrap();
    let coarse = ForecastQuery {
        step: Some(Duration::from_secs(600)),
        ..query(12)
    };
    let error = server.client().forecast(&coarse).await.unwrap_err();
    assert!(error.to_string().contains("peak_levels"), "{error}");
    let answer = server.client().forecast(&query(289 * 2)).await.unwrap();
    assert!(answer.peaks.is_empty());
    let bad = ForecastQuery {
        peak_levels: vec![0.9, 1.0],
        ..query(12)
    };
    let error = server.client().forecast(&bad).await.unwrap_err();
    assert!(
        error.to_string().contains("peak_levels[1]")
            || format!("{error:?}").contains("peak_levels[1]"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_watcher_is_told_of_an_observation_within_the_step() {
    let server = TestServer::start().await;
    let push = corrected(SERIES);
    server.client().push(push.clone()).await.unwrap();
    let names = Selector::names([SERIES]);
    let watch = WatchQuery::new(names, Duration::from_secs(3_600));
    let mut watch = server.client().watch_forecasts(watch);
    let mut next = async || loop {
        let update = watch.next().await.unwrap().unwrap();
        if let Update::Message(ForecastUpdate::Forecast { cause, forecast }) = update {
            return (cause, forecast);
        }
    };
    let (cause, forecast) = next().await;
    assert_eq!((cause, forecast.correction), (UpdateCause::Snapshot, None));
    // The step has ended some time ago, and only now it is told.
    server.tell(SERIES, -1, vec![value(-1) + 5.0]).await;
    let (cause, forecast) = next().await;
    assert_eq!(cause, UpdateCause::Observed);
    let mut model = offline(&push);
    model
        .observe(instant(-1).as_second(), value(-1) + 5.0)
        .unwrap();
    let expected = model.forecast(instant(0).as_second(), &times(0, 12), &[]);
    assert_eq!(forecast.yhat, expected.unwrap().yhat);
    assert_eq!(forecast.step.as_secs(), STEP.unsigned_abs());
}
