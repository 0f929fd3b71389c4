#!/usr/bin/env bash
# Measures whole image encoders and writes bench/results/vision.md (not with a filter), from
# build/results/vision.json.
#
#   scripts/bench_vit.sh [FILTER]    default: one thread at the best ISA level
#
# Five interleaved repetitions, the median by CPU time, beside the FMA rate measured in the same
# process. Run it on an idle machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

stage "Packages for the benchmarks" scripts/install_dependencies.sh build bench
stage "Configure preset bench" configure bench
stage "Build bench_vit with $JOBS jobs" \
  cmake --build --preset bench --parallel "$JOBS" --target bench_vit
mkdir -p build/results
stage "Measure" build/bench/bench/bench_vit --benchmark_filter="${1:-avx512/.*/threads:1}" \
  --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true \
  --benchmark_min_time=0.3 --benchmark_out=build/results/vision.json \
  --benchmark_out_format=json
/usr/bin/python3 scripts/bench_vit_table.py build/results/vision.json | results_table vision.md "${1:-}"
