#!/usr/bin/env bash
# The web client against the real binary, in a real browser: the demo from the first visit to the last test, with its
# socket cut on the way. Then against a stand-in server, for faults that the real one never makes.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly program=${CARGO_TARGET_DIR:-target}/quick/daybook
# Below /tmp, so that the database's own user can enter it.
folder=$(mktemp -d /tmp/daybook-browser-XXXXXX)
readonly folder
chmod 755 "$folder"

"$program" --data "$folder/data" demo --port 0 --no-open >"$folder/out" 2>"$folder/log" &
readonly server=$!
stop() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap stop EXIT

link=
for _ in $(seq 300); do
  link=$(grep -o 'http://127.0.0.1:[0-9]*/sign-in[^ ]*' "$folder/out" || true)
  if [ -n "$link" ] || ! kill -0 "$server" 2>/dev/null; then break; fi
  read -rt 0.2 <> <(:) || true
done
if [ -z "$link" ]; then
  echo "the server did not start:" >&2
  cat "$folder/log" >&2
  exit 1
fi

(cd frontend && DAYBOOK_URL=$link npm run --silent e2e)
(cd frontend && npm run --silent e2e:faults)
