#!/usr/bin/env bash
# Makes sure that what Daybook is built and tested with is installed.
#
#   scripts/setup.sh run     what `make run` needs
#   scripts/setup.sh test    that, and what the tests need
#
# As root, or with a sudo that asks for no password, it installs what is missing. Otherwise it prints the one command
# that does, and stops. It never asks anything.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly purpose=${1:-run}
readonly oldest_node=20
readonly oldest_postgres=15

say() { printf '%s\n' "$*" >&2; }
stop() { say "make: $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# ---- what is there -------------------------------------------------------------------------------------------------

node_is_new_enough() {
  have node && have npm && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge "$oldest_node" ]
}

# Looks where the program looks: PG_BINDIR, then Debian's folders, then PATH.
postgres_is_new_enough() {
  local folder version
  if [ -n "${DATABASE_URL:-}" ] && [ "$purpose" = run ]; then return 0; fi
  for folder in ${PG_BINDIR:+"$PG_BINDIR"} /usr/lib/postgresql/*/bin ${PATH//:/ }; do
    [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ] || continue
    version=$("$folder/postgres" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
    if [ "${version:-0}" -ge "$oldest_postgres" ]; then return 0; fi
  done
  return 1
}

have_browser() {
  [ -x "${CHROMIUM:-}" ] || have chromium || have chromium-browser || have google-chrome
}

# ---- how the missing is installed ----------------------------------------------------------------------------------

manager=none
for candidate in apt-get dnf pacman zypper apk; do
  if have "$candidate"; then manager=$candidate; break; fi
done
readonly manager

# The package that brings a thing; the names differ between distributions.
package() {
  case "$1:$manager" in
    postgres:dnf | postgres:zypper) echo postgresql-server ;;
    postgres:*) echo postgresql ;;
    node:apk) echo nodejs npm ;;
    node:zypper) echo nodejs20 npm20 ;;
    node:*) echo nodejs npm ;;
    python:pacman) echo python ;;
    python:*) echo python3 ;;
    compiler:apt-get) echo build-essential ;;
    compiler:apk) echo build-base ;;
    compiler:pacman) echo base-devel ;;
    compiler:*) echo gcc make ;;
    *) echo "$1" ;;
  esac
}

install_command() {
  case "$manager" in
    apt-get) echo "apt-get install -y --no-install-recommends" ;;
    dnf) echo "dnf install -y" ;;
    pacman) echo "pacman -S --noconfirm --needed" ;;
    zypper) echo "zypper --non-interactive install" ;;
    apk) echo "apk add" ;;
    none) return 1 ;;
  esac
}

list_missing() {
  missing=()
  have cc || missing+=(compiler)
  have python3 || missing+=(python)
  have bwrap || missing+=(bubblewrap)
  node_is_new_enough || missing+=(node)
  postgres_is_new_enough || missing+=(postgres)
  if [ "$purpose" = test ]; then
    have_browser || missing+=(chromium)
  fi
}

install_missing() {
  local packages=() thing command become=()
  for thing in "${missing[@]}"; do
    # Some things are two packages.
    read -ra names <<<"$(package "$thing")"
    packages+=("${names[@]}")
  done
  command="$(install_command) ${packages[*]}" ||
    stop "missing: ${missing[*]}; no package manager that we know was found, please install them"
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || stop "missing: ${missing[*]}. Install them with:  sudo $command"
    become=(sudo -n)
  fi
  say "Installing ${packages[*]}…"
  export DEBIAN_FRONTEND=noninteractive
  # A machine that never listed its packages finds none.
  if [ "$manager" = apt-get ]; then "${become[@]}" apt-get update -qq </dev/null; fi
  # The command is a list of plain words.
  # shellcheck disable=SC2086
  "${become[@]}" env DEBIAN_FRONTEND=noninteractive $command </dev/null >&2
}

# ---- Rust ----------------------------------------------------------------------------------------------------------

# Distributions carry old compilers, so this one is not installed for you.
check_rust() {
  local wanted found
  have cargo || stop "Rust is missing. Install it with:  curl -sSf https://sh.rustup.rs | sh -s -- -y"
  wanted=$(sed -nE 's/^rust-version *= *"([0-9.]+)".*/\1/p' Cargo.toml | head -n 1)
  found=$(rustc --version | cut -d ' ' -f 2)
  if [ -n "$wanted" ] && [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    stop "Rust $found is too old, $wanted is needed. Update it with:  rustup update stable"
  fi
}

check_rust
list_missing
if [ "${#missing[@]}" -gt 0 ]; then
  install_missing
  list_missing
fi
for thing in "${missing[@]}"; do
  case "$thing" in
    node) stop "Node.js $oldest_node or later is needed, and the distribution has an older one: see https://nodejs.org/en/download" ;;
    postgres) stop "PostgreSQL $oldest_postgres or later is needed, and the distribution has an older one: see https://www.postgresql.org/download" ;;
    *) stop "$thing is still missing after its package was installed" ;;
  esac
done
