#!/usr/bin/env bash
# Measures whole encoders and writes bench/results/encoder.md (not with a filter), from
# build/results/encoder.json.
#
#   scripts/bench.sh [FILTER]        default: every cell of the best two ISA levels, 1 and 2 threads
#
# Five interleaved repetitions. One thread is judged by the median of CPU time, more threads by the
# fastest wall time, beside the FMA rate measured in the same process. Run it on an idle machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

stage "Packages for the benchmarks" scripts/install_dependencies.sh build bench
stage "Configure preset bench" configure bench
stage "Build bench_encoder with $JOBS jobs" \
  cmake --build --preset bench --parallel "$JOBS" --target bench_encoder
mkdir -p build/results
stage "Measure" build/bench/bench/bench_encoder --benchmark_filter="${1:-.}" \
  --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true \
  --benchmark_min_time=0.3 --benchmark_out=build/results/encoder.json \
  --benchmark_out_format=json
/usr/bin/python3 scripts/bench_table.py build/results/encoder.json | results_table encoder.md "${1:-}"
