#!/usr/bin/env bash
# The test programs of build/release as on a CPU whose best level is LEVEL, each in one process: quicker than
# ctest, which gives every test its own. tests_kernels goes through all levels by itself and is left out.
#
#   scripts/test_at_level.sh LEVEL        as in avx2 (kernels/isa.hpp)
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

level=${1:?the level, as in avx2}
programs=build/release/tests
[ -x "$programs/tests_runtime" ] || fail "$programs has no test programs: scripts/test.sh builds them"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# shellcheck disable=SC2016  # expanded by the inner shell
find "$programs" -maxdepth 1 -type f -executable -name 'tests_*' ! -name tests_kernels -printf '%f\0' |
  sort -z | TESSERA_ISA=$level xargs -0 -P "$JOBS" -I '{}' bash -c '
    program=$1 log=$2/$3
    "$program/$3" --gtest_brief=1 >"$log" 2>&1 || { cat "$log"; echo "$3: FAILED"; exit 1; }
    tail -n 1 "$log"' _ "$programs" "$logs" '{}'
