//! Questions for requests and limits, on their way in, and advice on its way out.

use std::num::NonZeroU32;

use loadcast_model::{artifact::Clamps, series::SeriesName};
use loadcast_proto::v1 as pb;
use uuid::Uuid;

use crate::{
    answer::Answer,
    error::{Error, Result},
    grpc::convert::{
        answer::provenance,
        question::{clamps, series_name, window_in},
        seconds_out, timestamp_in,
    },
    recommendation::{Ask, LIMIT_LEVEL, Policy, REQUEST_LEVEL, Recommendation, Resource},
};

/// A checked question.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) ask: Ask,
    /// One or two: what is sized, from which series, inside which bounds.
    pub(crate) resources: Vec<(Resource, SeriesName, Clamps)>,
}

/// A question on its way in.
pub(crate) fn asked(wire: pb::GetRecommendationRequest) -> Result<Asked> {
    let policy = policy(&wire)?;
    let window = window_in(wire.window)?;
    let as_of = wire.as_of.as_ref();
    let cpu_clamps = clamps("cpu_clamps_millicores", wire.cpu_clamps_millicores)?;
    let memory_clamps = clamps("memory_clamps_mib", wire.memory_clamps_mib)?;
    let mut resources = Vec::with_capacity(2);
    for (resource, name, clamps) in [
        (Resource::Cpu, wire.cpu_series, cpu_clamps),
        (Resource::Memory, wire.memory_series, memory_clamps),
    ] {
        if !name.is_empty() {
            resources.push((resource, series_name(resource.field(), &name)?, clamps));
        }
    }
    if resources.is_empty() {
        return Err(Error::invalid(
            "cpu_series",
            "neither it nor memory_series is set; name at least one of them",
        ));
    }
    Ok(Asked {
        ask: Ask {
            window,
            policy,
            replicas: NonZeroU32::new(wire.replicas),
            as_of: as_of
                .map(|as_of| timestamp_in("as_of", as_of))
                .transpose()?,
        },
        resources,
    })
}

fn policy(wire: &pb::GetRecommendationRequest) -> Result<Policy> {
    let asked = [
        ("request_level", wire.request_level, REQUEST_LEVEL),
        ("limit_level", wire.limit_level, LIMIT_LEVEL),
    ];
    match pb::RecommendationPolicy::try_from(wire.policy) {
        Ok(pb::RecommendationPolicy::Unspecified | pb::RecommendationPolicy::Quantile) => {}
        Ok(pb::RecommendationPolicy::Multiplier) => {
            if let Some((field, ..)) = asked.iter().find(|(_, level, _)| *level != 0.0) {
                return Err(Error::invalid(
                    *field,
                    "MULTIPLIER knows no levels; leave it out, or ask for RECOMMENDATION_POLICY_QUANTILE",
                ));
            }
            return Ok(Policy::Multiplier);
        }
        Err(_) => {
            return Err(Error::invalid(
                "policy",
                "not a policy; give RECOMMENDATION_POLICY_QUANTILE, RECOMMENDATION_POLICY_MULTIPLIER, or leave it out",
            ));
        }
    }
    let level = |(field, level, default): (&str, f64, f64)| match level {
        0.0 => Ok(default),
        level if level > 0.0 && level < 1.0 => Ok(level),
        level => Err(Error::invalid(
            field,
            format!("{level} is not between 0 and 1; give for example {default}, or leave it out"),
        )),
    };
    let [request, limit] = asked.map(level);
    let (request, limit) = (request?, limit?);
    if limit <= request {
        return Err(Error::invalid(
            "limit_level",
            format!(
                "{limit} is not above request_level, {request}; a limit lies above the request"
            ),
        ));
    }
    Ok(Policy::Quantile { request, limit })
}

/// Advice on its way out.
pub(crate) fn response(
    ask: &Ask,
    advised: Vec<(Resource, Recommendation, Answer)>,
    epoch: Uuid,
) -> pb::GetRecommendationResponse {
    let range = |answer: &Answer| pb::TimeRange {
        start: Some(seconds_out(answer.grid.start)),
        end: Some(seconds_out(
            answer.grid.last() + i64::from(answer.grid.step),
        )),
    };
    let mut response = pb::GetRecommendationResponse {
        policy: match ask.policy {
            Policy::Quantile { .. } => pb::RecommendationPolicy::Quantile,
            Policy::Multiplier => pb::RecommendationPolicy::Multiplier,
        }
        .into(),
        window: advised.first().map(|(_, _, answer)| range(answer)),
        replicas: ask.replicas.map_or(0, NonZeroU32::get),
        ..pb::GetRecommendationResponse::default()
    };
    for (resource, advice, answer) in advised {
        let mut notes = advice.notes;
        if Some(range(&answer)) != response.window {
            notes.push(format!(
                "its window is that of {}, the series' own time zone",
                answer.served.loaded.metadata().series.zone
            ));
        }
        let provenance = provenance(
            &answer.served,
            answer.freshness,
            epoch,
            true,
            answer.gate.as_ref(),
        );
        let out = pb::ResourceRecommendation {
            request: advice.request,
            limit: advice.limit,
            unit: resource.unit().to_owned(),
            provenance: Some(provenance),
            notes,
        };
        match resource {
            Resource::Cpu => response.cpu = Some(out),
            Resource::Memory => response.memory = Some(out),
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> pb::GetRecommendationRequest {
        pb::GetRecommendationRequest {
            cpu_series: "web.cpu".to_owned(),
            window: pb::Window::NextDay.into(),
            ..pb::GetRecommendationRequest::default()
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_field() {
        type Spoil = fn(&mut pb::GetRecommendationRequest);
        let cases: [(&str, Spoil); 9] = [
            ("cpu_series", |wire| wire.cpu_series = String::new()),
            ("cpu_series", |wire| wire.cpu_series = "a/b".to_owned()),
            ("memory_series", |wire| {
                wire.memory_series = "a b".to_owned()
            }),
            ("window", |wire| wire.window = 0),
            ("policy", |wire| wire.policy = 7),
            ("request_level", |wire| wire.request_level = 1.5),
            ("limit_level", |wire| wire.limit_level = f64::NAN),
            ("limit_level", |wire| wire.limit_level = 0.4),
            ("request_level", |wire| {
                wire.policy = pb::RecommendationPolicy::Multiplier.into();
                wire.request_level = 0.5;
            }),
        ];
        for (field, spoil) in cases {
            let mut wire = wire();
            spoil(&mut wire);
            let error = asked(wire).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{field}: {error}");
        }
    }

    #[test]
    fn quantile_is_the_default_and_one_series_is_enough() {
        let asked = asked(wire()).unwrap();
        assert_eq!(
            asked.ask.policy,
            Policy::Quantile {
                request: 0.5,
                limit: 0.95
            }
        );
        assert_eq!(asked.resources.len(), 1);
        assert_eq!(asked.ask.replicas, None);
    }
}
