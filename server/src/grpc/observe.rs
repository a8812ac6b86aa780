//! A stream of observations: each message is taken before the next is read, off the serving threads.

use std::{collections::BTreeMap, sync::Arc};

use loadcast_model::series::SeriesName;
use loadcast_proto::v1 as pb;
use tokio::{sync::Semaphore, time::timeout};
use tonic::{Status, Streaming};

use crate::{
    cache::Cache,
    error::{Error, Result},
    grpc::{
        convert::live::{Run, run},
        push::NEXT_MESSAGE,
    },
    live::{MAX_BYTES, Outcome, Refused, memory::Taken},
};

/// Messages that are taken at once; the others wait, their deadlines running. Taking one is arithmetic.
static TAKING: Semaphore = Semaphore::const_new(4);

/// The most reasons of one answer.
const MAX_REASONS: usize = 100;

/// Takes a stream of observations to its end.
pub(crate) async fn receive(
    mut stream: Streaming<pb::ObserveActualsRequest>,
    cache: Arc<Cache>,
) -> std::result::Result<pb::ObserveActualsResponse, Status> {
    let mut ledger = Ledger::default();
    let mut index = 0_u64;
    loop {
        let next = timeout(NEXT_MESSAGE, stream.message()).await;
        let Some(message) = next.map_err(|_| ledger.silent(index))?? else {
            break;
        };
        let run = run(message).map_err(|error| ledger.within(index, error))?;
        let (series, count) = (run.series.clone(), run.values.len());
        let outcome = take(Arc::clone(&cache), run).await?;
        ledger.enter(&series, count, &outcome);
        index += 1;
    }
    Ok(ledger.answer())
}

async fn take(cache: Arc<Cache>, run: Run) -> Result<Outcome> {
    let turn = TAKING
        .acquire()
        .await
        .map_err(|error| Error::Internal(error.to_string()))?;
    let Run {
        series,
        start,
        step,
        values,
    } = run;
    // The turn ends with the work and not with the call, which may be given up before.
    let taking = move || {
        let _turn = turn;
        cache.observe_blocking(&series, start, step, &values)
    };
    tokio::task::spawn_blocking(taking)
        .await
        .map_err(|error| Error::Internal(format!("taking observations died: {error}")))
}

/// What became of the values of one stream.
#[derive(Debug, Default)]
struct Ledger {
    accepted: u64,
    ignored: u64,
    missing: u64,
    reasons: BTreeMap<(String, &'static str), (String, u64)>,
}

impl Ledger {
    fn enter(&mut self, series: &SeriesName, count: usize, outcome: &Outcome) {
        let all = u64::try_from(count).unwrap_or(u64::MAX);
        match outcome {
            Outcome::Taken(Taken {
                accepted,
                missing,
                late,
                future,
            }) => {
                self.accepted += accepted;
                self.missing += missing;
                let why = "not later than the last observation: told before, or out of order";
                self.ignore(series, "LATE", *late, || why.to_owned());
                let why = "later than the server's clock; set both clocks by the same time";
                self.ignore(series, "FUTURE", *future, || why.to_owned());
            }
            Outcome::Refused(Refused::NotServed) => {
                let why = "no model is served under this name; ListModels tells which are";
                self.ignore(series, "NOT_SERVED", all, || why.to_owned());
            }
            Outcome::Refused(Refused::Step(step)) => {
                let why = || {
                    format!("the series has a step of {step} s; send it at that, or leave step out")
                };
                self.ignore(series, "STEP", all, why);
            }
            Outcome::Refused(Refused::Full) => {
                let why = || {
                    format!(
                        "{MAX_BYTES} bytes of observations are remembered already; observe fewer series, or on another server"
                    )
                };
                self.ignore(series, "FULL", all, why);
            }
        }
    }

    fn ignore(
        &mut self,
        series: &SeriesName,
        code: &'static str,
        count: u64,
        why: impl FnOnce() -> String,
    ) {
        if count == 0 {
            return;
        }
        self.ignored += count;
        let key = (series.to_string(), code);
        if self.reasons.len() < MAX_REASONS || self.reasons.contains_key(&key) {
            self.reasons.entry(key).or_insert_with(|| (why(), 0)).1 += count;
        }
    }

    /// The error of message `index`, with what came before it.
    fn within(&self, index: u64, error: Error) -> Error {
        match error {
            Error::Invalid { field, description } => Error::invalid(
                format!("messages[{index}].{field}"),
                format!(
                    "{description}. The {index} messages before it were taken ({} values accepted); mend this one and send all again, which is harmless",
                    self.accepted
                ),
            ),
            error => error,
        }
    }

    /// What a stream is told that says nothing after its message `index`.
    fn silent(&self, index: u64) -> Status {
        Status::deadline_exceeded(format!(
            "no message for {} s; the {index} before were taken ({} values accepted). End a stream that has no more to say, and send what is left in another",
            NEXT_MESSAGE.as_secs(),
            self.accepted
        ))
    }

    fn answer(self) -> pb::ObserveActualsResponse {
        let reasons = self.reasons.into_iter();
        pb::ObserveActualsResponse {
            accepted: self.accepted,
            ignored: self.ignored,
            missing: self.missing,
            reasons: reasons
                .map(
                    |((series, code), (message, count))| pb::IgnoredObservations {
                        series,
                        code: code.to_owned(),
                        message,
                        count,
                    },
                )
                .collect(),
        }
    }
}
