#!/usr/bin/env bash
# clang-tidy over the product's sources, by the compile commands of build/release.
#
#   scripts/check_tidy.sh [--seconds N] [FILE...]
#
# With --seconds no new file is started after N seconds, and the files that were left out are counted.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

seconds=0
if [ "${1:-}" = --seconds ]; then
  seconds=$2
  shift 2
fi
command -v clang-tidy >/dev/null 2>&1 || fail "clang-tidy not found: scripts/install_dependencies.sh check"
[ -f build/release/compile_commands.json ] || fail "build/release is not configured: cmake --preset release"
if [ $# -eq 0 ]; then
  # arch/*.cpp is the text of .inl.hpp: outside, see .clang-tidy.
  mapfile -t files < <(sources_in runtime models tessera kernels | grep '\.cpp$' | grep -v '^kernels/arch/')
  set -- "${files[@]}"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
deadline=0
[ "$seconds" -eq 0 ] || deadline=$(($(date +%s) + seconds))
status=0
# shellcheck disable=SC2016  # expanded by the inner shell
printf '%s\0' "$@" | xargs -0 -P "$JOBS" -I '{}' bash -c '
  file=$1 work=$2 deadline=$3
  name=${file//\//_}
  if [ "$deadline" -ne 0 ] && [ "$(date +%s)" -ge "$deadline" ]; then
    : >"$work/$name.left"
  elif ! clang-tidy --quiet -p build/release "$file" >"$work/$name.out" 2>"$work/$name.err"; then
    # One write per file, so that two jobs do not mix.
    { cat "$work/$name.out"; grep -E "error:" "$work/$name.err" || true; } >"$work/$name.bad"
    exit 1
  fi
' _ '{}' "$work" "$deadline" || status=$?
left=$(find "$work" -name '*.left' | wc -l)
if [ "$status" -ne 0 ]; then
  cat "$work"/*.bad
  fail "clang-tidy has objections in $(find "$work" -name '*.bad' | wc -l) files"
fi
say "clang-tidy has nothing to say about $(($# - left)) files$([ "$left" -eq 0 ] || echo "; $left were left out for lack of time")."
