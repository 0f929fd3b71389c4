#!/usr/bin/env bash
# Measures the promises of memory, loading and cancellation on random BERT-base and MiniLM, each figure
# in a process of its own; writes bench/results/promises.md.
#
#   scripts/promises.sh [--onnxruntime FOLDER]
#
# FOLDER holds node_modules/onnxruntime-node (npm install --prefix FOLDER --ignore-scripts
# onnxruntime-node@1.30.0); needs node and the group compare. Without it that column stays empty.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"
ort=""
[ "${1:-}" != --onnxruntime ] || ort=$2

stage "Configure" configure release -DTESSERA_BUILD_BENCH=ON
stage "Build" cmake --build --preset release --parallel "$JOBS" --target promise_probe random_checkpoint
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/figures"
probe=build/release/tests/promise_probe
for model in BERT-base MiniLM-L6-384; do
  build/release/bench/random_checkpoint "$model" "$work/$model"
  for turn in 1 2 3; do
    rm -rf "$work/cache"
    figures="$work/figures/$model"
    "$probe" memory "$work/$model" --rows 512 --sequences 4 >"$figures.pack.$turn"
    "$probe" memory "$work/$model" --rows 512 --sequences 4 --cache "$work/cache" >"$figures.store.$turn"
    sleep 1
    "$probe" memory "$work/$model" --rows 512 --sequences 4 --cache "$work/cache" >"$figures.map.$turn"
    [ -z "$ort" ] || {
      [ -e "$work/$model.onnx" ] || PYTHONPATH=scripts/onnxruntime /usr/bin/python3 -c \
        "import make_onnx, sys; make_onnx.main(sys.argv[1], sys.argv[2])" "$work/$model" "$work/$model.onnx"
      node scripts/onnxruntime/memory.mjs "$ort" "$work/$model.onnx" 4 128 >"$figures.onnxruntime.$turn"
    }
  done
  for threads in 1 2; do
    "$probe" cancel "$work/$model" --rows 512 --sequences 4 --threads "$threads" >"$work/figures/$model.cancel$threads.1"
  done
done
/usr/bin/python3 scripts/promises_table.py "$work/figures" | tee bench/results/promises.md
