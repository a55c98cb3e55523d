#!/usr/bin/env bash
# The plugin as Grafana would use it, without a Grafana: a real braid serve with a
# shop's data, the plugin's program over its gRPC protocol, a bridge in the place
# of Grafana's server, and the built front end in a real Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${BRAID_BIN:-$PWD/../bin}

if ! command -v chromium >/dev/null; then
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
fi

dir=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  rm -rf "$dir"
}
trap cleanup EXIT

# await FILE PATTERN PID: until the program has said it.
await() {
  for _ in $(seq 600); do
    grep -q "$2" "$1" 2>/dev/null && return
    kill -0 "$3" 2>/dev/null || { cat "$1"; echo "a program ended before it was ready"; exit 1; }
    sleep 0.1
  done
  echo "not ready after a minute: $1"
  exit 1
}

node e2e/build.mjs "$dir/page"
${GO:-go} build -o "$dir/bridge" ./tools/bridge

"$bin/braid" serve --data-dir "$dir/data" --http.listen 127.0.0.1:0 --grpc.listen 127.0.0.1:0 \
  --otlp.http.listen 127.0.0.1:0 --otlp.grpc.listen 127.0.0.1:0 --rules '../test/e2e/rules/*.yml' >"$dir/out" 2>"$dir/log" &
pids+=($!)
await "$dir/out" 'gRPC  ' $!
braid=$(awk '/UI and every query API/ {print $NF}' "$dir/out")
otlp=$(awk '/Send OTLP\/HTTP to/ {print $NF}' "$dir/out")
"$bin/braid" generate --endpoint "$otlp" --seed 7 --backfill 32m --backfill-only --incident >"$dir/generate"

"$dir/bridge" --program dist/gpx_braid_datasource_"$(${GO:-go} env GOOS)"_"$(${GO:-go} env GOARCH)" --braid "$braid" --root "$dir/page" >"$dir/bridge.out" 2>"$dir/bridge.log" &
pids+=($!)
await "$dir/bridge.out" 'http://' $!

export BRIDGE_URL REQUEST_ID SHOTS
BRIDGE_URL=$(head -1 "$dir/bridge.out")
REQUEST_ID=$(awk '/failed checkout/ {id = $3} END {print id}' "$dir/generate")
if ! npm run --silent e2e; then
  tail -n 20 "$dir/bridge.log" "$dir/log"
  exit 1
fi
