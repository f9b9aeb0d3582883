#!/usr/bin/env bash
# Everything `make test` does, stage by stage, with the time of each and one line at the end that says how it went.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly begun=$SECONDS
current='nothing yet'
times=()

stage() {
  current=$1
  shift
  local start=$SECONDS
  printf '\n==> %s\n' "$current"
  "$@"
  times+=("$current $((SECONDS - start)) s")
}

summary() {
  local status=$?
  printf '\n'
  for line in "${times[@]}"; do printf '    %s\n' "$line"; done
  if [ "$status" -eq 0 ]; then
    printf 'make test: PASSED, %d stages in %d s\n' "${#times[@]}" $((SECONDS - begun))
  else
    printf 'make test: FAILED in "%s" after %d s\n' "$current" $((SECONDS - begun))
  fi
}
trap summary EXIT

in_client() { (cd frontend && "$@"); }

stage 'set-up' scripts/setup.sh test
stage 'formatting' cargo fmt --all --check
stage 'client: packages' make --no-print-directory frontend/node_modules/.package-lock.json
stage 'client: types, lints, unit tests, build' in_client npm run check
stage 'program: build' cargo build --profile quick -p daybook
# Most of the time they wait for a run to go on, so more of them run at once than there are cores.
stage 'program: tests' env RUST_TEST_THREADS=4 cargo test --profile quick --workspace --exclude daybook-benches
stage 'browser tests' scripts/browser-tests.sh
