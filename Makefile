# Two commands matter: `make demo` runs the main job, `make test` passes the tests. Each does its own set-up.
.PHONY: demo test bench bench-accuracy bench-replay soak mutants lint fmt

# ONCE=1 ends by itself; DATA=path.csv takes your own series instead of synthetic ones.
demo:
	@deploy/demo.sh

# LOADCAST_REQUIRE_ALL=1 makes a skipped component a failure.
test:
	@.ci/test.sh

# Python Prophet and ours on the same origins of the real series; the tables of accuracy, a day ahead and at short leads.
bench-accuracy:
	cargo build --release -p loadcast-trainer
	.ci/tools.sh
	.tools/python/bin/python benches/python/backtest_prophet.py --trainer target/release/loadcast-trainer ../shared/data/nab/*.csv
	.tools/python/bin/python benches/python/backtest_prophet.py --trainer target/release/loadcast-trainer --leads 5m,15m,60m,1d ../shared/data/nab/*.csv

# Would a forecast have helped? The real series and synthetic workloads under Kubernetes' autoscaler; pages beside the table.
bench-replay:
	cargo build --release -p loadcast-trainer
	.ci/tools.sh
	for workload in web batch steady; do target/release/loadcast-trainer generate --workload $$workload --weeks 3 --end 2026-02-01T00:00:00Z --output target/replay/$$workload.csv; done
	.tools/python/bin/python benches/python/replay.py --trainer target/release/loadcast-trainer --pages target/replay ../shared/data/nab/*.csv
	.tools/python/bin/python benches/python/replay.py --trainer target/release/loadcast-trainer --pages target/replay --column cpu_mean_5m target/replay/*.csv

# Writes target/bench/report.json; Python's Prophet is measured in the same run.
bench:
	@.ci/tools.sh
	cargo build --release --package loadcast-trainer --package loadcast-server --package loadcast-benches
	cargo bench --package loadcast-benches
	target/release/unary

# Long runs and big numbers of peers.
soak:
	@.ci/tools.sh soak
	cargo build --release --package loadcast-server --package loadcast-benches
	ulimit -n 20000 && target/release/fanout
	ulimit -n 20000 && LOADCAST_SOAK=1 cargo test --workspace --release -- --nocapture --test-threads=1 soak p14_kill_9

# Breaks the mechanism of each promise in turn: its test must fail, and no other.
mutants:
	server/mutants/run.sh

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

fmt:
	cargo fmt --all
