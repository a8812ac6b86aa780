//! A typed client of Loadcast's gRPC services.
//!
//! [`Client`] asks for forecasts and models, watches both, and pushes models. Its types are its own: what a server
//! sends is checked when it arrives ([`Error::Protocol`] names the field), and nothing of the wire is needed to use it.
//!
//! A [`Watch`] is a stream that outlives its connections. It connects again with backoff, continues after the last
//! message it handed out, and says so in between; only an error that trying again cannot mend ends it.
//!
//! ```no_run
//! use futures::StreamExt;
//! use loadcast_client::{Client, ForecastQuery, Range, Selector, Update, Window};
//!
//! # async fn example() -> Result<(), loadcast_client::Error> {
//! let client = Client::new("http://127.0.0.1:50051")?;
//! let tomorrow = client.forecast(&ForecastQuery::new("shop.web.cpu", Range::Window(Window::NextDay))).await?;
//! for (time, value) in tomorrow.times().zip(&tomorrow.yhat) {
//!     println!("{time} {value}");
//! }
//!
//! let mut watch = client.watch_models(Selector::all());
//! while let Some(update) = watch.next().await {
//!     if let Update::Message(model) = update? {
//!         println!("{model:?}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod client;
mod endpoint;
pub mod error;
mod push;
mod status;
mod trace;
pub mod types;
pub mod watch;

pub use client::Client;
pub use error::{Code, Error, Violation};
pub use types::batch::BatchItem;
pub use types::event::{ForecastUpdate, ModelEvent, ModelEventKind, ModelUpdate, UpdateCause};
pub use types::forecast::{Component, Correction, Forecast, LevelValue, Provenance, Quantile};
pub use types::live::{Ignored, LeadScores, Live, Observations, Observed};
pub use types::model::{
    Aspired, Model, ModelState, Reason, Refreshed, Rejection, RolledBack, Served,
};
pub use types::push::{Attachment, Push, Pushed, RejectionReport, Verdict};
pub use types::query::{
    BatchQuery, ForecastQuery, KnownVersion, Range, WatchCondition, WatchQuery, Window,
};
pub use types::recommendation::{
    Policy, Recommendation, RecommendationQuery, ResourceRecommendation,
};
pub use types::scaler::{
    Explanation, Gate, KeyProblem, Meaning, Rung, ScalerDecision, ScalerSource, Setting, Step, Term,
};
pub use types::series::{
    Clamps, Freshness, LevelScore, Scores, Selector, Series, SeriesInfo, ZeroMeans,
};
pub use watch::{Update, Watch};
