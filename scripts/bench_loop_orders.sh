#!/usr/bin/env bash
# Measures every loop order on the evaluation set and writes bench/results/loop_orders.md and
# loop_orders_bf16.md (not with a filter), from build/results/loop_orders.json.
#
#   scripts/bench_loop_orders.sh [FILTER]        default: f32 at avx512 where the CPU has it, else
#                                                avx2; bf16 at amx_bf16 or else avx512_bf16
#
# One thread; candidates run in turn. Takes about ten minutes on an idle machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

level=avx2
if grep -q -w avx512vl /proc/cpuinfo; then level=avx512; fi
bf16=avx512_bf16
if grep -q -w amx_bf16 /proc/cpuinfo; then bf16=amx_bf16; fi
stage "Packages for the benchmarks" scripts/install_dependencies.sh build bench
stage "Configure preset bench" configure bench
stage "Build bench_loop_orders with $JOBS jobs" \
  cmake --build --preset bench --parallel "$JOBS" --target bench_loop_orders
mkdir -p build/results
stage "Measure" build/bench/bench/bench_loop_orders --benchmark_filter="${1:-f32/$level/|bf16/$bf16/}" \
  --benchmark_out=build/results/loop_orders.json --benchmark_out_format=json
for precision in f32 bf16; do
  name=loop_orders.md
  if [ "$precision" = bf16 ]; then name=loop_orders_bf16.md; fi
  table=$(/usr/bin/python3 scripts/loop_orders_table.py "$precision" build/results/loop_orders.json)
  [ -z "$table" ] || printf '%s\n' "$table" | results_table "$name" "${1:-}"
done
