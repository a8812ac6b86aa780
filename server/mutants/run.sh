#!/usr/bin/env bash
# A promise is tested only if breaking it is noticed. Each patch here breaks the mechanism of one promise; this applies
# each in turn to a copy of the sources, runs the tests of all promises there, and requires that those of the broken
# promise fail and no others. Patches are named after the promise: pNN_what.patch.
#
#   run.sh            all of them, after a run without any, which must pass
#   run.sh check      only whether they still apply
#   run.sh p04 ...    those of these promises
set -euo pipefail
cd "$(dirname "$0")/../.."

here=$PWD/server/mutants
tree=$PWD/target/mutants/tree
log=$PWD/target/mutants/log
# A folder of its own, kept between runs: cargo would take the copy's crates for those they are copies of.
export CARGO_TARGET_DIR=$PWD/target/mutants/target
# Longer than all tests together take, and any that a mutant makes wait.
limit=900

if [ ! -d "$CARGO_TARGET_DIR" ] && [ -d target/debug/deps ]; then
  mkdir -p "$CARGO_TARGET_DIR/debug"
  cp -a --reflink=auto target/debug/{.fingerprint,build,deps} "$CARGO_TARGET_DIR/debug/"
fi
rm -rf "$tree"
mkdir -p "$tree"
# With new times: cargo goes by them, and would take what the last mutant left behind for what these sources make.
git ls-files -z --cached --others --exclude-standard | xargs -0 tar c --ignore-failed-read 2>/dev/null | tar x --touch -C "$tree"

patches() {
  if [ $# -eq 0 ]; then set -- p; fi
  for promise in "$@"; do
    find "$here" -name "$promise*.patch" -printf '%f\n'
  done | sort
}

apply() { (cd "$tree" && patch --silent --strip=1 --fuzz=0 "$@"); }

# Runs the tests; leaves the names of those that failed, one a line, in $failed, and says how long it took.
run() {
  local started=$SECONDS
  failed=
  timeout "$limit" cargo test --quiet --manifest-path "$tree/Cargo.toml" -p loadcast-server --test promises \
    -- --format=pretty --test-threads=8 >"$log" 2>&1 || true
  if ! grep -q '^test result' "$log"; then
    failed=$(grep -q '^error' "$log" && echo "(does not compile)" || echo "(did not end in $limit s)")
  else
    failed=$(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log" | sort)
  fi
  took=$((SECONDS - started))
}

verdicts=0
row() { printf '%-24s %-9s %5s s  %s\n' "$1" "$2" "$3" "$4"; }

case ${1:-} in
  check)
    for patch in $(patches); do
      if apply --dry-run <"$here/$patch" >/dev/null; then
        row "$patch" applies 0 ""
      else
        row "$patch" "is stale" 0 "make it again: change the sources, git diff -U1 >server/mutants/$patch"
        verdicts=1
      fi
    done
    exit $verdicts
    ;;
esac

run
if [ -n "$failed" ]; then
  row "none" FAILS "$took" "$(echo $failed)"
  exit 1
fi
row "none" passes "$took" "$(grep -c '\.\.\. ok$' "$log") tests"

for patch in $(patches "$@"); do
  promise=${patch%%_*}
  if ! apply --dry-run <"$here/$patch" >/dev/null 2>&1; then
    row "$patch" "is stale" 0 "make it again: change the sources, git diff -U1 >server/mutants/$patch"
    verdicts=1
    continue
  fi
  apply <"$here/$patch"
  run
  apply --reverse <"$here/$patch"
  others=$(echo "$failed" | grep -v "^${promise}::" || true)
  if [ -z "$failed" ]; then
    row "$patch" SURVIVES "$took" "no test noticed"
    verdicts=1
  elif [ -n "$others" ]; then
    row "$patch" SPREADS "$took" "$(echo $others)"
    verdicts=1
  else
    row "$patch" caught "$took" "$(echo $failed)"
  fi
done
exit $verdicts
