//! Scores: equal to what whoever has the artifact and the observations finds.

use std::{collections::BTreeMap, time::Duration};

use loadcast_client::{LeadScores, Push};
use loadcast_model::{live::LiveModel, zone::Zone};

use super::scene::{SERIES, STEP, corrected, instant, offline, utc, value};
use crate::support::{TestServer, push};

const LEADS: [i64; 4] = [300, 900, 3_600, 86_400];
const DAY: i64 = 86_400;

/// An exponential mean, written as the documentation of `LeadScores` says it.
#[derive(Default)]
struct Mean {
    s: f64,
    w: f64,
    rows: u64,
}

impl Mean {
    fn add(&mut self, x: f64) {
        let keeps = (-(STEP as f64) / DAY as f64).exp();
        self.s = keeps * self.s + x;
        self.w = keeps * self.w + 1.0;
        self.rows += 1;
    }

    fn mean(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.s / self.w)
    }
}

/// What the model would have answered after each observation, set against what came; nothing of the server's code.
fn recomputed(
    mut model: LiveModel,
    zone: &Zone,
    since: i64,
    observed: &BTreeMap<i64, f64>,
) -> Vec<LeadScores> {
    let mut made: BTreeMap<(i64, i64), (f64, f64, f64)> = BTreeMap::new();
    for (at, value) in observed {
        let wall = zone.to_wall(*at);
        model.observe(wall, *value).unwrap();
        if *at < since {
            continue;
        }
        for lead in LEADS {
            let asked = [zone.to_wall(at + lead)];
            let forecast = model.forecast(wall + STEP, &asked, &[0.1, 0.9]).unwrap();
            let quantile = |i: usize| forecast.quantiles[i].values[0];
            made.insert(
                (lead, at + lead),
                (forecast.yhat[0], quantile(0), quantile(1)),
            );
        }
    }
    let of_lead = |lead: i64| {
        let [
            mut error,
            mut inside,
            mut ours,
            mut naive,
            mut ours_last,
            mut last,
        ]: [Mean; 6] = Default::default();
        for (at, y) in observed {
            let Some((point, low, high)) = made.get(&(lead, *at)) else {
                continue;
            };
            let off = (y - point).abs();
            error.add(off);
            inside.add(f64::from(u8::from(low <= y && y <= high)));
            if let Some(before) = observed.get(&(at - DAY)) {
                ours.add(off);
                naive.add((y - before).abs());
            }
            ours_last.add(off);
            last.add((y - observed[&(at - lead)]).abs());
        }
        let skill = |ours: &Mean, theirs: &Mean| (theirs.s > 0.0).then(|| 1.0 - ours.s / theirs.s);
        LeadScores {
            lead: Duration::from_secs(lead.unsigned_abs()),
            rows: error.rows,
            mae: error.mean(),
            coverage: inside.mean(),
            skill: skill(&ours, &naive),
            seasonal_naive_mae: naive.mean(),
            skill_last_value: skill(&ours_last, &last),
            last_value_mae: last.mean(),
            skill_rows: ours.rows,
        }
    };
    LEADS.into_iter().map(of_lead).collect()
}

/// Observes `steps` steps in runs of different lengths, with holes; then everything told once more. Returns what was
/// taken.
async fn observe(server: &TestServer, steps: i64) -> BTreeMap<i64, f64> {
    let seen = |i: i64| {
        if i % 97 == 5 || (200..210).contains(&i) {
            f64::NAN
        } else {
            value(i)
        }
    };
    let mut i = -20;
    while i < steps {
        let next = (i + 1 + i.rem_euclid(40)).min(steps);
        let values: Vec<f64> = (i..next).map(seen).collect();
        let holes = values.iter().filter(|value| value.is_nan()).count() as u64;
        let told = server.observe(SERIES, i, values.clone()).await;
        assert_eq!((told.missing, told.ignored), (holes, 0), "{told:?}");
        let again = server.tell(SERIES, i, values).await;
        assert_eq!((again.accepted, again.ignored), (0, told.accepted));
        i = next;
    }
    let all = (-20..steps).map(|i| (instant(i).as_second(), seen(i)));
    all.filter(|(_, value)| value.is_finite()).collect()
}

async fn equal_offline(push: Push, zone: &Zone) {
    let server = TestServer::start().await;
    server.client().push(push.clone()).await.unwrap();
    let observed = observe(&server, 700).await;
    let live = server.live(SERIES).await;
    assert_eq!(live.since, instant(-1), "{live:?}");
    let expected = recomputed(offline(&push), zone, live.since.as_second(), &observed);
    for (found, expected) in live.leads.iter().zip(&expected) {
        assert_eq!(found, expected);
        assert!(found.rows > 380 && found.skill.is_some() && found.coverage.is_some());
    }
    assert_eq!(live.leads.len(), LEADS.len());
    // The corrected forecast beats both references here, or the scene would show nothing.
    let near = live.leads[0];
    assert!(near.skill.unwrap() > 0.3, "{near:?}");
    let model = server.client().model(SERIES).await.unwrap();
    let told = model.live_scores.unwrap();
    assert_eq!((told.mae, told.skill), (expected[2].mae, expected[2].skill));
}

#[tokio::test]
async fn live_scores_equal_an_offline_recomputation_from_the_same_observations_to_the_bit() {
    equal_offline(corrected(SERIES), &utc()).await;
}

#[tokio::test]
async fn in_a_zone_they_are_of_its_wall_clock() {
    let mut push = corrected(SERIES);
    // Without a change of the clocks in those days.
    push.series.time_zone = "Asia/Kolkata".to_owned();
    equal_offline(push, &"Asia/Kolkata".parse().unwrap()).await;
}

#[tokio::test]
async fn a_version_that_takes_anothers_place_begins_scores_of_its_own_and_says_so() {
    let server = TestServer::start().await;
    let first = server.client().push(corrected(SERIES)).await.unwrap();
    server
        .observe(SERIES, 0, (0..300).map(value).collect())
        .await;
    let before = server.live(SERIES).await;
    assert_eq!((before.version, before.leads[0].rows), (first.version, 299));
    let mut other = push(SERIES, 50.0);
    other.cutoff = instant(250);
    let second = server.client().push(other).await.unwrap();
    server.observe(SERIES, 300, vec![value(300)]).await;
    let after = server.live(SERIES).await;
    assert_eq!(after.version, second.version);
    // Served at the end of step 299, which is the first whose forecasts are its own.
    assert_eq!(after.since, instant(299));
    assert_eq!(after.leads[0].rows, 1);
    assert_eq!(after.leads[0].mae, Some((value(300) - 50.0).abs()));
    assert_eq!(after.leads[0].skill_rows, 1, "the day before is remembered");
    assert_eq!(after.leads[2].rows, 0);
}
