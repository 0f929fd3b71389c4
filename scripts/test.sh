#!/usr/bin/env bash
# Installs what the tests need (Debian 12), builds a preset and runs its tests.
#
#   scripts/test.sh [--preset NAME] [--target NAME]... [CTEST ARGUMENTS...]
#
# Presets with tests: release (default), debug, asan-ubsan, tsan, clang. With --target only these test
# programs are built: name a label that is theirs, e.g. --target tests_runtime_weights -L malformed.
# Safe to repeat.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

preset=release
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --preset) preset=${2:?--preset needs a name} ;;
    --target) targets+=(--target "${2:?--target needs a name}") ;;
    *) break ;;
  esac
  shift 2
done
groups=(build test)
case $preset in tsan | clang) groups+=(clang) ;; esac

stage "Packages for the build and the tests" scripts/install_dependencies.sh "${groups[@]}"
stage "Configure preset $preset" configure "$preset"
stage "Build with $JOBS jobs" cmake --build --preset "$preset" --parallel "$JOBS" ${targets[@]+"${targets[@]}"}
say "== Tests"
exec ctest --preset "$preset" --parallel "$JOBS" --progress "$@"
