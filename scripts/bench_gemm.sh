#!/usr/bin/env bash
# Measures the linears against oneDNN and writes bench/results/gemm.md (not with a filter), from
# build/results/gemm.{avx2,avx512}.json.
#
#   scripts/bench_gemm.sh [FILTER]     default: every cell, at avx512 and avx2 where the CPU has them
#
# A filter is a regular expression over names like gemm_f32/tessera_onednn/avx512/M:8/N:384/K:384/cold.
# Run it on an idle machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

stage "Packages for the benchmarks" scripts/install_dependencies.sh build bench
stage "Configure preset bench" configure bench
stage "Build bench_gemm with $JOBS jobs" \
  cmake --build --preset bench --parallel "$JOBS" --target bench_gemm
mkdir -p build/results
reports=()
for level in avx2 avx512; do
  TESSERA_ISA=$level build/bench/bench/bench_gemm --benchmark_list_tests=true >/dev/null 2>&1 || continue
  stage "Measure at $level" env TESSERA_ISA=$level build/bench/bench/bench_gemm \
    --benchmark_filter="${1:-.}" --benchmark_out="build/results/gemm.$level.json" \
    --benchmark_out_format=json
  if [ -s "build/results/gemm.$level.json" ]; then # empty where the filter leaves nothing
    reports+=("build/results/gemm.$level.json")
  fi
done
[ ${#reports[@]} -gt 0 ] || fail "nothing measured: this CPU has neither avx512 nor avx2, or the filter fits no cell"
/usr/bin/python3 scripts/bench_gemm_table.py "${reports[@]}" | results_table gemm.md "${1:-}"
