#!/usr/bin/env bash
# What the README promises, as its reader would type it: start, send, tail, look inside, copy out, verify, stop.
set -euo pipefail
cd "$(dirname "$0")/.."

readings=20000
folder=$(mktemp -d)
daemon=
tail_pid=

# What runs in the background is a process group of its own, npm included, so that nothing outlives a failure.
cleanup() {
  [[ -z $daemon ]] || kill -KILL -- "-$daemon" 2>/dev/null || true
  [[ -z $tail_pid ]] || kill -KILL -- "-$tail_pid" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT

fail() {
  echo "FAIL $*" >&2
  echo "--- log of the daemon" >&2
  tail -n 50 "$folder/log" >&2 || true
  exit 1
}
passed() { echo "ok   $*"; }

read -r grpc_port admin_port < <(node -e '
  const net = require("node:net");
  const servers = [net.createServer(), net.createServer()];
  let left = servers.length;
  for (const server of servers) server.listen(0, "127.0.0.1", () => {
    if (--left > 0) return;
    console.log(servers.map((one) => one.address().port).join(" "));
    for (const one of servers) one.close();
  });')
export GRPC_SERVER_SOCKET=localhost:$grpc_port ADMIN_SOCKET=localhost:$admin_port FILE_PATH=$folder/data
export ROTATE_BYTES=256KiB COMPRESS=gzip

setsid npm start >"$folder/log" 2>&1 &
daemon=$!
for ((attempt = 0; ; attempt++)); do
  curl -fsS "http://localhost:$admin_port/readyz" >/dev/null 2>&1 && break
  kill -0 "$daemon" 2>/dev/null || fail "npm start ended"
  ((attempt < 300)) || fail "npm start is not ready after 30s"
  sleep 0.1
done
passed "npm start: ready"

npx telemetry-sink health || fail "health"
passed "health"

npx telemetry-sink send --count "$readings" --connections 4 --quiet || fail "send"
passed "send: $readings readings acknowledged"

echo '{"sensor_name":"smoke-1","sensor_value":42}' | npx telemetry-sink send --stdin --quiet || fail "send --stdin"
passed "send --stdin"

grpcurl -plaintext -d '{"items":[{"sensor_name":"smoke-2","measurement":{"sensor_value":"43"}}]}' \
  "localhost:$grpc_port" sensor.v1.SensorService/SendSensorValues >/dev/null || fail "grpcurl by reflection"
passed "grpcurl, which asks reflection"

curl -fsS "http://localhost:$admin_port/metrics" >"$folder/metrics" || fail "/metrics"
grep -q '^telemetry_sink_' "$folder/metrics" || fail "/metrics has no metric of ours"
curl -fsS "http://localhost:$admin_port/healthz" >/dev/null || fail "/healthz"
curl -fsS "http://localhost:$admin_port/api/v1/status" >/dev/null || fail "/api/v1/status"
passed "metrics, health, status"

# What tail shows came while it followed: -n 0 leaves out what was there before.
setsid npx telemetry-sink tail --follow --lines 0 --sensor smoke-3 >"$folder/tail" 2>"$folder/tail-errors" &
tail_pid=$!
for ((attempt = 0; ; attempt++)); do
  echo '{"sensor_name":"smoke-3","sensor_value":44}' | npx telemetry-sink send --stdin --quiet >/dev/null || fail "send"
  grep -q smoke-3 "$folder/tail" && break
  kill -0 "$tail_pid" 2>/dev/null || fail "tail ended: $(cat "$folder/tail-errors")"
  ((attempt < 60)) || fail "tail shows nothing: $(cat "$folder/tail-errors")"
done
kill -TERM -- "-$tail_pid"
wait "$tail_pid" || true
tail_pid=
npx telemetry-sink tail --sensor smoke-1 | grep -q '"sensor_value":42' || fail "tail of one reading"
passed "tail, tail --follow"

mkdir "$folder/copy"
npx telemetry-sink copy-out --tar | tar x -C "$folder/copy" || fail "copy-out"
segments=$(find "$folder/copy" -maxdepth 1 -name 'telemetry-*' | wc -l)
((segments > 0)) || fail "copy-out copied no segment"
npx telemetry-sink verify "$folder/copy" || fail "verify of the copy"
passed "copy-out --tar: $segments closed segments, verified"

kill -TERM "$daemon"
wait "$daemon" || fail "SIGTERM through npm start: ends with $?"
daemon=
grep '"balance' "$folder/log" | tail -n 1 | grep -q '(difference 0).*(difference 0)' || fail "no balance, or not 0"
passed "SIGTERM through npm start: exit 0, balance 0"

npx telemetry-sink verify || fail "verify"
passed "verify"

lines=$({ find "$FILE_PATH" -maxdepth 1 -name '*.jsonl' -exec cat {} +
  find "$FILE_PATH" -maxdepth 1 -name '*.jsonl.gz' -exec zcat {} +; } | grep -vc '"smoke-')
[[ $lines == "$readings" ]] || fail "$lines lines of $readings"
passed "every reading is in the files once"
