//! The client's own types, and the only place that knows the wire's.
//!
//! Coming in, a message is refused unless it makes sense as a whole: `TryFrom` names the field. Going out, conversion
//! cannot fail; the server is the one that validates a request. Enumerations keep a number they do not know as
//! `Other`, because a server of a later release may add some; zero, "unspecified", is refused where an answer must say.

pub mod batch;
pub mod event;
pub mod forecast;
pub(crate) mod frame;
pub mod live;
pub mod model;
pub mod push;
pub mod query;
pub mod recommendation;
pub mod scaler;
pub mod series;
pub(crate) mod text;
pub(crate) mod time;
