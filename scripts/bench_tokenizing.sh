#!/usr/bin/env bash
# Times tokenizing beside the native library, Hugging Face tokenizers, on the same texts, one thread
# each, after checking that both give the same ids; writes bench/results/tokenizing.md and .svg.
#
#   scripts/bench_tokenizing.sh [--only KIND] [--lines-only] [--texts-only] [--native-most MB]
#   scripts/bench_tokenizing.sh --compare COUNT [--seed N] [--only KIND]     ids of random texts, no times
#
# The tokenizers are those of ../shared/tokenizers. The native library comes from the npm registry
# (needs node and npm) into a temporary folder; nothing of it is part of the project or of its build.
# --native-most: the native library is not given longer lines than that (default: 0.7; 5 is hours).
# With --only the table is shown and bench/results/ left alone.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

only=() native_most=0.7 texts=1 lines=1 compare=0 seed=1
while [ $# -gt 0 ]; do
  case $1 in
    --only) only=(--only "${2:?--only needs the name of a tokenizer}"); shift ;;
    --native-most) native_most=${2:?--native-most needs a number}; shift ;;
    --compare) compare=${2:?--compare needs a number of texts}; shift ;;
    --seed) seed=${2:?--seed needs a number}; shift ;;
    --lines-only) texts=0 ;;
    --texts-only) lines=0 ;;
    *) fail "unknown argument \"$1\"" ;;
  esac
  shift
done
shared=../shared/tokenizers
[ -d "$shared/files" ] || fail "no $shared: the tokenizers and texts are not part of the project"
command -v node >/dev/null 2>&1 || fail "node is not installed"
command -v npm >/dev/null 2>&1 || fail "npm is not installed"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
get_native_library() {
  (cd "$work" && npm init -y >/dev/null 2>&1 &&
    npm install --silent --no-audit --no-fund --ignore-scripts tokenizers@0.23.2) ||
    fail "npm could not install tokenizers@0.23.2: is its registry, $(npm config get registry), reachable?"
  (cd "$work" && node -e 'require("tokenizers")') ||
    fail "tokenizers@0.23.2 does not load: it has no binary for this machine, or node is too old"
}
stage "Packages" scripts/install_dependencies.sh build bench
stage "Configure" configure release -DTESSERA_BUILD_BENCH=ON
stage "Build" cmake --build --preset release --parallel "$JOBS" --target time_tokenizing
stage "Native library" get_native_library

# One thread each, and one worker of node, whose time is what is measured (pair.mjs).
export UV_THREADPOOL_SIZE=1 TOKENIZERS_PARALLELISM=false RAYON_NUM_THREADS=1
mkdir -p build/results
program=build/release/bench/time_tokenizing
if [ "$compare" -gt 0 ]; then
  stage "Random texts" node scripts/tokenizing/compare.mjs "$work" "$program" "$shared" "$work" \
    "$compare" "$seed" "${only[@]:1}"
  exit 0
fi
if [ "$texts" = 1 ]; then
  stage "Texts" node scripts/tokenizing/run.mjs "$work" "$program" "$shared" "$work" \
    build/results/tokenizing.json "${only[@]}"
fi
if [ "$lines" = 1 ]; then
  stage "Long lines" node scripts/tokenizing/lines.mjs "$work" "$program" "$shared" "$work" \
    build/results/tokenizing_lines.json --native-most "$native_most" "${only[@]}"
fi
/usr/bin/python3 scripts/bench_tokenizing_table.py build/results |
  results_table tokenizing.md "${only[*]}"
if [ ${#only[@]} = 0 ]; then
  /usr/bin/python3 scripts/bench_tokenizing_plot.py build/results/tokenizing_lines.json \
    bench/results/tokenizing.svg
fi
