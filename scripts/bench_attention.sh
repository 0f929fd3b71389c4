#!/usr/bin/env bash
# Measures attention in every dataflow and mask and writes bench/results/attention.md (not with a
# filter), from build/results/attention.{avx2,avx512}.json.
#
#   scripts/bench_attention.sh [FILTER]     default: everything at avx512 and avx2
#
# A filter is a regular expression over names like attention_f32/avx512/streaming/full/T:512/d:64/.
# Run it on an idle machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

stage "Packages for the benchmarks" scripts/install_dependencies.sh build bench
stage "Configure preset bench" configure bench
stage "Build bench_attention with $JOBS jobs" \
  cmake --build --preset bench --parallel "$JOBS" --target bench_attention
mkdir -p build/results
reports=()
for level in avx512 avx2; do
  stage "Measure at $level" build/bench/bench/bench_attention \
    --benchmark_filter="/$level/.*${1:-}" --benchmark_repetitions=3 --benchmark_min_time=0.1 \
    --benchmark_out="build/results/attention.$level.json" --benchmark_out_format=json
  if [ -s "build/results/attention.$level.json" ]; then # empty where no cell fits
    reports+=("build/results/attention.$level.json")
  fi
done
[ ${#reports[@]} -gt 0 ] || fail "no cell fits"
/usr/bin/python3 scripts/bench_attention_table.py "${reports[@]}" | results_table attention.md "${1:-}"
