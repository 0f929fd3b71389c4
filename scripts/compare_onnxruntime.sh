#!/usr/bin/env bash
# Times Tessera beside ONNX Runtime, one thread each, after checking that both give the same numbers;
# writes bench/results/onnxruntime.md (not with --only).
#
#   scripts/compare_onnxruntime.sh [--rounds N] [--only MODEL]
#   scripts/compare_onnxruntime.sh --rerank [--rounds N]           100 pairs of a cross-encoder, padded and not
#
# Takes ONNX Runtime from the npm registry (needs node and npm) into a temporary folder; nothing of it is
# part of the project or of its build.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"
rerank=0
if [ "${1:-}" = --rerank ]; then
  rerank=1
  shift
fi
command -v npm >/dev/null 2>&1 || fail "npm is not installed"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage "Packages" scripts/install_dependencies.sh build bench compare
stage "Configure" configure release -DTESSERA_BUILD_BENCH=ON
stage "Build" cmake --build --preset release --parallel "$JOBS" --target tessera random_checkpoint time_ids
stage "ONNX Runtime" sh -c "cd '$work' && npm init -y >/dev/null 2>&1 && npm install --silent --ignore-scripts onnxruntime-node@1.30.0"
if [ "$rerank" = 1 ]; then
  /usr/bin/python3 scripts/onnxruntime/rerank.py --package "$work" --work "$work" "$@"
  exit 0
fi
/usr/bin/python3 scripts/onnxruntime/compare.py --package "$work" --work "$work" \
  --markdown bench/results/onnxruntime.md "$@"
