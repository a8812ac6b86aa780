//! Appending is resumable, merges by time, and mixes nothing.

use loadcast_model::catalog::Catalog;

use super::*;
use loadcast_prometheus::client::Found;
use loadcast_prometheus::named::name;

fn entry(promql: &str) -> Entry {
    let text = format!(
        "[[series]]\nname = \"{{job}}.up\"\npromql = {promql:?}\nstep = \"1h\"\ntime_zone = \"Europe/Berlin\"\n"
    );
    text.parse::<Catalog>().unwrap().entries.remove(0)
}

fn found(job: &str, window: Window) -> Found {
    let instants = (0..).map(|i| window.from + i * window.step);
    let samples = instants.take(window.points()).map(|instant| Sample {
        instant,
        value: instant as f64 / 7.0,
    });
    Found {
        labels: BTreeMap::from([("job".to_owned(), job.to_owned())]),
        samples: samples.collect(),
    }
}

fn place() -> (tempfile::TempDir, Location) {
    let folder = tempfile::tempdir().unwrap();
    let place = Location::of(folder.path().join("data").to_str().unwrap()).unwrap();
    (folder, place)
}

/// Two months and a bit, from 2026-01-01.
const WINDOW: Window = Window {
    from: 1_767_225_600,
    until: 1_767_225_600 + 65 * 86_400,
    step: 3600,
};

/// When all of it has settled.
const LATER: i64 = WINDOW.until + 86_400;

#[tokio::test]
async fn what_was_appended_is_read_back_whole_and_once_however_often_it_was_appended() {
    let (_folder, place) = place();
    assert!(Dataset::find(&place).await.unwrap().is_none());
    let entry = entry("up");
    let mut writer = Writer::open(&place).await.unwrap();
    let mut appender = writer.entry(&entry).await.unwrap();
    let all = || name(&entry, vec![found("a", WINDOW), found("b", WINDOW)]).unwrap();
    assert_eq!(
        appender.append(WINDOW, all(), LATER).await.unwrap(),
        2 * WINDOW.points()
    );
    // As if the manifest had not been written: the same again.
    assert_eq!(appender.append(WINDOW, all(), LATER).await.unwrap(), 0);
    let again = writer.entry(&entry).await.unwrap();
    assert!(again.missing(WINDOW).is_empty());
    let dataset = Dataset::find(&place).await.unwrap().unwrap();
    let series: Vec<Collected> = dataset.series().collect();
    assert_eq!(series.len(), 2);
    assert_eq!(series[0].months, ["2026-01", "2026-02", "2026-03"]);
    assert_eq!(series[0].series.zone.to_string(), "Europe/Berlin");
    let rows = dataset.table(&series[0], i64::MAX).await.unwrap();
    let rows = rows.rows(&["timestamp", "value"], "").unwrap();
    assert_eq!(rows.len(), WINDOW.points());
    let values: Vec<f64> = rows.column(1).map(|text| text.parse().unwrap()).collect();
    let expected: Vec<f64> = found("a", WINDOW).samples.iter().map(|s| s.value).collect();
    assert_eq!(values, expected, "bit for bit");
}

#[tokio::test]
async fn another_expression_another_label_and_another_writer_are_refused() {
    let (_folder, place) = place();
    let mut writer = Writer::open(&place).await.unwrap();
    let error = Writer::open(&place).await.unwrap_err();
    assert!(
        error.to_string().contains("another process writes"),
        "{error}"
    );
    let up = entry("up");
    let mut appender = writer.entry(&up).await.unwrap();
    let named = name(&up, vec![found("a", WINDOW)]).unwrap();
    appender.append(WINDOW, named.clone(), LATER).await.unwrap();
    let mut other = named;
    other[0].result.insert("pod".to_owned(), "x".to_owned());
    let error = appender.append(WINDOW, other, LATER).await.unwrap_err();
    assert!(
        error.to_string().contains("two results have the name a.up"),
        "{error}"
    );
    let error = writer.entry(&entry("down")).await.unwrap_err();
    assert!(error.to_string().contains("another expression"), "{error}");
}

#[tokio::test]
async fn two_entries_of_a_dataset_do_not_mix_samples_under_one_name() {
    let (folder, place) = place();
    let mut writer = Writer::open(&place).await.unwrap();
    let one = entry("up");
    let text = "[[series]]\nname = \"{job}.{kind}\"\npromql = \"down\"\nstep = \"1h\"\n";
    let other = text.parse::<Catalog>().unwrap().entries.remove(0);
    let named_one = name(&one, vec![found("a", WINDOW)]).unwrap();
    let mut result = found("a", WINDOW);
    result.labels.insert("kind".to_owned(), "up".to_owned());
    let named_other = name(&other, vec![result]).unwrap();
    let mut appender = writer.entry(&one).await.unwrap();
    appender.append(WINDOW, named_one, LATER).await.unwrap();
    let month = folder.path().join("data/series/a.up/2026-01.parquet");
    let before = std::fs::read(&month).unwrap();
    // The writer that wrote it, and one that finds it.
    for again in [false, true] {
        if again {
            drop(writer);
            writer = Writer::open(&place).await.unwrap();
        }
        let mut appender = writer.entry(&other).await.unwrap();
        let error = appender.append(WINDOW, named_other.clone(), LATER).await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("name a.up: of entry {job}.up and of entry {job}.{kind}"),
            "{error}"
        );
        assert_eq!(std::fs::read(&month).unwrap(), before);
    }
}

#[tokio::test]
async fn a_damaged_month_is_told_and_nothing_is_made_of_it() {
    let (folder, place) = place();
    let up = entry("up");
    let mut writer = Writer::open(&place).await.unwrap();
    let mut appender = writer.entry(&up).await.unwrap();
    let named = name(&up, vec![found("a", WINDOW)]).unwrap();
    appender.append(WINDOW, named, LATER).await.unwrap();
    let month = folder.path().join("data/series/a.up/2026-02.parquet");
    let bytes = std::fs::read(&month).unwrap();
    std::fs::write(&month, &bytes[..bytes.len() / 2]).unwrap();
    let dataset = Dataset::find(&place).await.unwrap().unwrap();
    let collected = dataset.series().next().unwrap();
    let error = dataset.table(&collected, i64::MAX).await.unwrap_err();
    assert!(error.to_string().contains("2026-02.parquet"), "{error}");
}

#[tokio::test]
async fn the_newest_steps_are_asked_again_until_they_have_settled() {
    let (_folder, place) = place();
    let up = entry("up");
    let mut writer = Writer::open(&place).await.unwrap();
    let mut appender = writer.entry(&up).await.unwrap();
    let mut early = found("a", WINDOW);
    early.samples.truncate(WINDOW.points() - 2);
    let early = name(&up, vec![early]).unwrap();
    appender.append(WINDOW, early, WINDOW.until).await.unwrap();
    // Two steps of an hour are more than ten minutes.
    let last_two = Window::new(WINDOW.until - 2 * WINDOW.step, WINDOW.until, WINDOW.step);
    assert_eq!(appender.missing(WINDOW), [last_two]);
    let late = name(&up, vec![found("a", last_two)]).unwrap();
    let new = appender.append(last_two, late, LATER).await.unwrap();
    assert_eq!(new, 2, "what came late is there");
    assert!(appender.missing(WINDOW).is_empty());
}

#[test]
fn ten_minutes_settle_where_two_steps_are_less_and_a_window_within_them_is_all_open() {
    let window = Window::new(0, 6_000, 60);
    assert_eq!(settled(window, 6_000).until, 5_400);
    assert_eq!(settled(window, 7_000).until, 6_000);
    assert_eq!(settled(Window::new(0, 6_000, 600), 6_000).until, 4_800);
    assert!(settled(Window::new(5_400, 6_000, 60), 6_000).is_empty());
}

#[tokio::test]
async fn months_before_the_history_that_is_asked_for_are_not_read_and_their_rows_are_not_judged() {
    let (folder, place) = place();
    let up = entry("up");
    let mut writer = Writer::open(&place).await.unwrap();
    let mut appender = writer.entry(&up).await.unwrap();
    let named = name(&up, vec![found("a", WINDOW)]).unwrap();
    appender.append(WINDOW, named, LATER).await.unwrap();
    // A damaged month would fail if it were read.
    std::fs::write(folder.path().join("data/series/a.up/2026-01.parquet"), "x").unwrap();
    let dataset = Dataset::find(&place).await.unwrap().unwrap();
    let collected = dataset.series().next().unwrap();
    let table = dataset.table(&collected, 10 * 86_400).await.unwrap();
    let rows = table.rows(&["timestamp"], "").unwrap();
    assert_eq!(rows.len(), 10 * 24 + 1);
    assert_eq!(rows.column(0).next(), Some("2026-02-24T23:00:00Z"));
}
