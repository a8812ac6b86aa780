//! Must show: a ramp is known leadTime ahead, told once, and what is not known wakes and stops nobody.

use loadcast_client::ZeroMeans;

use crate::{
    house::{Keda, SERIES, TREND, after, fitted, next, ramp, serve},
    support::{TestServer, push},
};

/// The ramp stands at 0 after two hours, and above half a unit from the step after that.
const CROSSES: i64 = 125;

#[tokio::test]
async fn a_stream_turns_active_lead_time_before_a_ramp_crosses_the_threshold_and_once() {
    let server = TestServer::start().await;
    serve(&server, ramp(SERIES, after(CROSSES - 5))).await;
    let keda = Keda::at(&server, &[("leadTime", "15m"), ("activationTarget", "0.5")]).await;
    let mut stream = keda.stream().await;
    assert_eq!(next(&mut stream).await, Some(false));
    let mut turned = Vec::new();
    for minute in 1..=180 {
        server.clock.set(after(minute));
        // What a poll says at this instant, the stream says too, if it is news.
        let active = keda.is_active().await.unwrap();
        assert_eq!(active, minute >= CROSSES - 15, "minute {minute}");
        if active && turned.is_empty() {
            assert_eq!(next(&mut stream).await, Some(true));
            turned.push(minute);
        }
    }
    assert_eq!(turned, [CROSSES - 15]);
    // Nothing more was told in the hour after: the next that comes is the end.
    server.stop().await;
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn load_is_not_dropped_before_it_is_gone() {
    let server = TestServer::start().await;
    let falling = loadcast_client::Push {
        model_pr: fitted(TREND, |second| 10.0 - second as f64 / 300.0),
        ..push(SERIES, 0.0)
    };
    serve(&server, falling).await;
    let keda = Keda::at(&server, &[("leadTime", "30m"), ("activationTarget", "0.5")]).await;
    // The forecast is 10 now, falls by 1 a step and is 1 in the tenth: the last step that is above the target.
    for minute in 0..60 {
        server.clock.set(after(minute));
        let active = keda.is_active().await.unwrap();
        assert_eq!(active, minute < 50, "minute {minute}");
    }
}

#[tokio::test]
async fn a_stream_of_an_unknown_series_says_nothing_until_it_is_known() {
    let server = TestServer::start().await;
    let keda = Keda::at(&server, &[]).await;
    let mut stream = keda.stream().await;
    assert!(keda.is_active().await.is_err());
    // Looked at again although nothing is served: another series begins, a minute passes.
    serve(&server, push("other", 1.0)).await;
    server.clock.set(after(1));
    assert!(keda.is_active().await.is_err());
    serve(&server, push(SERIES, 2.0)).await;
    assert_eq!(
        next(&mut stream).await,
        Some(true),
        "the first that is told"
    );
}

#[tokio::test]
async fn a_stream_whose_series_becomes_stale_keeps_silent_and_goes_on_from_what_it_told() {
    let server = TestServer::start().await;
    serve(&server, push(SERIES, 2.0)).await;
    let keda = Keda::at(&server, &[]).await;
    let mut stream = keda.stream().await;
    assert_eq!(next(&mut stream).await, Some(true));
    server.clock.set(after(49 * 60));
    assert!(keda.is_active().await.is_err());
    // Fresh again and active as before: no news. Fresh and inactive: news.
    let fresh = |level: f64| loadcast_client::Push {
        trained_at: after(49 * 60),
        ..push(SERIES, level)
    };
    serve(&server, fresh(5.0)).await;
    assert!(keda.is_active().await.unwrap());
    serve(&server, fresh(0.0)).await;
    assert_eq!(
        next(&mut stream).await,
        Some(false),
        "the second that is told"
    );
}

#[tokio::test]
async fn a_workload_at_zero_by_design_is_woken_however_old_its_data_and_one_of_unknown_state_is_not_put_to_sleep()
 {
    let server = TestServer::start().await;
    let flat = r#"{"growth":"flat","daily_seasonality":false}"#;
    let mut at_zero = push(SERIES, 5.0);
    at_zero.model_pr = fitted(flat, |second| if second == -300 { 0.0 } else { 5.0 });
    serve(&server, at_zero.clone()).await;
    let keda = Keda::at(&server, &[("maxDataAge", "15m")]).await;
    server.clock.set(after(60));
    assert_eq!(keda.value().await.unwrap().round(), 5.0);
    assert!(keda.is_active().await.unwrap());
    at_zero.series.zero_means = Some(ZeroMeans::Missing);
    at_zero.idempotency_key.push('m');
    serve(&server, at_zero).await;
    let refusal = keda.refusal().await;
    assert_eq!(refusal.1, "STALE_DATA");
    let mut stream = keda.stream().await;
    // The first that comes is the end: neither false nor true.
    server.stop().await;
    assert_eq!(next(&mut stream).await, None);
}
