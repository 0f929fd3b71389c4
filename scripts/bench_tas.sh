#!/usr/bin/env bash
# What adaptive stationarity is worth in time, in f32 and on matrix units: bench/results/tas.md and
# docs/figures/tas.svg, from bench_loop_orders and bench_attention.
#
#   scripts/bench_tas.sh
#
# One thread; a quarter of an hour on an idle machine, 3 GiB of memory.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

f32=avx2 bf16=avx512_bf16
if grep -q -w avx512vl /proc/cpuinfo; then f32=avx512; fi
if grep -q -w amx_bf16 /proc/cpuinfo; then bf16=amx_bf16; fi
stage "Packages for the benchmarks" scripts/install_dependencies.sh build bench
stage "Configure preset bench" configure bench
stage "Build the benchmarks with $JOBS jobs" \
  cmake --build --preset bench --parallel "$JOBS" --target bench_loop_orders bench_attention
mkdir -p build/results
stage "Loop orders" build/bench/bench/bench_loop_orders \
  --benchmark_filter="(f32/$f32|bf16/$bf16)/(BERT-base|MiniLM)" \
  --benchmark_out=build/results/tas_orders.json --benchmark_out_format=json
stage "Attention" build/bench/bench/bench_attention \
  --benchmark_filter="(f32/$f32|bf16/$bf16)/.*/full/T:(128|512|2048|8192|16384)/d:64/" \
  --benchmark_repetitions=3 --benchmark_min_time=0.1 \
  --benchmark_out=build/results/tas_attention.json --benchmark_out_format=json
scripts/tas_page.py build/results/tas_orders.json build/results/tas_attention.json
