//! `make bench`, of the trainer: measures it, prints it, and writes it into the section `trainer` of
//! target/bench/report.json. Needs the trainer's release binary.

use std::path::Path;

use loadcast_benches::{report, trainer};

fn main() -> anyhow::Result<()> {
    // `cargo test --benches` builds and runs this too, and would have it measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/report.json");
    report::publish(&path, &[("trainer", trainer::measure()?)])
}
