//! Measures fan-out against a release server and adds it to the section "server" of target/bench/report.json. Takes
//! scenarios as arguments, for example `fan-10000-100` (subscribers, connections) or `stuck-100`; none: all of them.
//! `make soak` runs it.

use std::path::Path;

use loadcast_benches::{
    fanout,
    report::{self, Section},
};

fn main() -> anyhow::Result<()> {
    let scenarios: Vec<String> = std::env::args().skip(1).collect();
    let mut section = Section::default();
    fanout::run(&scenarios, |name, value| {
        println!("{name}: {value:.3}");
        section.put(name, value);
    })?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/report.json");
    report::publish(&path, &[("server", section)])
}
