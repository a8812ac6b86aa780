//! From a gRPC status to an [`Error`]: the only place that decodes `google.rpc` details.

use std::error::Error as _;
use std::time::Duration;

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

use crate::error::{Error, Violation};

/// What a failed call means. `deadline` is what the call was given.
///
/// A status that came over the wire has no source. One that has was made by the transport: there was no answer.
pub(crate) fn into_error(addr: &str, deadline: Duration, status: &Status) -> Error {
    let sources = || {
        std::iter::successors(
            status.source(),
            |&error: &&(dyn std::error::Error + 'static)| error.source(),
        )
    };
    let timed_out = sources().any(|error| error.is::<TimeoutExpired>());
    match (status.code(), sources().last()) {
        _ if timed_out => Error::Timeout { after: deadline },
        (Code::DeadlineExceeded, _) => Error::Timeout { after: deadline },
        // What lies at the bottom of the chain says it best: "connection refused".
        (_, Some(root)) => Error::Unreachable {
            addr: addr.to_owned(),
            reason: root.to_string(),
        },
        (_, None) => refused(status),
    }
}

/// The server said no. Details that cannot be decoded are left out: code and message still hold.
fn refused(status: &Status) -> Error {
    let details = status.get_error_details();
    Error::Refused {
        code: status.code(),
        reason: details
            .error_info()
            .map(|info| info.reason.clone())
            .unwrap_or_default(),
        message: status.message().to_owned(),
        violations: details
            .bad_request()
            .map(|bad| {
                bad.field_violations
                    .iter()
                    .map(|violation| Violation {
                        field: violation.field.clone(),
                        description: violation.description.clone(),
                    })
                    .collect()
            })
            .unwrap_or_default(),
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    #[test]
    fn details_become_reason_violations_and_delay() {
        let mut details = ErrorDetails::new();
        details
            .set_error_info("BAD_STEP", "loadcast", [("k".to_owned(), "v".to_owned())])
            .add_bad_request_violation("step", "must be at least 1s")
            .set_retry_info(Some(Duration::from_secs(2)));
        let status = Status::with_error_details(Code::InvalidArgument, "invalid request", details);
        assert_eq!(
            into_error("http://x", DEADLINE, &status),
            Error::Refused {
                code: Code::InvalidArgument,
                reason: "BAD_STEP".into(),
                message: "invalid request".into(),
                violations: vec![Violation {
                    field: "step".into(),
                    description: "must be at least 1s".into(),
                }],
                retry_after: Some(Duration::from_secs(2)),
            }
        );
    }

    #[test]
    fn details_that_are_garbage_do_not_hide_the_refusal() {
        let status =
            Status::with_details(Code::Aborted, "wrong version", b"\xff\xff".to_vec().into());
        assert!(matches!(
            into_error("http://x", DEADLINE, &status),
            Error::Refused { code: Code::Aborted, message, .. } if message == "wrong version"
        ));
    }

    #[test]
    fn the_transport_means_unreachable_and_unavailable_from_the_server_does_not() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let broken = Status::from_error(Box::new(io));
        assert_eq!(
            into_error("http://x", DEADLINE, &broken),
            Error::Unreachable {
                addr: "http://x".into(),
                reason: "connection refused".into()
            }
        );
        let said = Status::unavailable("registry down");
        assert!(matches!(
            into_error("http://x", DEADLINE, &said),
            Error::Refused {
                code: Code::Unavailable,
                ..
            }
        ));
    }

    #[test]
    fn a_deadline_says_how_long_it_was() {
        assert_eq!(
            into_error("http://x", DEADLINE, &Status::deadline_exceeded("late")),
            Error::Timeout { after: DEADLINE }
        );
        let own_timer = Status::from_error(Box::new(TimeoutExpired(())));
        assert_eq!(
            into_error("http://x", DEADLINE, &own_timer),
            Error::Timeout { after: DEADLINE }
        );
    }
}
