//! The watch under scripted faults and paused time.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use crate::error::{Code, Error};
use crate::types::frame::Body;
use crate::watch::script::{Say, message, refused, watch};
use crate::watch::{BOOKMARK_INTERVAL, SILENCE_LIMIT, Update, Watch, backoff};

/// The next update, which must be a disconnection.
async fn disconnection(watch: &mut Watch<u32>) -> (Error, Duration) {
    match watch.next().await {
        Some(Ok(Update::Disconnected { error, retry_in })) => (error, retry_in),
        other => panic!("{other:?}"),
    }
}

/// The next update, which must be there.
async fn update(watch: &mut Watch<u32>) -> Update<u32> {
    watch.next().await.expect("not ended").expect("no error")
}

#[tokio::test(start_paused = true)]
async fn a_cut_stream_continues_after_its_last_message() {
    let (mut watch, asked) = watch(vec![
        Ok(vec![message("a", 1), message("b", 2)]),
        Ok(vec![message("c", 3), Say::Hang]),
    ]);
    assert_eq!(watch.token(), None);
    assert_eq!(update(&mut watch).await, Update::Message(1));
    assert_eq!(update(&mut watch).await, Update::Message(2));
    let (error, retry_in) = disconnection(&mut watch).await;
    assert!(matches!(error, Error::Unreachable { reason, .. } if reason == "the stream ended"));
    assert!(retry_in <= backoff::FIRST);
    assert_eq!(watch.token(), Some("b"));
    assert_eq!(update(&mut watch).await, Update::Reconnected);
    assert_eq!(
        watch.token(),
        Some("b"),
        "the message itself is not handed out yet"
    );
    assert_eq!(update(&mut watch).await, Update::Message(3));
    assert_eq!(watch.token(), Some("c"));
    assert_eq!(asked.tokens(), [None, Some("b".to_owned())]);
    assert_eq!(asked.untouched(), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_cut_before_its_first_message_begins_anew() {
    let (mut watch, asked) = watch(vec![Ok(vec![]), Ok(vec![message("a", 1)])]);
    disconnection(&mut watch).await;
    assert_eq!(update(&mut watch).await, Update::Reconnected);
    assert_eq!(asked.untouched(), [true, true]);
    assert_eq!(asked.tokens(), [None, None]);
}

#[tokio::test(start_paused = true)]
async fn waits_grow_while_nothing_answers_and_are_kept_to() {
    let attempts = (0..12).map(|_| Err(refused(Code::Unavailable))).collect();
    let (mut watch, _) = watch(attempts);
    let mut due = Instant::now();
    for attempt in 0..12 {
        let (_, retry_in) = disconnection(&mut watch).await;
        assert_eq!(
            Instant::now(),
            due,
            "attempt {attempt} came when it was announced"
        );
        assert!(
            retry_in >= backoff::delay(attempt, 0.0) && retry_in <= backoff::delay(attempt, 1.0),
            "{attempt}: {retry_in:?}"
        );
        due += retry_in;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_lived_long_starts_the_waits_over_and_a_short_one_does_not() {
    let unavailable = || Err(refused(Code::Unavailable));
    let (mut watch, _) = watch(vec![
        unavailable(),
        unavailable(),
        unavailable(),
        Ok(vec![message("a", 1)]),
        Ok(vec![message("b", 2), Say::Pause(BOOKMARK_INTERVAL)]),
        Ok(vec![]),
    ]);
    for _ in 0..3 {
        disconnection(&mut watch).await;
    }
    assert_eq!(update(&mut watch).await, Update::Reconnected);
    assert_eq!(update(&mut watch).await, Update::Message(1));
    let (_, after_short) = disconnection(&mut watch).await;
    assert!(after_short >= backoff::delay(3, 0.0), "{after_short:?}");
    assert_eq!(update(&mut watch).await, Update::Reconnected);
    assert_eq!(update(&mut watch).await, Update::Message(2));
    let (_, after_long) = disconnection(&mut watch).await;
    assert!(after_long <= backoff::FIRST, "{after_long:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_beyond_three_bookmarks_is_a_dead_stream() {
    let (mut watch, _) = watch(vec![
        Ok(vec![
            Say::Frame("a", Body::Bookmark { revision: 1 }),
            Say::Pause(SILENCE_LIMIT - Duration::from_millis(1)),
            Say::Frame("b", Body::Bookmark { revision: 1 }),
            Say::Hang,
        ]),
        Ok(vec![message("c", 3)]),
    ]);
    assert_eq!(update(&mut watch).await, Update::Bookmark { revision: 1 });
    assert_eq!(update(&mut watch).await, Update::Bookmark { revision: 1 });
    let before = Instant::now();
    let (error, _) = disconnection(&mut watch).await;
    assert_eq!(
        error,
        Error::Timeout {
            after: SILENCE_LIMIT
        }
    );
    assert_eq!(before.elapsed(), SILENCE_LIMIT);
    assert_eq!(update(&mut watch).await, Update::Reconnected);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_its_time_does_not_make_a_stream_dead() {
    let (mut watch, _) = watch(vec![Ok(vec![message("a", 1), message("b", 2), Say::Hang])]);
    assert_eq!(update(&mut watch).await, Update::Message(1));
    tokio::time::advance(SILENCE_LIMIT * 10).await;
    assert_eq!(update(&mut watch).await, Update::Message(2));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_opens_is_given_up() {
    let (mut watch, asked) = watch(vec![]);
    for _ in 0..3 {
        let (error, _) = disconnection(&mut watch).await;
        assert_eq!(
            error,
            Error::Timeout {
                after: SILENCE_LIMIT
            }
        );
    }
    assert_eq!(asked.tokens().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_leaving_server_is_left_alone_for_as_long_as_it_asks() {
    let retry_after = Duration::from_secs(7);
    let (mut watch, asked) = watch(vec![
        Ok(vec![
            message("a", 1),
            Say::Frame("b", Body::GoingAway { retry_after }),
            Say::Hang,
        ]),
        Ok(vec![message("c", 2)]),
    ]);
    assert_eq!(update(&mut watch).await, Update::Message(1));
    assert_eq!(update(&mut watch).await, Update::GoingAway { retry_after });
    let (error, retry_in) = disconnection(&mut watch).await;
    assert_eq!(error.reason_code(), Some("GOING_AWAY"));
    assert_eq!(retry_in, retry_after);
    let before = Instant::now();
    assert_eq!(update(&mut watch).await, Update::Reconnected);
    assert_eq!(before.elapsed(), retry_after);
    assert_eq!(asked.tokens(), [None, Some("b".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_server_cannot_keep_its_clients_away_for_ever() {
    let overloaded = Error::Refused {
        code: Code::ResourceExhausted,
        reason: String::new(),
        message: "too many streams".to_owned(),
        violations: Vec::new(),
        retry_after: Some(Duration::MAX),
    };
    let (mut watch, _) = watch(vec![Err(overloaded)]);
    let (_, retry_in) = disconnection(&mut watch).await;
    assert_eq!(retry_in, Duration::from_secs(300));
}

#[tokio::test(start_paused = true)]
async fn what_trying_again_cannot_mend_ends_the_watch() {
    for code in [
        Code::InvalidArgument,
        Code::NotFound,
        Code::OutOfRange,
        Code::PermissionDenied,
        Code::Unauthenticated,
        Code::Unimplemented,
    ] {
        let (mut watch, asked) = watch(vec![Err(refused(code))]);
        assert_eq!(watch.next().await, Some(Err(refused(code))));
        assert_eq!(watch.next().await, None);
        assert_eq!(watch.next().await, None, "asking again is allowed");
        assert_eq!(asked.tokens().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nonsense_ends_the_watch_and_leaves_the_token_before_it() {
    let nonsense = Error::protocol("event.at", "missing");
    let (mut watch, _) = watch(vec![Ok(vec![message("a", 1), Say::Fail(nonsense.clone())])]);
    assert_eq!(update(&mut watch).await, Update::Message(1));
    assert_eq!(watch.next().await, Some(Err(nonsense)));
    assert_eq!(watch.token(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn snapshots_and_lags_are_passed_on_whole() {
    let (mut watch, _) = watch(vec![Ok(vec![
        Say::Frame(
            "a",
            Body::SnapshotBegin {
                revision: 4,
                reason: Some("EPOCH_CHANGED".to_owned()),
            },
        ),
        message("b", 1),
        Say::Frame("c", Body::SnapshotEnd { revision: 4 }),
        Say::Frame(
            "d",
            Body::Lagged {
                skipped: 3,
                from_revision: 4,
                to_revision: 8,
            },
        ),
    ])]);
    assert_eq!(
        update(&mut watch).await,
        Update::SnapshotBegin {
            revision: 4,
            reason: Some("EPOCH_CHANGED".to_owned())
        }
    );
    assert_eq!(update(&mut watch).await, Update::Message(1));
    assert_eq!(
        update(&mut watch).await,
        Update::SnapshotEnd { revision: 4 }
    );
    assert_eq!(
        update(&mut watch).await,
        Update::Lagged {
            skipped: 3,
            from_revision: 4,
            to_revision: 8
        }
    );
    assert_eq!(watch.token(), Some("d"));
}
