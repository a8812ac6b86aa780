//! Requests and limits of CPU and memory: what is asked, and the advice.

use jiff::Timestamp;
use loadcast_proto::v1 as pb;

use crate::error::Error;
use crate::types::forecast::Provenance;
use crate::types::query::Window;
use crate::types::series::Clamps;
use crate::types::text::required;
use crate::types::time::{timestamp, timestamp_out};

/// How a forecast becomes a request and a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Policy {
    /// The maximum over the window of the pointwise quantile, at one level for the request and a higher one for the
    /// limit; `None` leaves a level to the server (0.5 and 0.95).
    Quantile {
        /// In (0, 1).
        request: Option<f64>,
        /// In (0, 1), above that of the request.
        limit: Option<f64>,
    },
    /// 80 % and 120 % (month: 70 % and 150 %) of the window's mean; no confidence.
    Multiplier,
}

/// What to size, for when.
#[derive(Debug, Clone, PartialEq)]
pub struct RecommendationQuery {
    /// A series in cores; `None`: no advice for CPU.
    pub cpu_series: Option<String>,
    /// A series in bytes; `None`: no advice for memory.
    pub memory_series: Option<String>,
    /// Whose needs, in each series' time zone.
    pub window: Window,
    /// How they become numbers.
    pub policy: Policy,
    /// The series are totals of so many pods, and one pod's share is asked for; 0: the total.
    pub replicas: u32,
    /// Answer as if it were this instant; `None`: now.
    pub as_of: Option<Timestamp>,
    /// Bounds of request and limit, in millicores.
    pub cpu_clamps: Option<Clamps>,
    /// Bounds of request and limit, in MiB.
    pub memory_clamps: Option<Clamps>,
}

/// The advice.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// In millicores; `None` when no series was named.
    pub cpu: Option<ResourceRecommendation>,
    /// In MiB; `None` when no series was named.
    pub memory: Option<ResourceRecommendation>,
    /// The first instant of the window, and the one after its last.
    pub window: (Timestamp, Timestamp),
    /// Per pod for this many; 0: the workload's total.
    pub replicas: u32,
}

/// The advice for one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceRecommendation {
    /// At least 1.
    pub request: i64,
    /// Not below the request.
    pub limit: i64,
    /// `millicores` or `MiB`.
    pub unit: String,
    /// Where the forecast comes from.
    pub provenance: Provenance,
    /// What was clamped, widened or assumed, in words.
    pub notes: Vec<String>,
}

impl RecommendationQuery {
    /// By the default policy, for the total, as of now, of nothing yet: name a series.
    #[must_use]
    pub fn new(window: Window) -> Self {
        Self {
            cpu_series: None,
            memory_series: None,
            window,
            policy: Policy::Quantile {
                request: None,
                limit: None,
            },
            replicas: 0,
            as_of: None,
            cpu_clamps: None,
            memory_clamps: None,
        }
    }
}

impl From<RecommendationQuery> for pb::GetRecommendationRequest {
    fn from(query: RecommendationQuery) -> Self {
        let (policy, request_level, limit_level) = match query.policy {
            Policy::Quantile { request, limit } => (
                pb::RecommendationPolicy::Quantile,
                request.unwrap_or_default(),
                limit.unwrap_or_default(),
            ),
            Policy::Multiplier => (pb::RecommendationPolicy::Multiplier, 0.0, 0.0),
        };
        Self {
            cpu_series: query.cpu_series.unwrap_or_default(),
            memory_series: query.memory_series.unwrap_or_default(),
            window: pb::Window::from(query.window).into(),
            policy: policy.into(),
            request_level,
            limit_level,
            replicas: query.replicas,
            as_of: query.as_of.map(timestamp_out),
            cpu_clamps_millicores: query.cpu_clamps.map(Into::into),
            memory_clamps_mib: query.memory_clamps.map(Into::into),
        }
    }
}

impl TryFrom<pb::ResourceRecommendation> for ResourceRecommendation {
    type Error = Error;

    fn try_from(wire: pb::ResourceRecommendation) -> Result<Self, Error> {
        if wire.request < 1 || wire.limit < wire.request {
            return Err(Error::protocol(
                "request",
                format!("{} with a limit of {}", wire.request, wire.limit),
            ));
        }
        Ok(Self {
            request: wire.request,
            limit: wire.limit,
            unit: required("unit", wire.unit)?,
            provenance: wire
                .provenance
                .ok_or_else(|| Error::protocol("provenance", "missing"))?
                .try_into()
                .map_err(|error: Error| error.within("provenance"))?,
            notes: wire.notes,
        })
    }
}

impl TryFrom<pb::GetRecommendationResponse> for Recommendation {
    type Error = Error;

    fn try_from(wire: pb::GetRecommendationResponse) -> Result<Self, Error> {
        let resource = |name: &str, wire: Option<pb::ResourceRecommendation>| {
            let advice = wire.map(ResourceRecommendation::try_from).transpose();
            advice.map_err(|error| error.within(name))
        };
        let window = wire
            .window
            .ok_or_else(|| Error::protocol("window", "missing"))?;
        Ok(Self {
            cpu: resource("cpu", wire.cpu)?,
            memory: resource("memory", wire.memory)?,
            window: (
                timestamp("window.start", window.start)?,
                timestamp("window.end", window.end)?,
            ),
            replicas: wire.replicas,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_below_the_request_is_not_believed() {
        let wire = pb::GetRecommendationResponse {
            cpu: Some(pb::ResourceRecommendation {
                request: 200,
                limit: 100,
                unit: "millicores".to_owned(),
                ..pb::ResourceRecommendation::default()
            }),
            window: Some(pb::TimeRange::default()),
            ..pb::GetRecommendationResponse::default()
        };
        match Recommendation::try_from(wire) {
            Err(Error::Protocol { field, .. }) => assert_eq!(field, "cpu.request"),
            other => panic!("{other:?}"),
        }
    }
}
