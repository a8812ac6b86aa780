//! What can go wrong, by what the caller can do about it.

use std::fmt;
use std::time::Duration;

/// The gRPC status codes.
pub use tonic::Code;

/// Why a call or a watch failed. The first line says what, the lines after it what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be one of a server.
    #[error(
        "invalid address {addr:?}: {reason}\nwrite it as http://HOST:PORT, for example http://127.0.0.1:50051"
    )]
    InvalidAddress {
        /// As it was given.
        addr: String,
        /// What is wrong with it.
        reason: String,
    },

    /// No connection, or the connection broke. Trying again may help.
    #[error(
        "cannot reach {addr}: {reason}\nis loadcast-server running there? say where it is with --addr or LOADCAST_ADDR"
    )]
    Unreachable {
        /// The server's address.
        addr: String,
        /// What the transport said.
        reason: String,
    },

    /// The server answered, and the answer is no.
    #[error("{}", Refusal { code: *code, reason, message, violations })]
    Refused {
        /// The status code.
        code: Code,
        /// The upper-case reason code of the server's `ErrorInfo`; empty when it gave none.
        reason: String,
        /// The server's words.
        message: String,
        /// The fields of the request that are wrong, each with its remedy.
        violations: Vec<Violation>,
        /// How long the server asks to wait before trying again.
        retry_after: Option<Duration>,
    },

    /// The deadline passed without an answer, or a stream fell silent.
    #[error(
        "no answer within {after:?}\nthe server is overloaded or the network drops packets; try again"
    )]
    Timeout {
        /// How long was waited.
        after: Duration,
    },

    /// The server's answer makes no sense.
    #[error(
        "the server's answer makes no sense: {field}: {reason}\nare client and server of the same release?"
    )]
    Protocol {
        /// The field of the answer, as a path: `forecast.quantiles[1].values`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// One field of a request that the server refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Violation {
    /// The field's name in the request message.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub description: String,
}

impl Error {
    /// A field of an answer that is missing or wrong.
    pub(crate) fn protocol(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Protocol {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// The same error, its field named from one level further up.
    pub(crate) fn within(self, parent: &str) -> Self {
        match self {
            Self::Protocol { field, reason } => Self::Protocol {
                field: format!("{parent}.{field}"),
                reason,
            },
            other => other,
        }
    }

    /// Whether the same request may succeed later without anybody changing it.
    ///
    /// A refusal is decided by its code: what is wrong with the request (INVALID_ARGUMENT, NOT_FOUND, OUT_OF_RANGE,
    /// ALREADY_EXISTS, FAILED_PRECONDITION), with the caller (PERMISSION_DENIED, UNAUTHENTICATED) or with the server's
    /// release (UNIMPLEMENTED) stays wrong.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::InvalidAddress { .. } | Self::Protocol { .. } => false,
            Self::Refused { code, .. } => match code {
                Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::FailedPrecondition
                | Code::OutOfRange
                | Code::Unimplemented => false,
                Code::Ok
                | Code::Cancelled
                | Code::Unknown
                | Code::DeadlineExceeded
                | Code::ResourceExhausted
                | Code::Aborted
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss => true,
            },
        }
    }

    /// The upper-case reason code of a refusal, when the server gave one.
    #[must_use]
    pub fn reason_code(&self) -> Option<&str> {
        match self {
            Self::Refused { reason, .. } if !reason.is_empty() => Some(reason),
            _ => None,
        }
    }
}

/// The name of a status code as gRPC writes it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// How a refusal is printed: the message with its codes, then one line for each violation.
struct Refusal<'a> {
    code: Code,
    reason: &'a str,
    message: &'a str,
    violations: &'a [Violation],
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = if self.message.is_empty() {
            "the server refused"
        } else {
            self.message
        };
        write!(f, "{message} ({}", code_name(self.code))?;
        if !self.reason.is_empty() {
            write!(f, ", {}", self.reason)?;
        }
        f.write_str(")")?;
        for violation in self.violations {
            write!(f, "\n{}: {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code) -> Error {
        Error::Refused {
            code,
            reason: String::new(),
            message: "no".into(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    #[test]
    fn a_refusal_prints_its_codes_and_every_violation() {
        let error = Error::Refused {
            code: Code::InvalidArgument,
            reason: "BAD_STEP".into(),
            message: "invalid request".into(),
            violations: vec![
                Violation {
                    field: "step".into(),
                    description: "must be at least 1s".into(),
                },
                Violation {
                    field: "levels[0]".into(),
                    description: "must lie in (0, 1)".into(),
                },
            ],
            retry_after: None,
        };
        assert_eq!(
            error.to_string(),
            "invalid request (INVALID_ARGUMENT, BAD_STEP)\nstep: must be at least 1s\nlevels[0]: must lie in (0, 1)"
        );
    }

    #[test]
    fn an_unreachable_server_names_address_and_remedy() {
        let text = Error::Unreachable {
            addr: "http://127.0.0.1:1".into(),
            reason: "connection refused".into(),
        }
        .to_string();
        let (what, remedy) = text.split_once('\n').unwrap();
        assert_eq!(what, "cannot reach http://127.0.0.1:1: connection refused");
        assert!(remedy.contains("--addr") && remedy.contains("LOADCAST_ADDR"));
    }

    #[test]
    fn codes_decide_what_is_worth_another_try() {
        for code in [
            Code::InvalidArgument,
            Code::NotFound,
            Code::Unimplemented,
            Code::PermissionDenied,
            Code::Unauthenticated,
            Code::OutOfRange,
        ] {
            assert!(!refused(code).is_transient(), "{code:?}");
        }
        for code in [
            Code::Unavailable,
            Code::Unknown,
            Code::Internal,
            Code::ResourceExhausted,
            Code::Aborted,
            Code::DeadlineExceeded,
        ] {
            assert!(refused(code).is_transient(), "{code:?}");
        }
    }

    #[test]
    fn a_field_is_named_by_its_path() {
        let error = Error::protocol("cutoff", "missing")
            .within("provenance")
            .within("forecast");
        assert!(
            matches!(error, Error::Protocol { field, .. } if field == "forecast.provenance.cutoff")
        );
    }
}
