#!/usr/bin/env bash
# Every source: a licence line first, ASCII outside of comments, no tabs, at most 400 lines (a warning).
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

kMaxLines=400
bad=0
mapfile -t files < <(sources_in "${ALL_FOLDERS[@]}")
for file in "${files[@]}"; do
  if ! head -n 1 "$file" | grep -q '^// SPDX-License-Identifier: Apache-2.0'; then
    say "$file:1: expected \"// SPDX-License-Identifier: Apache-2.0\""
    bad=$((bad + 1))
  fi
  lines=$(wc -l <"$file")
  [ "$lines" -le "$kMaxLines" ] || say "warning: $file has $lines lines, expected at most $kMaxLines: one idea per file"
done
# Tests hold texts of many scripts on purpose.
mapfile -t product < <(sources_in kernels runtime models tessera bench)
# grep alone decides: in a pipeline a reader that stops early would turn many findings into none.
if LC_ALL=C grep -m 5 -nP '^(?:(?!//).)*[^\x00-\x7F]' "${product[@]}"; then
  say "expected ASCII outside of comments in the lines above"
  bad=$((bad + 1))
fi
mapfile -t tool < <(sources_in tessera)
if grep -m 5 -nP '^(?!\s*//).*fmt::print\(' "${tool[@]}"; then
  say "expected say() of tessera/cli/say.hpp, or OutputFile, in the lines above: fmt::print() throws where nobody reads"
  bad=$((bad + 1))
fi
if LC_ALL=C grep -m 5 -nP '\t|[ ]+$' "${files[@]}"; then
  say "expected neither tabs nor trailing spaces in the lines above"
  bad=$((bad + 1))
fi
[ "$bad" -eq 0 ] || fail "$bad problems"
say "${#files[@]} sources are in order."
