//! The client and its command against a server in this process, over real sockets.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod answers;
mod binary;
mod calls;
mod fleet;
mod pushes;
mod recommends;
mod server;
mod watches;
