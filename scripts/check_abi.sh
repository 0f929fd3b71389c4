#!/usr/bin/env bash
# The ABI of libtessera.so against the one that was announced, tests/abi/abi.txt:
#   exported symbols with their versions, SONAME, every declaration of tessera.h without its comments,
#   size, alignment and field offsets of every struct, values of every enumerator.
#
#   scripts/check_abi.sh [LIBRARY [INCLUDE]]      default: those of build/release
#   scripts/check_abi.sh --announce …             writes tests/abi/abi.txt; say in CHANGELOG.md what changed
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

announce=no
if [ "${1:-}" = --announce ]; then
  announce=yes
  shift
fi
library=${1:-build/release/tessera/libtessera.so}
include=${2:-build/release/include}
header=tessera/tessera.h
announced=tests/abi/abi.txt
[ -f "$library" ] || fail "$library does not exist: cmake --build --preset release --target tessera_shared"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One declaration per line: what the preprocessor leaves of tessera.h itself.
cc -E -I . -I "$include" "$header" | awk '/^# [0-9]+ "/ { ours = $3 ~ /tessera\/tessera\.h"$/; next } ours' |
  tr '\n' ' ' | sed -E -e 's/[[:space:]]+/ /g' -e 's/([;{]) ?/\1\n/g' -e 's/, ?([A-Z0-9_]+ = )/,\n\1/g' -e 's/ \} /\n} /g' |
  sed -E -e 's/^ +//' -e '/^ *$/d' >"$work/declarations"

# "struct field" for every field: the last word of each declarator between "typedef struct X {" and "} X;".
awk '
  /^typedef struct [a-z_]+ \{$/ { name = $3; next }
  /^\}/                         { name = "" ; next }
  name != "" {
    line = $0; sub(/;.*/, "", line)
    n = split(line, parts, ",")
    for (i = 1; i <= n; ++i) { m = split(parts[i], words, /[ *]+/); print name, words[m] }
  }' "$work/declarations" >"$work/fields"
grep -oE '^TESSERA_[A-Z0-9_]+ = ' "$work/declarations" | cut -d' ' -f1 >"$work/enumerators" || true
{
  echo '#include <stddef.h>'
  echo '#include <stdio.h>'
  echo '#include "tessera/tessera.h"'
  echo 'int main(void) {'
  cut -d' ' -f1 "$work/fields" | uniq | while read -r name; do
    printf '%s\n' "  printf(\"struct $name: size %zu, alignment %zu\\n\", sizeof($name), _Alignof($name));"
    grep "^$name " "$work/fields" | while read -r _ field; do
      printf '%s\n' "  printf(\"  $field: offset %zu, size %zu\\n\", offsetof($name, $field), sizeof((($name*)0)->$field));"
    done
  done
  while read -r name; do printf '%s\n' "  printf(\"$name = %ld\\n\", (long)$name);"; done <"$work/enumerators"
  echo '  return 0;'
  echo '}'
} >"$work/layout.c"
cc -std=c11 -I . -I "$include" "$work/layout.c" -o "$work/layout"

{
  echo "# The ABI as announced: scripts/check_abi.sh --announce writes this file."
  echo "== Symbols"
  readelf -d "$library" | sed -nE 's/.*\(SONAME\).*\[(.*)\]/SONAME \1/p'
  nm -D --defined-only --with-symbol-versions "$library" | awk '{ print $2, $3 }' | LC_ALL=C sort
  echo "== Declarations"
  cat "$work/declarations"
  echo "== Layout (x86-64)"
  "$work/layout"
} >"$work/abi.txt"

if [ "$announce" = yes ]; then
  cp "$work/abi.txt" "$announced"
  say "$announced says what $library is. Say in CHANGELOG.md what changed for users."
  exit 0
fi
if ! diff -u "$announced" "$work/abi.txt"; then
  fail "the ABI is not the one that was announced. If that is meant: scripts/check_abi.sh --announce, a line in CHANGELOG.md; removed or changed symbols need a new SONAME or, below version 1, a new minor version"
fi
say "The ABI is the one announced: $(grep -c '^T ' "$work/abi.txt" || true) functions, $(cut -d' ' -f1 "$work/fields" | sort -u | wc -l) structs."
