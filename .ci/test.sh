#!/usr/bin/env bash
# Format, lints, documentation, every test, and the real components. Ends with what was exercised and what was skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p target
export LOADCAST_TEST_COMPONENTS="$PWD/target/components.txt"
: >"$LOADCAST_TEST_COMPONENTS"
log=target/test.log

.ci/tools.sh
cargo fmt --all --check
cargo clippy --workspace --all-targets --quiet -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
outcome=0
cargo test --workspace --no-fail-fast 2>&1 | tee "$log" || outcome=$?

echo
echo "Components"
sort -u "$LOADCAST_TEST_COMPONENTS"
echo
echo "Summary"
grep -E '^(test result: |error: |    `-p )|FAILED$|panicked at' "$log" || true
exit "$outcome"
