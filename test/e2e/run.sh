#!/usr/bin/env bash
# The real program and a real browser: starts braid serve on ports of its own,
# feeds it the shop, and runs the UI's end-to-end tests against it. With
# "pictures" it takes the pictures of the README anew instead.
set -euo pipefail
cd "$(dirname "$0")/../.."

test/e2e/tools.sh

dir=$(mktemp -d)
pid=""
live=""
cleanup() {
  [ -z "$live" ] || { kill "$live" 2>/dev/null || true; wait "$live" 2>/dev/null || true; }
  [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
  rm -rf "$dir"
}
trap cleanup EXIT

bin/braid serve --data-dir "$dir/data" --http.listen 127.0.0.1:0 --grpc.listen 127.0.0.1:0 \
  --otlp.http.listen 127.0.0.1:0 --otlp.grpc.listen 127.0.0.1:0 --rules 'test/e2e/rules/*.yml' >"$dir/out" 2>"$dir/log" &
pid=$!
for _ in $(seq 300); do
  grep -q 'gRPC  ' "$dir/out" && break
  kill -0 "$pid" 2>/dev/null || { cat "$dir/log"; echo "braid did not start"; exit 1; }
  sleep 0.2
done
url=$(awk '/UI and every query API/ {print $NF}' "$dir/out")
otlp=$(awk '/Send OTLP\/HTTP to/ {print $NF}' "$dir/out")
bin/braid generate --endpoint "$otlp" --seed 7 --backfill 65m --backfill-only --incident --hostile >"$dir/generate"
bin/braid generate --endpoint "$otlp" --seed 8 --duration 6h >"$dir/live" &
live=$!

if [ "${1:-}" = pictures ]; then
  BRAID_URL="$url" npm --prefix ui run pictures
  exit
fi
if ! BRAID_URL="$url" npm --prefix ui run e2e; then
  tail -n 20 "$dir/log"
  exit 1
fi
