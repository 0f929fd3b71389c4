#!/usr/bin/env bash
# Measures every loop order on the evaluation set and writes bench/results/loop_orders.md (not with a
# filter), from build/results/loop_orders.json.
#
#   scripts/bench_loop_orders.sh [FILTER]        default: avx512 where the CPU has it, else avx2
#
# One thread; candidates run in turn. Takes about five minutes on an idle machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

level=avx2
if grep -q -w avx512vl /proc/cpuinfo; then level=avx512; fi
stage "Packages for the benchmarks" scripts/install_dependencies.sh build bench
stage "Configure preset bench" configure bench
stage "Build bench_loop_orders with $JOBS jobs" \
  cmake --build --preset bench --parallel "$JOBS" --target bench_loop_orders
mkdir -p build/results
stage "Measure" build/bench/bench/bench_loop_orders --benchmark_filter="${1:-/$level/}" \
  --benchmark_out=build/results/loop_orders.json --benchmark_out_format=json
/usr/bin/python3 scripts/loop_orders_table.py build/results/loop_orders.json |
  results_table loop_orders.md "${1:-}"
