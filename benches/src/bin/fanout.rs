//! Measures fan-out against a release server and prints one `name: number` a line. Takes scenarios as arguments, for
//! example `fan-10000-100` (subscribers, connections) or `stuck-100`; none: all of them.
//!
//! ```text
//! cargo build --release -p loadcast-server -p loadcast-benches && target/release/fanout
//! ```

fn main() -> anyhow::Result<()> {
    let scenarios: Vec<String> = std::env::args().skip(1).collect();
    loadcast_benches::fanout::run(&scenarios, |name, value| println!("{name}: {value:.3}"))
}
