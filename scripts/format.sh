#!/usr/bin/env bash
# Formats all C++ sources with Debian 12's clang-format 14; with --check only tells what differs.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

formatter=$(command -v clang-format-14 || command -v clang-format) ||
  fail "clang-format not found: scripts/install_dependencies.sh check"
version=$("$formatter" --version)
case $version in
  *"version 14."*) ;;
  *) fail "got $version, expected version 14 (others format differently)" ;;
esac

mapfile -t files < <(sources_in "${ALL_FOLDERS[@]}")
if [ "${1:-}" = --check ]; then
  # shellcheck disable=SC2016  # expanded by the inner shell
  if ! printf '%s\0' "${files[@]}" | xargs -0 -P "$JOBS" -n 8 bash -c '
      formatter=$1 bad=0
      shift
      for file in "$@"; do
        "$formatter" "$file" | cmp -s - "$file" || { echo "$file: not formatted"; bad=1; }
      done
      exit "$bad"' _ "$formatter"; then
    fail "files are not formatted: run scripts/format.sh"
  fi
  say "${#files[@]} files are formatted."
else
  "$formatter" -i "${files[@]}"
  say "Formatted ${#files[@]} files."
fi
