//! What is observed, and what it changes: scores, corrections, gates.

mod answers;
mod gates;
mod observe;
mod pull;
mod restart;
mod scene;
mod scores;
