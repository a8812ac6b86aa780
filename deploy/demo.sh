#!/usr/bin/env bash
# The main job, shown: rows -> four stages -> push -> registry -> swap -> subscriber.
#   make demo                      synthetic cluster metrics, stays up until Ctrl-C
#   make demo DATA=path.csv        your own series; times are shifted to end now
#   make demo ONCE=1               ends by itself; exits 0 only if every step was seen to happen
set -euo pipefail
cd "$(dirname "$0")/.."

home=.loadcast/demo
bin=target/release
server_pid='' watch_pid=''

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
stop() {
  [ -z "$watch_pid" ] || kill "$watch_pid" 2>/dev/null || true
  [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null || true
  wait 2>/dev/null || true
}
trap stop EXIT
trap 'exit 0' INT TERM

# await DESCRIPTION SECONDS COMMAND...: until the command succeeds.
await() {
  local what=$1 tries=$(($2 * 10))
  shift 2
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "never saw $what"
    sleep 0.1
  done
}

say "Building"
cargo build --release -p loadcast-server -p loadcast-client -p loadcast-trainer

rm -rf "$home"
mkdir -p "$home"

if [ -n "${DATA:-}" ]; then
  say "Data: $DATA"
  [ -r "$DATA" ] || fail "DATA=$DATA cannot be read; give the path of a CSV file"
  data=$DATA
  value=$(head -n 1 "$DATA" | tr -d '\r"' | tr ',' '\n' | grep -viE '^(timestamp|ds|time|datetime|date)$' | head -n 1)
  name=$(basename "$DATA" .csv)
  series=("--series" "$name=$value")
  names=("$name")
  shift_times=(--shift-to-now)
else
  say "Generating four weeks of synthetic cluster metrics"
  data=$home/metrics.csv
  "$bin/loadcast-trainer" generate --output "$data"
  series=(--series demo.web.cpu=cpu_mean_5m:cores --series demo.web.memory=mem_mean_5m:bytes)
  names=(demo.web.cpu demo.web.memory)
  shift_times=()
fi

say "Starting the server on an embedded registry"
port=50051
(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && port=0
"$bin/loadcast-server" --grpc-addr "127.0.0.1:$port" --http-addr 127.0.0.1:0 --state-dir "$home/state" \
  --registry "file://$PWD/$home/registry" >"$home/server.out" 2>"$home/server.log" &
server_pid=$!
await "the server's listening line (see $home/server.log)" 30 grep -q '^loadcast-server listening' "$home/server.out"
cat "$home/server.out"
grpc=$(sed -n 's/.*grpc=\([^ ]*\).*/\1/p' "$home/server.out")
export LOADCAST_ADDR="http://$grpc" LOADCAST_SERVER="http://$grpc"

# What would keep a model from being promoted is told here and holds nothing back: the swap is what is to be seen, on
# whatever data.
gates=skill=warning,skill-floor=warning,month-skill=warning,coverage=warning,champion=warning
train() {
  "$bin/loadcast-trainer" run --data "$data" "${series[@]}" ${shift_times[@]+"${shift_times[@]}"} \
    --gate "$gates" --no-brake "$@"
}

say "Training and pushing version 1, as if the last 6 hours had not happened yet"
train --drop-last 6h

say "Tomorrow"
for name in "${names[@]}"; do "$bin/loadcast" forecast "$name" --window next-day; done

say "Watching; then training and pushing version 2 on all data"
"$bin/loadcast" watch "${names[@]}" --horizon 6h >"$home/watch.txt" 2>"$home/watch.log" &
watch_pid=$!
for name in "${names[@]}"; do
  await "the watch's snapshot of $name" 30 grep -qE "^forecast $name version 1" "$home/watch.txt"
done
before=$(wc -l <"$home/watch.txt")
train

say "What the watch saw"
for name in "${names[@]}"; do
  await "the event of version 2 of $name" 30 grep -qE "SERVED +$name +version 2" "$home/watch.txt"
  await "the new forecast of $name" 30 grep -qE "^forecast $name version 2" "$home/watch.txt"
done
tail -n +$((before + 1)) "$home/watch.txt"

say "Tomorrow, by version 2"
for name in "${names[@]}"; do "$bin/loadcast" forecast "$name" --window next-day; done

if [ "${ONCE:-}" = 1 ]; then
  say "Every step was seen to happen"
  exit 0
fi

say "The server stays up at $grpc until Ctrl-C. Try:"
cat <<TRY
  $bin/loadcast models list --addr http://$grpc
  $bin/loadcast forecast ${names[0]} --horizon 6h --output table --addr http://$grpc
  $bin/loadcast watch --addr http://$grpc
  grpcurl -plaintext $grpc list
  grpcurl -plaintext -d '{"series":"${names[0]}","horizon":"3600s"}' $grpc loadcast.v1.ForecastService/GetForecast
  grpcurl -plaintext -d '{}' $grpc loadcast.v1.ModelService/WatchModels
Kill it with -9 and start it again with the same --state-dir: the same version, epoch and revision.
  $bin/loadcast-server --grpc-addr $grpc --state-dir $home/state --registry file://$PWD/$home/registry
TRY
wait "$server_pid"
