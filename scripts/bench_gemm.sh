#!/usr/bin/env bash
# Measures the linears against oneDNN and writes bench/results/gemm.md and gemm_bf16.md (not with a
# filter), from build/results/gemm.{avx2,avx512,avx512_bf16 or amx_bf16}.json.
#
#   scripts/bench_gemm.sh [FILTER]     default: every cell, f32 at avx512 and avx2, bf16 at
#                                      amx_bf16 or else avx512_bf16, where the CPU has them
#
# A filter is a regular expression over names like gemm_f32/tessera_onednn/avx512/M:8/N:384/K:384/cold;
# it is asked at all three levels.
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
bf16=avx512_bf16
if grep -q -w amx_bf16 /proc/cpuinfo; then bf16=amx_bf16; fi
for level in avx2 avx512 "$bf16"; do
  cells=gemm_f32
  if [ "$level" = "$bf16" ]; then cells=gemm_bf16; fi
  # Neither the level nor a cell: nothing to list.
  TESSERA_ISA=$level build/bench/bench/bench_gemm --benchmark_list_tests=true \
    --benchmark_filter="${1:-$cells}" >/dev/null 2>&1 || continue
  stage "Measure at $level" env TESSERA_ISA=$level build/bench/bench/bench_gemm \
    --benchmark_filter="${1:-$cells}" --benchmark_out="build/results/gemm.$level.json" \
    --benchmark_out_format=json
  reports+=("build/results/gemm.$level.json")
done
[ ${#reports[@]} -gt 0 ] || fail "nothing measured: this CPU has none of these levels, or the filter fits no cell"
for precision in f32 bf16; do
  name=gemm.md
  if [ "$precision" = bf16 ]; then name=gemm_bf16.md; fi
  table=$(/usr/bin/python3 scripts/bench_gemm_table.py "$precision" "${reports[@]}")
  [ -z "$table" ] || printf '%s\n\n' "$table" | results_table "$name" "${1:-}"
done
