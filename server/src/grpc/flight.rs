//! Arrow Flight: forecasts of many series as record batches, for `pyarrow.flight` and its like.
//!
//! A command, a ticket and a path say what `BatchGetForecasts` is asked (`flight/command.rs`); the schema is that of
//! `convert/rows.rs`. Series come in the order of names, rows of several in one batch: a reader is quicker with few batches
//! of [`BATCH_BYTES`] than with one for each series, and such a batch passes every client's limit of a message. Batches are
//! computed off the serving threads, at most [`BATCHES_AHEAD`] before they are taken.

mod command;

use std::{ops::Range, pin::Pin, sync::Arc};

use arrow::{
    array::RecordBatch,
    ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions},
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaAsIpc, SchemaResult, Ticket,
    flight_service_server::FlightService,
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use loadcast_model::series::SeriesName;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    answer::{answer, off_thread},
    bounds::MAX_BULK_STREAMS,
    error::{Error, Result},
    grpc::{
        convert::{
            answer as convert,
            columns::internal,
            question::Pick,
            rows::{Rows, row_bytes, schema},
        },
        flight::command::Command,
        forecast::ForecastHandler,
    },
    selector::Selector,
};

/// About the size of a batch. Below a million bytes the frames and schemas of a stream begin to weigh; beyond four million
/// gRPC's clients refuse a message unless they are told otherwise.
const BATCH_BYTES: usize = 1024 * 1024;

/// Batches of one stream that are computed before they are taken.
const BATCHES_AHEAD: usize = 2;

/// Answers forecasts by Flight.
#[derive(Debug, Clone)]
pub(crate) struct FlightHandler {
    forecasts: ForecastHandler,
    streams: Arc<Semaphore>,
}

/// Series that are asked for, and how many rows each will have, at one now for all of them.
#[derive(Debug)]
struct Plan {
    now: Timestamp,
    names: Vec<SeriesName>,
    rows: Vec<usize>,
}

impl FlightHandler {
    pub(crate) fn new(forecasts: ForecastHandler) -> Self {
        Self {
            forecasts,
            streams: Arc::new(Semaphore::new(MAX_BULK_STREAMS)),
        }
    }

    async fn plan(&self, command: &Arc<Command>) -> Result<Plan> {
        let (forecasts, command) = (self.forecasts.clone(), Arc::clone(command));
        off_thread(move || {
            let names = forecasts.asked(command.alias.as_deref(), &command.selector);
            let now = forecasts.now();
            let pick = Pick::Alias(command.alias.clone());
            let rows = names.iter().map(|name| {
                let grid = forecasts.pick(name, &pick).and_then(|served| {
                    let series = &served.loaded.metadata().series;
                    command.question.grid(series, now)
                });
                // What fails takes a row to say so.
                grid.map_or(1, |grid| grid.count as usize)
            });
            let rows = rows.collect();
            Ok(Plan { now, names, rows })
        })
        .await
    }

    async fn info(&self, descriptor: FlightDescriptor) -> Result<FlightInfo> {
        let command = Arc::new(Command::of_descriptor(&descriptor)?);
        let rows = self.plan(&command).await?.rows.into_iter().sum::<usize>();
        Ok(info(&command)?
            .with_total_records(i64::try_from(rows).unwrap_or(-1))
            .with_descriptor(descriptor))
    }

    /// The rows of some series as one batch.
    fn batch(
        &self,
        command: &Command,
        plan: &Plan,
        range: Range<usize>,
        rows: usize,
    ) -> Result<Vec<FlightData>> {
        let epoch = self.forecasts.epoch();
        let pick = Pick::Alias(command.alias.clone());
        let mut batch = Rows::new(&command.question.levels, rows);
        for name in plan.names.get(range).unwrap_or_default() {
            let served = self.forecasts.pick(name, &pick);
            let answer = served.and_then(|served| {
                let seen = self.forecasts.seen(&served);
                answer(served, &command.question, plan.now, &seen)
            });
            let forecast = answer.map(|answer| convert::forecast(answer, epoch, true));
            batch.push(name, forecast)?;
        }
        let (batch, told) = batch.finish()?;
        messages(&batch, told.into())
    }
}

/// What a client is told before it asks.
fn info(command: &Command) -> Result<FlightInfo> {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(command.ticket()));
    let info = FlightInfo::new().with_endpoint(endpoint).with_ordered(true);
    info.try_with_schema(&schema(&command.question.levels))
        .map_err(internal)
}

impl Plan {
    /// Neighbours that share a batch: as many as fit, at least one; with the rows that they have together.
    fn batches(&self, rows_of_a_batch: usize) -> Vec<(Range<usize>, usize)> {
        let mut batches: Vec<(Range<usize>, usize)> = Vec::new();
        for (i, &rows) in self.rows.iter().enumerate() {
            match batches.last_mut() {
                Some((range, sum)) if *sum + rows <= rows_of_a_batch => {
                    range.end = i + 1;
                    *sum += rows;
                }
                _ => batches.push((i..i + 1, rows)),
            }
        }
        batches
    }
}

/// A batch with its dictionaries, in pieces where one series alone is longer than a batch. The ids of dictionaries follow
/// from the schema, so that they are the same in every batch of a stream.
fn messages(batch: &RecordBatch, told: Bytes) -> Result<Vec<FlightData>> {
    let generator = IpcDataGenerator::default();
    let options = IpcWriteOptions::default();
    let schema = batch.schema();
    let mut dictionaries = DictionaryTracker::new(false);
    generator.schema_to_bytes_with_dictionary_tracker(&schema, &mut dictionaries, &options);
    // No column of ours is wider than a number.
    let rows = 2 * BATCH_BYTES / (schema.fields().len() * size_of::<f64>());
    let mut context = IpcWriteContext::default();
    let mut messages = Vec::new();
    for offset in (0..batch.num_rows()).step_by(rows) {
        let piece = batch.slice(offset, rows.min(batch.num_rows() - offset));
        let (texts, piece) = generator
            .encode(&piece, &mut dictionaries, &options, &mut context)
            .map_err(internal)?;
        messages.extend(texts.into_iter().map(FlightData::from));
        let piece = FlightData::from(piece);
        // Told once, with the first.
        messages.push(if offset == 0 {
            piece.with_app_metadata(told.clone())
        } else {
            piece
        });
    }
    Ok(messages)
}

type Boxed<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl FlightService for FlightHandler {
    type HandshakeStream = Boxed<HandshakeResponse>;
    type ListFlightsStream = Boxed<FlightInfo>;
    type DoGetStream = Boxed<FlightData>;
    type DoPutStream = Boxed<PutResult>;
    type DoExchangeStream = Boxed<FlightData>;
    type DoActionStream = Boxed<arrow_flight::Result>;
    type ListActionsStream = Boxed<ActionType>;

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> std::result::Result<Response<FlightInfo>, Status> {
        Ok(Response::new(self.info(request.into_inner()).await?))
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> std::result::Result<Response<SchemaResult>, Status> {
        let command = Command::of_descriptor(&request.into_inner())?;
        let schema = schema(&command.question.levels);
        let options = IpcWriteOptions::default();
        let schema = SchemaAsIpc::new(&schema, &options).try_into();
        Ok(Response::new(schema.map_err(internal)?))
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> std::result::Result<Response<Self::DoGetStream>, Status> {
        let ticket = request.into_inner().ticket;
        let command = Arc::new(Command::of_bytes("ticket", &ticket)?);
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let permit = permit.map_err(|_| {
            self.forecasts.counted(Error::Exhausted {
                subject: "bulk_streams",
                description: format!(
                    "{MAX_BULK_STREAMS} DoGet streams are open, as many as this server carries; read one to its end, or ask another replica"
                ),
            })
        })?;
        let plan = Arc::new(self.plan(&command).await?);
        let schema = schema(&command.question.levels);
        let options = IpcWriteOptions::default();
        let head: FlightData = SchemaAsIpc::new(&schema, &options).into();
        let rows = BATCH_BYTES / row_bytes(command.question.levels.len());
        let handler = self.clone();
        let batches = stream::iter(plan.batches(rows)).map(move |(range, rows)| {
            let (handler, command, plan) =
                (handler.clone(), Arc::clone(&command), Arc::clone(&plan));
            off_thread(move || handler.batch(&command, &plan, range, rows))
        });
        let batches = batches
            .buffered(BATCHES_AHEAD)
            .map_ok(|messages| stream::iter(messages.into_iter().map(Ok)))
            .try_flatten()
            .map_err(|error: Error| Status::from(error));
        let messages = stream::iter([Ok(head)]).chain(batches).map(move |message| {
            // The stream holds its place until it is dropped.
            let _ = &permit;
            message
        });
        Ok(Response::new(Box::pin(messages)))
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> std::result::Result<Response<Self::ListFlightsStream>, Status> {
        let labels = String::from_utf8(request.into_inner().expression.into());
        let labels = labels.map_err(|_| {
            let remedy = "not text; give a label selector, for example namespace=shop";
            Error::invalid("criteria.expression", remedy)
        })?;
        let names = self.forecasts.asked(None, &Selector::parse(&[], &labels)?);
        let flights = stream::iter(names).map(|name| {
            let path = vec![name.to_string()];
            let info = Command::of_names(path.clone()).and_then(|command| info(&command));
            let info = info.map(|info| info.with_descriptor(FlightDescriptor::new_path(path)));
            info.map_err(Status::from)
        });
        Ok(Response::new(Box::pin(flights)))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> std::result::Result<Response<Self::HandshakeStream>, Status> {
        Err(not_offered("Handshake", "no handshake is needed"))
    }

    async fn poll_flight_info(
        &self,
        _: Request<FlightDescriptor>,
    ) -> std::result::Result<Response<PollInfo>, Status> {
        Err(not_offered(
            "PollFlightInfo",
            "GetFlightInfo answers at once",
        ))
    }

    async fn do_put(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> std::result::Result<Response<Self::DoPutStream>, Status> {
        let instead = "models are pushed with loadcast.v1.ModelService/PushModel";
        Err(not_offered("DoPut", instead))
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> std::result::Result<Response<Self::DoExchangeStream>, Status> {
        let instead = "forecasts are read with DoGet, and watched with WatchForecasts";
        Err(not_offered("DoExchange", instead))
    }

    async fn do_action(
        &self,
        _: Request<Action>,
    ) -> std::result::Result<Response<Self::DoActionStream>, Status> {
        Err(not_offered("DoAction", "there are no actions"))
    }

    async fn list_actions(
        &self,
        _: Request<Empty>,
    ) -> std::result::Result<Response<Self::ListActionsStream>, Status> {
        Err(not_offered("ListActions", "there are no actions"))
    }
}

/// Flight's own answer to what a service does not offer.
fn not_offered(method: &str, instead: &str) -> Status {
    Status::unimplemented(format!("{method} is not offered here: {instead}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_series_once_in_order_and_a_long_one_alone() {
        let plan = Plan {
            now: Timestamp::UNIX_EPOCH,
            names: Vec::new(),
            rows: vec![40, 40, 40, 500, 1, 1],
        };
        assert_eq!(
            plan.batches(100),
            [(0..2, 80), (2..3, 40), (3..4, 500), (4..6, 2)]
        );
    }
}
