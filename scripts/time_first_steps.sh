#!/usr/bin/env bash
# A newcomer's way from a finished build to a first embedding, in each language, as docs/site/guides/first.md
# says it: the commands, counted and timed; medians of five turns, each from nothing. Prints a table.
#
#   scripts/time_first_steps.sh
#
# Needs a whole release build, groups build and wheel; a quiet machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

turns=5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PKG_CONFIG_PATH=$work/first/lib/pkgconfig
texts='"A tiny text editor" "vi for small screens"'
link="\$(pkg-config --cflags --libs tessera) -Wl,-rpath,$work/first/lib"
install="cmake --install build/release --prefix $work/first"

# path NAME COMMAND...: the row of the table.
path() {
  local name=$1 turn command begin times=() total
  shift
  for ((turn = 0; turn < turns; ++turn)); do
    rm -rf "${work:?}"/* build/release/wheel
    total=0
    for command in "$@"; do
      begin=$(date +%s%N)
      bash -euo pipefail -c "$command" >"$work.log" 2>&1 || { cat "$work.log"; fail "$name: $command"; }
      total=$((total + $(date +%s%N) - begin))
    done
    grep -qE '0\.362|"embedding"' "$work.log" || fail "$name: no embedding in what it printed"
    times+=("$((total / 1000000))")
  done
  printf '| %s | %d | %s ms |\n' "$name" "$#" "$(printf '%s\n' "${times[@]}" | sort -n | sed -n "$((turns / 2 + 1))p")"
  rm -f "$work.log"
}

say "| | commands | time |"
say "|---|---|---|"
path "the program" "echo 'A tiny text editor' | build/release/tessera/tessera embed models/demo/text"
path "C" "$install" "cc -o $work/c examples/c/embed.c $link" "$work/c models/demo/text $texts"
path "C++" "$install" "c++ -std=c++20 -o $work/cpp examples/cpp/embed.cpp $link" "$work/cpp models/demo/text $texts"
path "Python" "/usr/bin/python3 -m venv --system-site-packages $work/venv" \
  "$work/venv/bin/pip install --no-index \"\$(scripts/build_wheel.sh | tail -1)\"" \
  "$work/venv/bin/python examples/python/embed.py models/demo/text $texts"
