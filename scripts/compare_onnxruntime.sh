#!/usr/bin/env bash
# Times Tessera beside ONNX Runtime, one thread each, after checking that both give the same numbers;
# writes bench/results/onnxruntime.md (not with --only).
#
#   scripts/compare_onnxruntime.sh [--rounds N] [--only MODEL]
#   scripts/compare_onnxruntime.sh --rerank [--rounds N]           100 pairs of a cross-encoder, padded and not
#   scripts/compare_onnxruntime.sh --int8 [--turns N] [--only MODEL]
#       int8, bf16 and fp32 beside its dynamic int8 and fp32, memory, load times; the tables of bench/results/int8.md
#   scripts/compare_onnxruntime.sh --outliers [--seed N]           what outlier channels do to both int8; likewise
#
# Takes ONNX Runtime from the npm registry (needs node and npm) into a temporary folder, or with
# TESSERA_ONNXRUNTIME=FOLDER what is installed there; nothing of it is part of the project or of its build.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"
what=compare
case ${1:-} in
  --rerank | --int8 | --outliers)
    what=${1#--}
    shift
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage "Packages" scripts/install_dependencies.sh build bench compare
stage "Configure" configure release -DTESSERA_BUILD_BENCH=ON
stage "Build" cmake --build --preset release --parallel "$JOBS" --target tessera random_checkpoint time_ids
package=${TESSERA_ONNXRUNTIME:-$work}
if [ ! -d "$package/node_modules/onnxruntime-node" ]; then
  command -v npm >/dev/null 2>&1 || fail "npm is not installed"
  stage "ONNX Runtime" sh -c "cd '$package' && npm init -y >/dev/null 2>&1 && npm install --silent --ignore-scripts onnxruntime-node@1.30.0"
fi
case $what in
  rerank) /usr/bin/python3 scripts/onnxruntime/rerank.py --package "$package" --work "$work" "$@" ;;
  int8 | outliers)
    /usr/bin/python3 "scripts/onnxruntime/$what.py" --package "$package" --work "$work" --markdown bench/results/int8.md "$@"
    ;;
  *)
    /usr/bin/python3 scripts/onnxruntime/compare.py --package "$package" --work "$work" \
      --markdown bench/results/onnxruntime.md "$@"
    ;;
esac
