#!/usr/bin/env bash
# Installs what the tests need (Debian 12), builds a preset and runs its tests.
#
#   scripts/test.sh [--preset NAME] [CTEST ARGUMENTS...]     e.g. scripts/test.sh -L malformed
#
# Presets with tests: release (default), debug, asan-ubsan, tsan, clang. Safe to repeat.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

preset=release
if [ "${1:-}" = --preset ]; then
  [ $# -ge 2 ] || fail "--preset needs a name"
  preset=$2
  shift 2
fi
groups=(build test)
case $preset in tsan | clang) groups+=(clang) ;; esac

stage "Packages for the build and the tests" scripts/install_dependencies.sh "${groups[@]}"
stage "Configure preset $preset" configure "$preset"
stage "Build with $JOBS jobs" cmake --build --preset "$preset" --parallel "$JOBS"
say "== Tests"
exec ctest --preset "$preset" --parallel "$JOBS" --progress "$@"
