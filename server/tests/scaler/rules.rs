//! A test for each rule that a real KEDA imposes, named after it. Rule 9 over
//! TLS is in it/tls.rs, rule 10 in `shadow.rs`, rule 11 in client/src/cli/keda/scaled_object.rs.

use std::time::Duration;

use loadcast_proto::externalscaler::{
    GetMetricsRequest, external_scaler_client::ExternalScalerClient,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    house::{Keda, SERIES, after, next, ramp, serve},
    support::{Process, TestServer, now, push},
};

/// A registry that never answers: nothing listens on the discard port.
const NO_REGISTRY: &str = "--registry=mlflow+http://127.0.0.1:9";

#[tokio::test]
async fn rule_1_the_metric_spec_is_a_pure_function_of_the_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let cold = TestServer::start_with(folder, &[NO_REGISTRY]).await;
    let warm = TestServer::start().await;
    serve(&warm, push(SERIES, 2.0)).await;
    let expected = Keda::at(&cold, &[]).await.spec().await.unwrap();
    let [spec] = &expected[..] else {
        panic!("{expected:?}")
    };
    assert_eq!((spec.target_size, spec.target_size_float), (1, 0.7));
    let permitted = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!(spec.metric_name.chars().all(permitted));
    let keda = Keda::at(&warm, &[]).await;
    assert_eq!(keda.spec().await.unwrap(), expected);
    serve(&warm, push(SERIES, 3.0)).await;
    warm.clock.set(after(60 * 24 * 365));
    assert_eq!(keda.spec().await.unwrap(), expected);
    for other in [
        ("leadTime", "1h"),
        ("minSkill", "0.9"),
        ("onUnavailable", "3"),
    ] {
        assert_eq!(
            Keda::at(&warm, &[other]).await.spec().await.unwrap(),
            expected
        );
    }
    for (key, value) in [
        ("leadTime", "soon"),
        ("target", "0"),
        ("seriesFromEnv", "a/b"),
    ] {
        let mut keda = Keda::at(&warm, &[]).await;
        let metadata = &mut keda.reference.scaler_metadata;
        metadata.remove(key.trim_end_matches("FromEnv"));
        metadata.insert(key.to_owned(), value.to_owned());
        let status = keda.spec().await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(
            details.bad_request().unwrap().field_violations[0].field,
            key
        );
    }
}

#[tokio::test]
async fn rule_2_one_value_whole_and_exact_and_never_one_that_means_scale_to_minimum() {
    for (level, expected) in [(2.3, Some((3, 2.3))), (-4.0, Some((0, 0.0))), (1e16, None)] {
        let server = TestServer::start().await;
        serve(&server, push(SERIES, level)).await;
        let keda = Keda::at(&server, &[]).await;
        let Some(expected) = expected else {
            let refused = (Code::FailedPrecondition, "NON_FINITE".to_owned());
            assert_eq!(keda.refusal().await, refused);
            continue;
        };
        let values = keda.metrics().await.unwrap();
        let [value] = &values[..] else {
            panic!("{values:?}")
        };
        assert_eq!(
            (
                value.metric_value,
                (value.metric_value_float * 1e9).round() / 1e9
            ),
            expected
        );
        assert_eq!(value.metric_name, keda.spec().await.unwrap()[0].metric_name);
        assert!(value.metric_value_float.is_sign_positive());
        let request = GetMetricsRequest {
            metric_name: "of-another-trigger".to_owned(),
            scaled_object_ref: Some(keda.reference.clone()),
        };
        let mut client = ExternalScalerClient::new(server.channel().await);
        let status = client.get_metrics(request).await.unwrap_err();
        assert!(status.message().starts_with("metricName"), "{status}");
    }
}

#[tokio::test]
async fn rule_3_i_do_not_know_is_never_zero_and_never_false() {
    let folder = tempfile::tempdir().unwrap();
    let cold = TestServer::start_with(folder, &[NO_REGISTRY]).await;
    let keda = Keda::at(&cold, &[]).await;
    let expected = (Code::Unavailable, "COLD_START".to_owned());
    assert_eq!(keda.refusal().await, expected);
    let mut stream = keda.stream().await;
    cold.stop().await;
    assert_eq!(next(&mut stream).await, None, "the end, and no false");

    let server = TestServer::start().await;
    let keda = Keda::at(&server, &[]).await;
    serve(&server, push("other", 1.0)).await;
    // The first poll has been answered by the time a push has gone through the registry and back.
    server.client().refresh_models().await.unwrap();
    let expected = (Code::NotFound, "UNKNOWN_SERIES".to_owned());
    assert_eq!(keda.refusal().await, expected);
    serve(&server, push(SERIES, 2.0)).await;
    assert_eq!(keda.value().await.unwrap(), 2.0);
    let gated = Keda::at(&server, &[("minSkill", "0")]).await;
    let expected = (Code::FailedPrecondition, "SKILL_UNKNOWN".to_owned());
    assert_eq!(gated.refusal().await, expected);
    server.clock.set(after(48 * 60 + 5));
    let expected = (Code::FailedPrecondition, "STALE_MODEL".to_owned());
    assert_eq!(keda.refusal().await, expected);
    let patient = Keda::at(&server, &[("maxModelAge", "30d")]).await;
    assert_eq!(patient.value().await.unwrap(), 2.0);
    server.clock.set(after(7 * 24 * 60 + 5));
    let expected = (Code::FailedPrecondition, "STALE_DATA".to_owned());
    assert_eq!(patient.refusal().await, expected);
    server.client().retire(SERIES, "gone").await.unwrap();
    assert_eq!(keda.refusal().await, (Code::NotFound, "RETIRED".to_owned()));
}

#[tokio::test]
async fn rule_4_answers_come_from_memory_while_no_registry_answers() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start_durable(folder.path());
    let pushed = loadcast_client::Push {
        cutoff: jiff::Timestamp::now(),
        trained_at: jiff::Timestamp::now(),
        ..push(SERIES, 2.0)
    };
    first.client().push(pushed).await.unwrap();
    first.kill();
    // The registry is gone, and with it the folder that a careless handler would read from.
    std::fs::remove_dir_all(folder.path().join("state/registry")).unwrap();
    let second = Process::start_with(folder.path(), &[NO_REGISTRY], &[]);
    let address = format!("http://{}", second.grpc);
    let channel = tonic::transport::Endpoint::from_shared(address).unwrap();
    let keda = Keda::new(channel.connect().await.unwrap(), &[]);
    assert_eq!(keda.value().await.unwrap(), 2.0);
    assert!(keda.is_active().await.unwrap());
    let forecast = second.client().model(SERIES).await.unwrap();
    assert_ne!(forecast.served.map(|served| served.version), None);
}

#[tokio::test]
async fn rule_5_the_stream_tells_the_present_state_and_then_transitions_as_is_active_has_them() {
    let server = TestServer::start().await;
    serve(&server, push(SERIES, 2.0)).await;
    let keda = Keda::at(&server, &[("activationTarget", "3")]).await;
    let mut stream = keda.stream().await;
    assert_eq!(next(&mut stream).await, Some(false));
    let mut expected = false;
    // Strictly above; every swap is looked at, and only three of them are told.
    for (level, active) in [
        (2.5, false),
        (3.0, false),
        (3.5, true),
        (9.0, true),
        (4.0, true),
        (1.0, false),
        (8.0, true),
    ] {
        serve(&server, push(SERIES, level)).await;
        assert_eq!(keda.is_active().await.unwrap(), active, "{level}");
        let value = keda.value().await.unwrap();
        assert_eq!(value > 3.0, active);
        if active != expected {
            assert_eq!(next(&mut stream).await, Some(active), "{level}");
            expected = active;
        }
    }
    server.stop().await;
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn rule_6_the_spec_stream_tells_the_spec_at_once_and_never_again() {
    let server = TestServer::start().await;
    let keda = Keda::at(&server, &[]).await;
    let mut stream = keda.spec_stream().await;
    let told = stream.message().await.unwrap().unwrap();
    assert_eq!(told.metric_specs, keda.spec().await.unwrap());
    for level in [1.0, 2.0, 3.0] {
        serve(&server, push(SERIES, level)).await;
        server.clock.set(after(level as i64 * 5));
    }
    server.stop().await;
    // OK, and nothing between: an update would have every ScaledObject reconciled.
    assert!(stream.message().await.unwrap().is_none());
}

#[tokio::test]
async fn rule_7_the_same_version_in_the_same_step_gives_the_same_answer_on_every_replica() {
    let (a, b) = (TestServer::start().await, TestServer::start().await);
    let model = ramp(SERIES, after(-300));
    for server in [&a, &b] {
        serve(server, model.clone()).await;
    }
    let more = [("quantile", "0.9"), ("leadTime", "20m")];
    let (of_a, of_b) = (Keda::at(&a, &more).await, Keda::at(&b, &more).await);
    let mut values = Vec::new();
    for second in [0, 1, 150, 299, 300, 301, 599, 600] {
        // One replica's clock is at the step's beginning, the other's anywhere within it.
        a.clock.set(after(second / 300 * 5));
        b.clock
            .set(now() + Duration::from_secs(second.unsigned_abs()));
        let (value, other) = (of_a.value().await.unwrap(), of_b.value().await.unwrap());
        assert_eq!(value.to_bits(), other.to_bits(), "{second} s");
        values.push(value.to_bits());
    }
    values.dedup();
    assert_eq!(values.len(), 3);
}

#[tokio::test]
async fn rule_8_a_thousand_streams_on_one_connection_end_with_ok_on_a_drain() {
    let server = TestServer::start().await;
    serve(&server, push(SERIES, 2.0)).await;
    let channel = server.channel().await;
    let open = |i: usize| {
        let mut keda = Keda::new(channel.clone(), &[]);
        keda.reference.name = format!("web-{i}");
        async move {
            let mut stream = keda.stream().await;
            assert_eq!(next(&mut stream).await, Some(true));
            stream
        }
    };
    let streams = futures::future::join_all((0..1_000).map(open)).await;
    // One more call goes through on the same connection.
    assert_eq!(Keda::new(channel, &[]).value().await.unwrap(), 2.0);
    let url = format!("http://{}/metrics", server.http);
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("loadcast_scaler_streams 1000"),
        "{metrics}"
    );
    assert!(
        metrics.contains(
            r#"loadcast_scaler_decisions_total{method="stream_is_active",outcome="champion"} 1000"#
        ),
        "{metrics}"
    );
    server.stop().await;
    for mut stream in streams {
        assert_eq!(next(&mut stream).await, None);
    }
}

#[tokio::test]
async fn rule_9_no_header_is_required() {
    let server = TestServer::start().await;
    serve(&server, push(SERIES, 2.0)).await;
    // tonic's bare client sends what every gRPC client must, as KEDA does, and nothing of its own.
    let keda = Keda::at(
        &server,
        &[
            ("scalerAddress", "loadcast.shop:50051"),
            ("enableTLS", "false"),
            ("caCert", ""),
        ],
    )
    .await;
    assert_eq!(keda.value().await.unwrap(), 2.0);
}
