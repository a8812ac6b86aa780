//! Loadcast's wire, and nothing else: the `.proto` files of package `loadcast.v1` (the standard health
//! protocol, and KEDA's), the Rust made from them, and the descriptor set that reflection serves.
//!
//! The generated code is committed, so that nobody who builds this needs `protoc`. `tests/generated.rs` makes it
//! again with protox and fails on a difference; `LOADCAST_REGENERATE=1 cargo test -p loadcast-proto` writes it.
//! `tests/breaking.rs` holds v1 to `baseline.txt`: what is listed there may be added to, never changed or removed.

pub mod codec;
pub mod encoded;

/// Package `loadcast.v1`.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    rustdoc::all,
    clippy::all,
    clippy::clone_on_ref_ptr
)]
#[rustfmt::skip]
pub mod v1 {
    include!("gen/loadcast.v1.rs");
}

/// Package `grpc.health.v1`, the standard health protocol.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    rustdoc::all,
    clippy::all,
    clippy::clone_on_ref_ptr
)]
#[rustfmt::skip]
pub mod health {
    include!("gen/grpc.health.v1.rs");
}

/// Package `externalscaler`, KEDA's.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    rustdoc::all,
    clippy::all,
    clippy::clone_on_ref_ptr
)]
#[rustfmt::skip]
pub mod externalscaler {
    include!("gen/externalscaler.rs");
}

/// The encoded `google.protobuf.FileDescriptorSet` of this package and everything it imports, comments included.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptor.bin");

/// The same of Arrow Flight, as far as a server of Loadcast speaks it.
pub const FLIGHT_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/flight.bin");

/// The most chunk bytes that one `PushModelRequest` may carry.
pub const MAX_CHUNK_BYTES: usize = 1024 * 1024;
