//! The REST service that this one replaces, field for field: consumers that ask it move by changing an address.
//!
//! What it did wrong is not kept: a falling model gives zero and never a negative quantity, a stale one is refused, health
//! knows whether anything is loaded, an instant with a zone is understood, and the versions told are those that answered.

mod answers;
mod arithmetic;
mod calendar;
mod openapi;
mod page;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use loadcast_model::{
    series::{SeriesName, Unit},
    zone::Zone,
};
use serde_json::json;

use crate::{
    answer::{Answer, answer_off_thread},
    cache::Cache,
    error::{Error, Result},
    freshness::Freshness,
    question::Question,
    served::{Served, not_served},
};

use answers::{Health, Instant, Models, Month, Period, Weekend};
use arithmetic::{BYTES, BYTES_OR_PERCENT, Shares, Usage};
use calendar::{Calendar, instant_of};

/// Which series answer, and on which wall clock.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// Names for CPU; the first that is served answers.
    pub(crate) cpu: Vec<SeriesName>,
    /// Names for memory; the first that is served answers.
    pub(crate) memory: Vec<SeriesName>,
    /// The zone of days and hours.
    pub(crate) zone: Zone,
    /// The alias that is followed.
    pub(crate) alias: String,
    /// Where MLflow listens, without credentials; empty when the registry is another one.
    pub(crate) mlflow: String,
}

/// What the handlers need.
#[derive(Debug, Clone)]
struct Rest {
    cache: Arc<Cache>,
    setting: Arc<Setting>,
}

/// The routes of the original, and what describes them.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(
    cache: Arc<Cache>,
    setting: Setting,
) -> Router<S> {
    Router::new()
        .route("/", get(at_instant))
        .route("/next_day", get(next_day))
        .route("/next_week", get(next_week))
        .route("/next_weekend", get(next_weekend))
        .route("/next_month", get(next_month))
        .route("/health", get(health))
        .route("/models/info", get(models_info))
        .route("/openapi.json", get(|| async { Json(openapi::document()) }))
        .with_state(Rest {
            cache,
            setting: Arc::new(setting),
        })
}

/// An error as FastAPI tells one.
struct Refused(StatusCode, serde_json::Value);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "detail": self.1 }))).into_response()
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Invalid { .. } => StatusCode::BAD_REQUEST,
            // Not loaded, not to be acted on, or not now: each may be over later, and none is the question's fault.
            Error::UnknownSeries { .. }
            | Error::Gated { .. }
            | Error::NeedsInput { .. }
            | Error::Exhausted { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let (_, reason) = error.reason();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%error, "answering");
        } else {
            tracing::debug!(%error, "answering");
        }
        Self(status, json!(format!("{reason}: {error}")))
    }
}

/// Both models' answers for the same instants.
struct Predicted {
    /// One for each instant.
    usage: Vec<Usage>,
    cpu: Arc<Served>,
    memory: Arc<Served>,
}

impl Rest {
    fn calendar(&self) -> Calendar<'_> {
        Calendar::new(self.cache.clock().now(), &self.setting.zone)
    }

    /// The first of `names` that is served.
    fn served(&self, names: &[SeriesName]) -> Result<Arc<Served>> {
        let found = names.iter().find_map(|name| self.cache.get(name));
        found.ok_or_else(|| match names.first() {
            Some(name) => not_served(name, self.cache.entry(name).as_deref()),
            None => Error::Internal("no series is configured".to_owned()),
        })
    }

    /// Both, or why one is not there.
    fn both(&self) -> Result<(Arc<Served>, Arc<Served>)> {
        let cpu = self.served(&self.setting.cpu)?;
        Ok((cpu, self.served(&self.setting.memory)?))
    }

    /// What both models say of `instants`; memory in one of the units `of_memory`.
    async fn predict(&self, instants: &[i64], of_memory: &[Unit]) -> Result<Predicted> {
        let (cpu, memory) = self.both()?;
        let mut usage = Vec::with_capacity(instants.len());
        for instant in instants {
            let of_cpu = self.ask(&cpu, *instant).await?;
            let answer_of_memory = self.ask(&memory, *instant).await?;
            usage.push(Usage::of(&of_cpu, &answer_of_memory, of_memory)?);
        }
        Ok(Predicted { usage, cpu, memory })
    }

    async fn ask(&self, served: &Arc<Served>, instant: i64) -> Result<Answer> {
        let question = Question::at(instant, &[]);
        let now = self.cache.clock().now();
        let seen = self.cache.seen(served);
        let answer = answer_off_thread(Arc::clone(served), question, now, seen).await;
        let answer = answer.map_err(|error| match error {
            Error::Invalid { description, .. } => Error::invalid("datetime_str", description),
            error => error,
        })?;
        answer.actionable()?;
        Ok(answer)
    }
}

async fn at_instant(
    State(rest): State<Rest>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> std::result::Result<Response, Refused> {
    let query = query.unwrap_or_default();
    if query.is_empty() && wants_a_page(&headers) {
        return Ok(Html(page::ENDPOINTS).into_response());
    }
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    // Of several the last counts, as in FastAPI.
    let text = pairs
        .by_ref()
        .filter(|(key, _)| key == "datetime_str")
        .last();
    let Some((_, text)) = text else {
        let missing = json!([{
            "type": "missing",
            "loc": ["query", "datetime_str"],
            "msg": "Field required",
            "input": null,
        }]);
        return Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, missing));
    };
    let instant = instant_of(&text, &rest.setting.zone)?;
    let predicted = rest.predict(&[instant], BYTES_OR_PERCENT).await?;
    let at = rest.calendar().wall(instant);
    Ok(Json(Instant::new(at, predicted.mean())).into_response())
}

fn wants_a_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    accept
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

async fn next_day(State(rest): State<Rest>) -> std::result::Result<Json<Period>, Refused> {
    let noon = rest.calendar().noon_in(1);
    let predicted = rest.predict(&[noon], BYTES).await?;
    let day = rest.calendar().wall(noon);
    Ok(Json(Period::day(day, &predicted)))
}

async fn next_week(State(rest): State<Rest>) -> std::result::Result<Json<Period>, Refused> {
    let noon = rest.calendar().noon_in(7);
    let predicted = rest.predict(&[noon], BYTES).await?;
    let day = rest.calendar().wall(noon);
    Ok(Json(Period::week(day, &predicted)))
}

async fn next_weekend(State(rest): State<Rest>) -> std::result::Result<Json<Weekend>, Refused> {
    let saturday = rest.calendar().next_saturday();
    let predicted = rest.predict(&[saturday], BYTES).await?;
    let day = rest.calendar().wall(saturday);
    Ok(Json(Weekend::new(day, &predicted)))
}

async fn next_month(State(rest): State<Rest>) -> std::result::Result<Json<Month>, Refused> {
    let calendar = rest.calendar();
    let noons = [7, 14, 21, 28].map(|days| calendar.noon_in(days));
    let predicted = rest.predict(&noons, BYTES).await?;
    Ok(Json(Month::new(calendar.wall(noons[3]), &predicted)))
}

async fn health(State(rest): State<Rest>) -> std::result::Result<Json<Health>, Refused> {
    let (cpu, memory) = rest.both()?;
    let now = rest.cache.clock().now();
    let is_fresh = [&cpu, &memory].iter().all(|served| {
        let metadata = served.loaded.metadata();
        let seen = rest.cache.seen(served);
        seen.freshness(metadata, now) == Freshness::Fresh && seen.gate_of(served).is_none()
    });
    let at = rest.calendar().now();
    Ok(Json(Health::new(is_fresh, &rest.setting, at)))
}

async fn models_info(State(rest): State<Rest>) -> Json<Models> {
    let setting = &rest.setting;
    let model = |names: &[SeriesName]| match rest.served(names) {
        Ok(served) => answers::Model::served(&served),
        Err(error) => answers::Model::absent(names, &error),
    };
    let at = rest.calendar().now();
    let (cpu, memory) = (model(&setting.cpu), model(&setting.memory));
    Json(Models::new(cpu, memory, rest.both().is_ok(), setting, at))
}

impl Predicted {
    /// The mean over the instants.
    fn mean(&self) -> Usage {
        Usage::mean(&self.usage)
    }

    fn quantities(&self, shares: Shares) -> arithmetic::Quantities {
        self.mean().quantities(shares)
    }
}
