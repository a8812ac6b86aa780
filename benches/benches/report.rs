//! `make bench`: measures every section, prints it, and writes target/bench/report.json.

use std::path::Path;

use loadcast_benches::{engine, report};

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` builds and runs this too, and would have it measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/report.json");
    report::publish(&path, &[("engine", engine::measure()?)])
}
