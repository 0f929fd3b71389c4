#!/usr/bin/env bash
# Measures the linears against oneDNN and writes bench/results/gemm.{avx2,avx512}.json and gemm.md.
#
#   scripts/bench_gemm.sh [FILTER]     default: every cell, at avx512 and avx2 where the CPU has them
#
# A filter is a regular expression over names like gemm_f32/tessera_onednn/avx512/M:8/N:384/K:384/cold;
# cells that it leaves out keep the figures that bench/results/ has. Run it on an idle machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

stage "Packages for the benchmarks" scripts/install_dependencies.sh build bench
stage "Configure preset bench" configure bench
stage "Build bench_gemm with $JOBS jobs" \
  cmake --build --preset bench --parallel "$JOBS" --target bench_gemm
mkdir -p bench/results
part=$(mktemp)
trap 'rm -f "$part"' EXIT
levels=0
for level in avx512 avx2; do
  TESSERA_ISA=$level build/bench/bench/bench_gemm --benchmark_list_tests=true >/dev/null 2>&1 || continue
  levels=$((levels + 1))
  stage "Measure at $level" env TESSERA_ISA=$level build/bench/bench/bench_gemm \
    --benchmark_filter="${1:-.}" --benchmark_out="$part" --benchmark_out_format=json
  /usr/bin/python3 scripts/bench_gemm_table.py --merge "bench/results/gemm.$level.json" "$part"
done
[ "$levels" -gt 0 ] || fail "this CPU has neither avx512 nor avx2"
/usr/bin/python3 scripts/bench_gemm_table.py bench/results/gemm.*.json | tee bench/results/gemm.md
