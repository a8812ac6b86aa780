//! What a request does with time and memory: by its method alone, before a byte of its message is read.

use std::time::Duration;

use crate::bounds::{ANSWER_CAP, SCALER_CAP, UPLOAD_CAP};

/// A request by what it holds, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One message back.
    Unary,
    /// One message back to KEDA.
    Scaler,
    /// Messages from the client.
    Upload,
    /// Messages from the server, for as long as both like.
    Stream,
    /// Many forecasts from the server, in messages of up to a megabyte.
    Bulk,
    /// Plain HTTP.
    Plain,
}

impl Shape {
    /// That of a call of gRPC.
    pub(super) fn of(path: &str) -> Self {
        match path.rsplit('/').next() {
            Some("PushModel" | "ObserveActuals") => Self::Upload,
            Some("BatchGetForecasts") => Self::Bulk,
            Some(
                "WatchModels"
                | "WatchForecasts"
                | "Watch"
                | "ServerReflectionInfo"
                | "StreamIsActive"
                | "StreamMetricSpec"
                | "DoGet"
                | "ListFlights",
            ) => Self::Stream,
            _ if path.starts_with("/externalscaler.") => Self::Scaler,
            _ => Self::Unary,
        }
    }

    /// Without a deadline, it is answered or its stream begun within this.
    pub(super) fn cap(self) -> Duration {
        match self {
            Self::Upload => UPLOAD_CAP,
            Self::Scaler => SCALER_CAP,
            Self::Unary | Self::Stream | Self::Bulk | Self::Plain => ANSWER_CAP,
        }
    }

    /// Whether the cap is only for the first message.
    pub(super) fn streams(self) -> bool {
        matches!(self, Self::Stream | Self::Bulk)
    }
}
