#!/usr/bin/env bash
# Compares the model of the bytes with a replay of the walk over the evaluation set and writes
# bench/results/ema_validation.md, from build/results/ema_validation.tsv, which has every candidate of
# every cell. About 20 minutes on two idle CPUs; any CPU will do.
#
#   scripts/validate_ema.sh [MOST_ROWS]        default: 520 rows for linears, 4096 for attention; with
#                                              MOST_ROWS the table is only shown
#
# The same numbers on every machine: nominal rates, simulated caches.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

most=${1:-520}
stage "Packages for the benchmarks" scripts/install_dependencies.sh build bench
stage "Configure preset bench" configure bench
stage "Build validate_ema with $JOBS jobs" \
  cmake --build --preset bench --parallel "$JOBS" --target validate_ema
measure() { build/bench/bench/validate_ema "$@"; }
mkdir -p build/results
out=build/results/ema_validation.tsv
{
  measure gemm avx512 "$most"
  measure gemm avx2 "$((most < 400 ? most : 400))"
  measure gemm_bf16 amx_bf16 "$most"
  measure gemm_bf16 avx512_bf16 "$most"
  measure attention avx512 "${1:-4096}"
  measure attention avx2 "$most"
  measure attention_bf16 amx_bf16 "${1:-4096}"
  measure attention_bf16 avx512_bf16 "${1:-4096}"
  measure crossover avx512
  measure crossover avx2
} >"$out"
/usr/bin/python3 scripts/validate_ema_table.py "$out" | results_table ema_validation.md "${1:-}"
