//! The server as its peers meet it: real sockets on port 0, the real client, and the real binary where a process dies.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod bulk;
mod candidate;
mod dependencies;
mod flight;
mod forecast;
mod grpcurl;
mod live;
mod memory;
mod moves;
mod push;
mod readme;
mod recommendation;
mod refresh;
mod remember;
mod restart;
mod retention;
mod scripted;
mod support;
mod tls;
mod watch;
