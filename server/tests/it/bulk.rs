//! Bounds of Arrow Flight, seen by a client that is no Python.

use std::{collections::HashSet, time::Duration};

use arrow_flight::{
    Criteria, FlightDescriptor, Ticket, decode::FlightRecordBatchStream, error::FlightError,
    flight_service_client::FlightServiceClient,
};
use futures::{StreamExt as _, TryStreamExt as _};
use loadcast_server::bounds::MAX_BULK_STREAMS;
use tonic::{Code, Streaming, transport::Channel};

use crate::support::{TestServer, push};

/// What gRPC's clients take of one message unless they are told otherwise.
const CLIENTS_TAKE: usize = 4 * 1024 * 1024;

async fn served() -> (TestServer, FlightServiceClient<Channel>) {
    let server = TestServer::start_quick().await;
    for series in ["web.cpu", "api.cpu"] {
        server.client().push(push(series, 2.5)).await.unwrap();
    }
    let client = FlightServiceClient::new(server.channel().await);
    (server, client)
}

fn ticket(command: &str) -> Ticket {
    Ticket::new(command.to_owned())
}

async fn get(
    client: &mut FlightServiceClient<Channel>,
    command: &str,
) -> Result<Streaming<arrow_flight::FlightData>, tonic::Status> {
    let answer = client.do_get(ticket(command)).await?;
    Ok(answer.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_answer_comes_in_messages_that_every_client_takes() {
    let (_server, mut client) = served().await;
    let levels: Vec<f64> = (1..=32).map(|i| f64::from(i) / 33.0).collect();
    let command = serde_json::json!({
        "selector": { "names": ["web.cpu"] },
        "horizon": format!("{}s", 50_000 * 300),
        "levels": levels,
    });
    let messages = get(&mut client, &command.to_string()).await.unwrap();
    let messages: Vec<_> = messages.try_collect().await.unwrap();
    let sizes = messages.iter().map(|message| message.data_body.len());
    let longest = sizes.clone().max().unwrap();
    assert!(
        longest <= CLIENTS_TAKE * 3 / 4,
        "{longest} bytes in one message"
    );
    assert!(sizes.sum::<usize>() > 50_000 * 34 * 8);
    let told = messages
        .iter()
        .filter(|message| !message.app_metadata.is_empty());
    assert_eq!(told.count(), 1, "provenance comes once a series");
    let messages = futures::stream::iter(messages.into_iter().map(Ok::<_, FlightError>));
    let batches = FlightRecordBatchStream::new_from_flight_data(messages);
    let batches: Vec<_> = batches.try_collect().await.unwrap();
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_bulk_streams_are_open_and_one_more_waits_for_one_to_end() {
    let (server, mut client) = served().await;
    // Longer than what is buffered for a stream that nobody reads.
    let command = r#"{"horizon": "15000000s"}"#;
    let mut open = Vec::new();
    for _ in 0..MAX_BULK_STREAMS {
        open.push(get(&mut client, command).await.unwrap());
    }
    let refused = get(&mut client, command).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("DoGet"), "{}", refused.message());
    let shed = "loadcast_edge_shed_total{subject=\"bulk_streams\"}";
    assert_eq!(server.metric(shed).await, 1);
    // Other calls go on meanwhile; on this connection they would wait for whoever does not read.
    let mut client = FlightServiceClient::new(server.channel().await);
    let descriptor = FlightDescriptor::new_path(vec!["web.cpu".to_owned()]);
    let info = client.get_flight_info(descriptor.clone()).await.unwrap();
    assert_eq!(info.into_inner().total_records, 288);
    // What is dropped or read to its end makes room.
    drop(open);
    let again = async {
        loop {
            match get(&mut client, command).await {
                Ok(stream) => break stream,
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
            }
            tokio::task::yield_now().await;
        }
    };
    let stream = tokio::time::timeout(Duration::from_secs(60), again).await;
    assert!(stream.unwrap().count().await > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn flights_are_listed_by_label_and_their_tickets_are_good_on_any_replica() {
    let (_server, mut client) = served().await;
    let (_other, mut replica) = served().await;
    let mut list = async |labels: &str| {
        let criteria = Criteria {
            expression: labels.to_owned().into(),
        };
        let flights = client.list_flights(criteria).await?.into_inner();
        flights.try_collect::<Vec<_>>().await
    };
    let flights = list("namespace=test").await.unwrap();
    let names = flights
        .iter()
        .map(|flight| flight.flight_descriptor.as_ref().unwrap().path[0].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["api.cpu", "web.cpu"]);
    assert!(list("namespace=other").await.unwrap().is_empty());
    let error = list("namespace").await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    // Tomorrow's forecast, at the series' own step.
    let ticket = flights[1].endpoint[0].ticket.clone().unwrap();
    let messages = replica.do_get(ticket).await.unwrap().into_inner();
    let messages = messages.map_err(FlightError::from);
    let batches = FlightRecordBatchStream::new_from_flight_data(messages);
    let batches: Vec<_> = batches.try_collect().await.unwrap();
    assert_eq!(
        batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        288
    );
    let columns: HashSet<String> = batches[0]
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    for column in [
        "series",
        "time",
        "yhat",
        "version",
        "freshness",
        "reason",
        "error",
    ] {
        assert!(columns.contains(column), "{column}");
    }
}

#[test]
fn what_reflection_says_of_flight_is_what_the_crate_speaks() {
    use arrow_flight::{FlightData, FlightEndpoint, FlightInfo};
    use loadcast_proto::FLIGHT_DESCRIPTOR_SET;
    use prost::Message as _;
    use prost_reflect::{DescriptorPool, DynamicMessage};
    let pool = DescriptorPool::decode(FLIGHT_DESCRIPTOR_SET).unwrap();
    let agree = |name: &str, bytes: Vec<u8>| {
        let message = pool.get_message_by_name(&format!("arrow.flight.protocol.{name}"));
        let read = DynamicMessage::decode(message.unwrap(), bytes.as_slice()).unwrap();
        assert_eq!(read.unknown_fields().count(), 0, "{name}");
        assert_eq!(read.encode_to_vec(), bytes, "{name}");
    };
    let info = FlightInfo::new()
        .with_descriptor(FlightDescriptor::new_path(vec!["web.cpu".to_owned()]))
        .with_endpoint(FlightEndpoint::new().with_ticket(ticket("{}")))
        .with_total_records(7)
        .with_ordered(true);
    let info = FlightInfo {
        schema: "schema".into(),
        ..info
    };
    agree("FlightInfo", info.encode_to_vec());
    agree(
        "FlightDescriptor",
        FlightDescriptor::new_cmd("{}").encode_to_vec(),
    );
    let data = FlightData::new()
        .with_data_header("header")
        .with_app_metadata("told")
        .with_data_body("body");
    agree("FlightData", data.encode_to_vec());
    let criteria = Criteria {
        expression: "namespace=shop".into(),
    };
    agree("Criteria", criteria.encode_to_vec());
}
