#!/usr/bin/env bash
# No code of one ISA level may run on a CPU of another:
#   1. the only external symbol of each kernels/arch/<level>.o is its table; a weak symbol compiled with
#      AVX-512 could replace the baseline's copy when the program is linked;
#   2. the objects of the baseline hold no AVX instruction, those of avx2 no AVX-512 register.
#
#   scripts/check_isa_hygiene.sh [BUILD_DIR]      default: build/release; not for sanitizer builds
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

build=${1:-$ROOT/build/release}
command -v objdump >/dev/null 2>&1 || fail "objdump not found: scripts/install_dependencies.sh check"
[ -d "$build/kernels/CMakeFiles" ] || fail "$build has no objects, expected a finished build"
bad=0

problem() {
  say "$*"
  bad=$((bad + 1))
}

# instructions_like PATTERN OBJECT: the first lines of the disassembly that match.
instructions_like() {
  objdump --disassemble --no-show-raw-insn --no-addresses "$2" | grep -E -m 3 "$1" || true
}

avx='^[[:space:]]+v[a-z0-9]+[[:space:]].*%[xyz]mm|%[yz]mm'
avx512='%zmm|%k[0-7]\b|%[xy]mm(1[6-9]|2[0-9]|3[01])\b'

levels=0
for object in "$build"/kernels/CMakeFiles/tessera_kernels_*.dir/arch/*.o; do
  [ -f "$object" ] || fail "no kernels/arch objects in $build"
  level=$(basename "$object" .cpp.o)
  levels=$((levels + 1))
  symbols=$(nm --demangle --defined-only --extern-only "$object" | cut -d' ' -f2-)
  count=$(printf '%s\n' "$symbols" | grep -c .)
  expected="tessera::kernels::k$(printf '%s' "$level" | sed -E 's/(^|_)([a-z])/\U\2/g')Table"
  if [ "$count" -ne 1 ] || [ "${symbols#? }" != "$expected" ]; then
    problem "kernels/arch/$level: external symbols are
$(printf '%s\n' "$symbols" | head -n 10 | sed 's/^/  /')
  expected $expected alone"
  fi
  case $level in
    baseline) pattern=$avx ;;
    avx2) pattern=$avx512 ;;
    *) continue ;;
  esac
  found=$(instructions_like "$pattern" "$object")
  [ -z "$found" ] || problem "kernels/arch/$level holds instructions of a higher level:
$found"
done

others=0
while IFS= read -r object; do
  others=$((others + 1))
  found=$(instructions_like "$avx" "$object")
  [ -z "$found" ] || problem "${object#"$build"/} holds instructions of a higher level:
$found"
done < <(find "$build"/kernels "$build"/runtime "$build"/models "$build"/tessera -path '*/CMakeFiles/*' \
  -name '*.o' ! -path '*/arch/*' 2>/dev/null)

[ "$bad" -eq 0 ] || fail "$bad problems of ISA hygiene"
say "$levels ISA levels export their table only; $others other objects hold no AVX."
