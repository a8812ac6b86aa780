//! One test for each promise of the API, named after it. `make mutants` breaks the mechanism of each promise in turn and
//! requires that its test, and no other, fails.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod connection;
#[path = "../hostile/frames.rs"]
mod frames;
mod house;
mod observe;
mod p01;
mod p02;
mod p03;
mod p04;
mod p05;
mod p06;
mod p07;
mod p08;
mod p09;
mod p10;
mod p11;
mod p12;
mod p13;
mod p14;
mod p15;
mod p16;
mod soak;
mod storm;
#[path = "../it/support.rs"]
mod support;
