//! The one table from errors to gRPC statuses, with google.rpc details: BadRequest names the field and the remedy,
//! ErrorInfo carries a reason code for programs, RetryInfo says when to come back.

use std::{collections::HashMap, time::Duration};

use loadcast_registry::error::Error as RegistryError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::error::{Error, Gap};

/// The domain of every ErrorInfo.
const DOMAIN: &str = "loadcast.v1";

/// How long to wait when the registry or the disk does not answer, or a bound was reached.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Error {
    /// The code, the reason code and the details that this error becomes.
    pub(crate) fn reason(&self) -> (Code, &'static str) {
        match self {
            Self::Invalid { .. } => (Code::InvalidArgument, "INVALID_FIELD"),
            Self::UnknownSeries { reason, .. } => (Code::NotFound, reason),
            Self::NoCandidate { reason, .. } => (Code::NotFound, reason),
            Self::UnknownVersion { .. } => (Code::NotFound, "UNKNOWN_VERSION"),
            Self::Retired { .. } => (Code::FailedPrecondition, "RETIRED"),
            Self::NoPreviousVersion { .. } => (Code::FailedPrecondition, "NO_PREVIOUS_VERSION"),
            Self::Gated { reason, .. } => (Code::FailedPrecondition, reason),
            Self::Unsupported { .. } => (Code::Unimplemented, "UNSUPPORTED"),
            Self::NeedsInput { .. } => (Code::FailedPrecondition, "INPUT_NEEDED"),
            Self::Rejected { code, .. } => (Code::InvalidArgument, code),
            Self::Gap { gap } => (Code::OutOfRange, gap.code()),
            Self::Registry(error) => registry_reason(error),
            Self::StateLocked { .. } => (Code::FailedPrecondition, "STATE_LOCKED"),
            Self::State { .. } => (Code::Unavailable, "STATE_UNWRITABLE"),
            Self::Exhausted { .. } => (Code::ResourceExhausted, "LIMIT_REACHED"),
            Self::GoingAway => (Code::Unavailable, "GOING_AWAY"),
            Self::Internal(_) => (Code::Internal, "INTERNAL"),
        }
    }
}

fn registry_reason(error: &RegistryError) -> (Code, &'static str) {
    match error {
        RegistryError::NotFound { .. } => (Code::NotFound, "NOT_IN_REGISTRY"),
        RegistryError::KeyReused { .. } => (Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED"),
        RegistryError::AliasMoved { .. } => (Code::Aborted, "ALIAS_MOVED"),
        RegistryError::Corrupt { .. } => (Code::DataLoss, "REGISTRY_CORRUPT"),
        RegistryError::Refused { .. } => (Code::FailedPrecondition, "REGISTRY_REFUSED"),
        RegistryError::ReadOnly { .. } => (Code::FailedPrecondition, "READ_ONLY_REGISTRY"),
        RegistryError::Denied { .. } => (Code::FailedPrecondition, "REGISTRY_DENIED"),
        RegistryError::Unsupported { .. } => (Code::FailedPrecondition, "UNSUPPORTED_FLAVOR"),
        RegistryError::NotReady { .. } => (Code::Unavailable, "VERSION_NOT_READY"),
        RegistryError::Locked { .. } => (Code::FailedPrecondition, "REGISTRY_LOCKED"),
        RegistryError::InvalidUrl { .. } => (Code::FailedPrecondition, "REGISTRY_URL"),
        _ => (Code::Unavailable, "REGISTRY_UNREACHABLE"),
    }
}

fn metadata(error: &Error) -> HashMap<String, String> {
    let pairs: Vec<(&str, String)> = match error {
        Error::Gap {
            gap: Gap::Compacted {
                oldest, current, ..
            },
        } => vec![
            ("oldest", oldest.to_string()),
            ("current", current.to_string()),
        ],
        Error::Gap {
            gap: Gap::EpochChanged { ours, .. },
        } => vec![("epoch", ours.clone())],
        Error::Gap {
            gap: Gap::Future { current, .. },
        } => vec![("current", current.to_string())],
        Error::UnknownSeries { series, .. } => vec![("series", series.clone())],
        Error::NoCandidate { series, .. } | Error::Gated { series, .. } => {
            vec![("series", series.to_string())]
        }
        Error::NeedsInput { input, .. } => vec![("input", format!("future.{input}"))],
        Error::Retired { series, reason } => {
            vec![("series", series.to_string()), ("retired", reason.clone())]
        }
        Error::NoPreviousVersion { served, .. } | Error::UnknownVersion { served, .. } => {
            vec![("served", served.to_string())]
        }
        Error::Registry(RegistryError::AliasMoved { actual, .. }) => {
            vec![("actual", actual.to_string())]
        }
        Error::Registry(RegistryError::KeyReused { version, .. }) => {
            vec![("version", version.to_string())]
        }
        _ => Vec::new(),
    };
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// The field of the push that a rejection is about.
fn rejected_field(code: &str) -> &'static str {
    match code {
        "SIZE_MISMATCH" => "header.size_bytes",
        "DIGEST_MISMATCH" => "header.sha256",
        _ => "model_chunk",
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for Status {
    fn from(error: &Error) -> Self {
        let (code, reason) = error.reason();
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata(error));
        match error {
            Error::Invalid { field, description } => {
                details.add_bad_request_violation(field, description);
            }
            Error::NeedsInput { input, description } => {
                details.add_bad_request_violation(format!("future.{input}"), description);
            }
            Error::Rejected {
                code, description, ..
            } => {
                details.add_bad_request_violation(rejected_field(code), description);
            }
            Error::Exhausted {
                subject,
                description,
            } => {
                details.add_quota_failure_violation(*subject, description);
            }
            _ => {}
        }
        if matches!(code, Code::Unavailable | Code::ResourceExhausted) {
            // When the registry said so, else when it is likely to be over.
            details.set_retry_info(Some(error.retry_after().unwrap_or(RETRY_AFTER)));
        }
        match (error, code) {
            (_, Code::Internal | Code::DataLoss) => tracing::error!(?code, %error, "answering"),
            (Error::GoingAway, _) => tracing::debug!(?code, %error, "answering"),
            (_, Code::Unavailable) => tracing::warn!(?code, %error, "answering"),
            _ => tracing::debug!(?code, %error, "answering"),
        }
        Self::with_error_details(code, error.to_string(), details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_come_back_is_told_when_and_who_was_too_late_by_what() {
        let unreachable = Error::Registry(RegistryError::unreachable("connection refused"));
        let status = Status::from(unreachable);
        assert_eq!(status.code(), Code::Unavailable);
        let retry = status.get_error_details().retry_info().cloned().unwrap();
        assert_eq!(retry.retry_delay, Some(RETRY_AFTER));
        let exhausted = Error::Exhausted {
            subject: "streams",
            description: "100 are open; close some".to_owned(),
        };
        let status = Status::from(exhausted);
        assert_eq!(status.code(), Code::ResourceExhausted);
        let details = status.get_error_details();
        assert_eq!(
            details.quota_failure().unwrap().violations[0].subject,
            "streams"
        );
        assert!(details.retry_info().is_some());
        let moved = Error::Registry(RegistryError::AliasMoved {
            series: "web.cpu".parse().unwrap(),
            alias: "champion".to_owned(),
            expected: 1,
            actual: 2,
        });
        let status = Status::from(moved);
        assert_eq!(status.code(), Code::Aborted);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.metadata["actual"].as_str()),
            ("ALIAS_MOVED", "2")
        );
        let invalid = Status::from(Error::invalid("step", "give one"));
        assert!(invalid.get_error_details().retry_info().is_none());
    }
}
