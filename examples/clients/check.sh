#!/bin/sh
# Builds the example clients and runs them.
#
#   examples/clients/check.sh                    against a server of its own that refuses every third request,
#                                                and one that refuses for good, then against the daemon:
#                                                each transport, in plaintext and with mutual TLS
#   examples/clients/check.sh localhost:8000     against a daemon that is running there
#
# A language whose tools are missing is skipped with a line that says so; with CI=true that is a failure.
# CLIENTS="go python" picks languages. Nothing is installed outside of the cache folder (CLIENTS_CACHE).
set -eu
cd "$(dirname "$0")"
HERE=$(pwd)
ROOT=$(cd ../.. && pwd)
TARGET=${1:-}
CLIENTS=${CLIENTS:-go python cpp node}
CACHE=${CLIENTS_CACHE:-$HERE/.cache}
READINGS=1050
PATH="$ROOT/node_modules/.bin:$CACHE/bin:$PATH"
export PATH
mkdir -p "$CACHE/bin"

SKIPPED=
SERVER_PID=
stop_server() {
  if [ -n "$SERVER_PID" ]; then
    kill "$SERVER_PID" 2>/dev/null || true
    wait "$SERVER_PID" 2>/dev/null || true
    SERVER_PID=
  fi
}
trap stop_server EXIT

# Starts the refusing server with the given arguments; its address is then in TARGET.
start_server() {
  : >"$CACHE/server.log"
  node "$ROOT/test/commands/send/refusing-server.ts" "$@" >"$CACHE/server.log" &
  SERVER_PID=$!
  tries=0
  until [ -s "$CACHE/server.log" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ]; then echo "check.sh: the refusing server does not start" >&2; exit 1; fi
    sleep 0.1
  done
  TARGET=$(head -n 1 "$CACHE/server.log")
}

# The daemon itself on the given transport; its address is then in TARGET, on a name that certificates have.
start_daemon() {
  rm -rf "$CACHE/data"
  # The child empties it too, but maybe after we have looked: what the one before said would pass for its words.
  : >"$CACHE/server.log"
  TRANSPORT=$1 FILE_PATH="$CACHE/data" GRPC_SERVER_SOCKET=localhost:0 ADMIN_SOCKET=localhost:0 LOG_FORMAT=json \
    node "$ROOT/bin/telemetry-sink.js" serve >"$CACHE/server.log" &
  SERVER_PID=$!
  tries=0
  until grep -q '"serving' "$CACHE/server.log"; do
    tries=$((tries + 1))
    if [ $tries -gt 200 ]; then echo "check.sh: the daemon does not start" >&2; cat "$CACHE/server.log" >&2; exit 1; fi
    sleep 0.1
  done
  TARGET=localhost:$(sed -n 's/.*"grpc":\["[^"]*:\([0-9]*\)".*/\1/p' "$CACHE/server.log" | head -n 1)
}

# Stops the daemon and counts its lines.
written_by_all() {
  stop_server
  for client in $BUILT; do
    lines=$(cat "$CACHE"/data/*.jsonl | grep -c "\"$client-1\"" || true)
    if [ "$lines" != "$READINGS" ]; then
      echo "check.sh: $client delivered $READINGS readings and $lines were written ($1)" >&2
      exit 1
    fi
  done
  echo "check.sh: every reading written: $1"
}

have() { command -v "$1" >/dev/null 2>&1; }

# Says why a language cannot be built, and nothing when it can.
missing() {
  case $1 in
    go) have go || { echo "go is not installed"; return; }
        have protoc || echo "protoc is not installed" ;;
    python) python3 -c 'import venv, ensurepip' 2>/dev/null || echo "python3 with venv is not installed" ;;
    cpp) for tool in g++ make pkg-config protoc grpc_cpp_plugin; do
           have $tool || { echo "$tool is not installed"; return; }
         done
         pkg-config --exists grpc++ protobuf || echo "libgrpc++-dev or libprotobuf-dev is not installed" ;;
    node) have node || echo "node is not installed" ;;
    *) echo "no such client" ;;
  esac
}

build() {
  case $1 in
    go) (
      cd go
      [ -x "$CACHE/bin/protoc-gen-go" ] ||
        GOBIN="$CACHE/bin" go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
      [ -x "$CACHE/bin/protoc-gen-go-grpc" ] ||
        GOBIN="$CACHE/bin" go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
      go generate
      go build -o "$CACHE/go-client" .
    ) ;;
    python) (
      cd python
      if [ ! -x "$CACHE/python/bin/python" ]; then
        python3 -m venv "$CACHE/python"
        "$CACHE/python/bin/pip" install -q -r requirements.txt
      fi
      mkdir -p generated
      "$CACHE/python/bin/python" -m grpc_tools.protoc -I ../../../proto \
        --python_out=generated --grpc_python_out=generated sensor/v1/sensor.proto
    ) ;;
    cpp) make -s -C cpp ;;
    node) ;;
  esac
}

run() {
  case $1 in
    go) "$CACHE/go-client" "$TARGET" "$2" ;;
    python) "$CACHE/python/bin/python" python/client.py "$TARGET" "$2" ;;
    cpp) cpp/client "$TARGET" "$2" ;;
    node) node node/client.js "$TARGET" "$2" ;;
  esac
}

BUILT=
for client in $CLIENTS; do
  reason=$(missing "$client")
  if [ -n "$reason" ]; then
    echo "check.sh: SKIPPED $client: $reason" >&2
    SKIPPED="$SKIPPED $client"
    continue
  fi
  echo "check.sh: building $client"
  build "$client"
  BUILT="$BUILT $client"
done

if [ -n "$TARGET" ]; then
  for client in $BUILT; do run "$client" $READINGS; done
else
  start_server
  for client in $BUILT; do run "$client" $READINGS; done
  stop_server
  for client in $BUILT; do
    if ! grep -q "\"$client-1\":${READINGS}[,}]" "$CACHE/server.log"; then
      echo "check.sh: $client did not deliver exactly $READINGS readings: $(tail -n 1 "$CACHE/server.log")" >&2
      exit 1
    fi
  done
  start_server --never
  for client in $BUILT; do
    if run "$client" 1 2>"$CACHE/refused.log"; then
      echo "check.sh: $client reports success for readings that were refused" >&2
      exit 1
    fi
    if ! grep -q "not delivered" "$CACHE/refused.log"; then
      echo "check.sh: $client failed in another way than being refused:" >&2
      cat "$CACHE/refused.log" >&2
      exit 1
    fi
  done
  stop_server
  node "$ROOT/test/support/tls-files.ts" "$CACHE/tls"
  for transport in native grpc-js; do
    start_daemon "$transport"
    for client in $BUILT; do run "$client" $READINGS; done
    written_by_all "$transport, plaintext"
    TLS_CERT="$CACHE/tls/tls.crt" TLS_KEY="$CACHE/tls/tls.key" TLS_CLIENT_CA="$CACHE/tls/ca.crt" start_daemon "$transport"
    SINK_TLS_CA="$CACHE/tls/ca.crt" SINK_TLS_CERT="$CACHE/tls/client.crt" SINK_TLS_KEY="$CACHE/tls/client.key"
    export SINK_TLS_CA SINK_TLS_CERT SINK_TLS_KEY
    for client in $BUILT; do run "$client" $READINGS; done
    unset SINK_TLS_CA SINK_TLS_CERT SINK_TLS_KEY
    written_by_all "$transport, mutual TLS"
  done
fi

if [ -n "$SKIPPED" ] && [ "${CI:-}" = true ]; then
  echo "check.sh: skipped$SKIPPED, which CI must not" >&2
  exit 1
fi
echo "check.sh: all well:$BUILT${SKIPPED:+ (skipped:$SKIPPED)}"
