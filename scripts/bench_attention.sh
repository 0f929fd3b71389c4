#!/usr/bin/env bash
# Measures attention in every dataflow and mask and writes bench/results/attention.{avx2,avx512}.json
# and attention.md.
#
#   scripts/bench_attention.sh [FILTER]     default: everything at avx512 and avx2
#
# A filter is a regular expression over names like attention_f32/avx512/streaming/full/T:512/d:64/;
# cells that it leaves out keep the figures that bench/results/ has. Run it on an idle machine.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

stage "Packages for the benchmarks" scripts/install_dependencies.sh build bench
stage "Configure preset bench" configure bench
stage "Build bench_attention with $JOBS jobs" \
  cmake --build --preset bench --parallel "$JOBS" --target bench_attention
mkdir -p bench/results
part=$(mktemp)
trap 'rm -f "$part"' EXIT
for level in avx512 avx2; do
  stage "Measure at $level" build/bench/bench/bench_attention \
    --benchmark_filter="/$level/.*${1:-}" --benchmark_repetitions=3 --benchmark_min_time=0.1 \
    --benchmark_out="$part" --benchmark_out_format=json || continue
  /usr/bin/python3 scripts/bench_attention_table.py --merge "bench/results/attention.$level.json" "$part"
done
/usr/bin/python3 scripts/bench_attention_table.py bench/results/attention.*.json | tee bench/results/attention.md
