//! Measures unary questions against a release server and adds them to the section "server" of target/bench/report.json.
//! `make bench` runs it. `echo FILE` is what it starts itself with, to compare.

use std::path::Path;

use loadcast_benches::{
    report::{self, Section},
    unary,
};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, path] = arguments.as_slice()
        && word == "echo"
    {
        return unary::echo::serve(path);
    }
    let mut section = Section::default();
    let outcome = unary::run(&mut section);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/report.json");
    report::publish(&path, &[("server", section)])?;
    outcome
}
