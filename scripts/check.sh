#!/usr/bin/env bash
# All checks of the repository in one command.
#
#   scripts/check.sh --quick     before each commit: format, files, includes, shell, build, tests, ISA hygiene
#   scripts/check.sh             all of it: also tidy, README in a fresh copy, every ISA level, Clang,
#                                AddressSanitizer + UBSan, ThreadSanitizer
#   scripts/check.sh --static    only what needs no build
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

check_shell() {
  if ! command -v shellcheck >/dev/null 2>&1; then
    say "shellcheck is not installed: left out."
    return 0
  fi
  shellcheck --external-sources scripts/*.sh .ci/run && say "The shell scripts are in order."
}

# Tests at each level that this CPU has; a level that it lacks is refused by the library and left out here.
tests_at_every_isa() {
  # set -e is off inside a stage: each level's verdict is kept by hand.
  local isa status=0
  for isa in baseline avx2 avx_vnni avx512 avx512_vnni avx512_bf16 amx_bf16; do
    say "-- TESSERA_ISA=$isa"
    case $isa in
      avx2) grep -qw avx2 /proc/cpuinfo || { say "   this CPU has none"; continue; } ;;
      avx_vnni | avx512_vnni | avx512_bf16) grep -qw "$isa" /proc/cpuinfo || { say "   this CPU has none"; continue; } ;;
      amx_bf16) grep -qw amx_bf16 /proc/cpuinfo || { say "   this CPU has none"; continue; } ;;
      avx512) grep -qw avx512vl /proc/cpuinfo || { say "   this CPU has none"; continue; } ;;
    esac
    TESSERA_ISA=$isa ctest --preset release --parallel "$JOBS" --quiet --output-on-failure || status=1
  done
  return "$status"
}

mode=${1:-full}
case $mode in
  full) stage "Packages for the checks" scripts/install_dependencies.sh build test check clang ;;
  --quick | --static) ;;
  *) fail "unknown argument \"$mode\", expected --quick, --static or nothing" ;;
esac

stage "Format" scripts/format.sh --check
stage "Files" scripts/check_files.sh
stage "Includes follow the architecture" scripts/check_dependencies.sh
stage "Shell scripts" check_shell
stage "Python sources" scripts/check_python.sh
[ "$mode" != --static ] || exit 0

stage "Build and test preset release" scripts/test.sh
stage "ISA hygiene" scripts/check_isa_hygiene.sh build/release
[ "$mode" != --quick ] || exit 0

stage "Tidy" scripts/check_tidy.sh
stage "Tests at every ISA level" tests_at_every_isa
stage "Preset clang" scripts/test.sh --preset clang
stage "Preset asan-ubsan" scripts/test.sh --preset asan-ubsan
stage "What host programs do, under ASan and UBSan" scripts/check_embedding.sh --sanitizer address
stage "Preset tsan" scripts/test.sh --preset tsan
stage "What host programs do, under TSan" scripts/check_embedding.sh --sanitizer thread
stage "README in a fresh copy" scripts/check_readme.sh
say "All checks passed."
