//! What is remembered is bounded, whatever is told.

use jiff::SignedDuration;
use loadcast_model::{
    artifact::{METADATA_SCHEMA, Metadata, encode_model_pr, sha256_hex},
    fit::fit,
    history::History,
    series::Series,
    spec::Spec,
};

use super::{memory::MAX_SERIES_BYTES, *};
use crate::load::Loaded;

fn start() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// A version that says 1 at every step.
fn served(step: u32) -> Served {
    let begin = start().as_second() - 600 * i64::from(step);
    let ds = (0..600).map(|i| begin + i * i64::from(step)).collect();
    let history = History::new(ds, vec![1.0; 600]).unwrap();
    let bytes = encode_model_pr(&fit(&Spec::default(), &history).unwrap().model).unwrap();
    let metadata = Metadata {
        schema: METADATA_SCHEMA,
        sha256: sha256_hex(&bytes),
        size_bytes: bytes.len() as u64,
        series: Series {
            step_seconds: step,
            ..Series::new("a".parse().unwrap())
        },
        cutoff: start(),
        trained_at: start(),
        rows: 600,
        scores: None,
        trainer_version: String::new(),
        data_sha256: String::new(),
        spec: None,
        verdict: None,
        clamps: None,
        band_calibration: None,
        correction: None,
        peak: None,
    };
    Served {
        loaded: Arc::new(Loaded::verify(metadata, &bytes).unwrap()),
        version: 1,
        alias: "champion".to_owned(),
        previous_version: 0,
        revision: 1,
        served_since: start(),
    }
}

#[test]
fn a_series_takes_no_more_memory_than_is_stated_however_much_is_observed() {
    for step in [1, 60, 300, 3_600] {
        let served = served(step);
        let mut memory = Memory::new(&served);
        let end = start() + SignedDuration::from_secs(4_000 * i64::from(step));
        // In runs with gaps between them.
        for run in 0..4_000_i64 / 50 {
            let first = start().as_second() + run * 50 * i64::from(step);
            let taken = memory.take(&served, first, &[1.5; 47], end);
            assert_eq!(taken.accepted, 47);
            let (held, most) = (memory.held(), memory.bytes());
            assert!(
                held <= most && most <= MAX_SERIES_BYTES,
                "{step} s: {held} of {most}"
            );
        }
        assert!(memory.view(end).scores.unwrap().leads[0].rows > 1_000);
    }
}

#[test]
fn series_beyond_the_memory_of_a_server_are_refused_until_others_are_forgotten() {
    let live = Live::new(None);
    let served = served(300);
    live.bytes.store(MAX_BYTES, Ordering::Relaxed);
    assert!(live.slot_for(&served, start()).is_none());
    live.bytes.store(0, Ordering::Relaxed);
    let slot = live.slot_for(&served, start()).unwrap();
    assert_eq!(live.bytes.load(Ordering::Relaxed), Memory::most_bytes(300));
    let name = &served.loaded.metadata().series.name;
    live.forget(name, &slot, lock(&slot.memory));
    assert_eq!(live.bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn a_place_that_was_taken_anew_is_not_forgotten_with_the_one_before_it() {
    let live = Live::new(None);
    let served = served(300);
    let name = &served.loaded.metadata().series.name;
    let judged = live.slot_for(&served, start()).unwrap();
    live.forget(name, &judged, lock(&judged.memory));
    let fresh = live.slot_for(&served, start()).unwrap();
    live.forget(name, &judged, lock(&judged.memory));
    assert!(Arc::ptr_eq(&live.slot(name).unwrap(), &fresh));
    assert_eq!(live.bytes.load(Ordering::Relaxed), Memory::most_bytes(300));
}

#[test]
fn a_clock_that_was_set_back_begins_anew_instead_of_waiting_for_the_future() {
    let served = served(300);
    let mut memory = Memory::new(&served);
    let later = start() + SignedDuration::from_hours(24 * 365);
    assert_eq!(
        memory
            .take(&served, later.as_second() - 300, &[1.0], later)
            .accepted,
        1
    );
    assert_eq!(
        memory
            .take(&served, start().as_second() - 300, &[1.0], start())
            .accepted,
        1
    );
    assert_eq!(
        memory.view(start()).last.unwrap().at,
        start() - SignedDuration::from_secs(300)
    );
}

#[test]
fn who_reads_along_is_told_what_changed_and_who_is_far_behind_to_look_at_all() {
    let live = Live::new(None);
    let served = served(300);
    let name = &served.loaded.metadata().series.name;
    let slot = live.slot_for(&served, start()).unwrap();
    let memory = Memory::new(&served);
    let begin = live.changes();
    live.publish(name, &slot, &memory, start());
    assert_eq!(
        live.changed_after(begin),
        (Some(vec![name.clone()]), begin + 1)
    );
    for _ in 0..RECENT {
        live.publish(name, &slot, &memory, start());
    }
    assert_eq!(live.changed_after(begin).0, None);
    assert_eq!(live.changed_after(live.changes()).0, Some(Vec::new()));
}
