# Two commands matter: `make demo` runs the main job, `make test` passes the tests. Each does its own set-up.
.PHONY: demo test bench bench-accuracy soak mutants lint fmt

# ONCE=1 ends by itself; DATA=path.csv takes your own series instead of synthetic ones.
demo:
	@deploy/demo.sh

# LOADCAST_REQUIRE_ALL=1 makes a skipped component a failure.
test:
	@.ci/test.sh

# Python Prophet and ours on the same origins of the real series; the table of accuracy.
bench-accuracy:
	cargo build --release -p loadcast-trainer
	.ci/tools.sh
	.tools/python/bin/python benches/python/backtest_prophet.py --trainer target/release/loadcast-trainer ../shared/data/nab/*.csv

# Writes target/bench/report.json; Python's Prophet is measured in the same run.
bench:
	@.ci/tools.sh
	cargo build --release --package loadcast-trainer
	cargo bench --package loadcast-benches

# Long runs and big numbers of peers.
soak:
	@.ci/tools.sh
	cargo build --release --package loadcast-server --package loadcast-benches
	target/release/fanout
	LOADCAST_SOAK=1 cargo test --workspace --release -- --nocapture soak

# Breaks the mechanism of each promise in turn: its test must fail, and no other.
mutants:
	server/mutants/run.sh

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

fmt:
	cargo fmt --all
