#!/usr/bin/env bash
# The Python package and its tests: a licence line first, the format of black, types that hold for Python 3.9
# on. What is not installed (group check) is left out, and said.
#
#   scripts/check_python.sh [--write]     --write: formats
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

how=(--check)
[ "${1:-}" != --write ] || how=()
paths=(tessera/python tests/python scripts/bench_python.py scripts/write_wheel.py scripts/onnxruntime/make_masked_onnx.py
  docs/site/conf.py docs/site/tools scripts/site scripts/examples examples/python)
mapfile -t files < <(find "${paths[@]}" -name '*.py' | LC_ALL=C sort)
for file in "${files[@]}"; do
  head -n 2 "$file" | grep -qx '# SPDX-License-Identifier: Apache-2.0' ||
    fail "$file:1: expected \"# SPDX-License-Identifier: Apache-2.0\""
  lines=$(wc -l <"$file")
  [ "$lines" -le 400 ] || say "warning: $file has $lines lines, expected at most 400: one idea per file"
done
python=/usr/bin/python3
if "$python" -c 'import black' 2>/dev/null; then
  "$python" -m black --quiet --line-length 100 "${how[@]}" "${files[@]}" ||
    fail "the format is not black's: scripts/check_python.sh --write"
else
  say "black is not installed: left out."
fi
if "$python" -c 'import mypy' 2>/dev/null; then
  "$python" -m mypy --python-version 3.9 --disallow-untyped-defs --ignore-missing-imports --no-incremental \
    --cache-dir=/dev/null tessera/python/tessera
else
  say "mypy is not installed: left out."
fi
say "${#files[@]} Python sources are in order."
