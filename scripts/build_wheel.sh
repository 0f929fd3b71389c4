#!/usr/bin/env bash
# Builds the Python wheel: the package of tessera/python, libtessera.so.0 and the tool, stripped, without
# plugins.
# Needs no network; the same sources and library give the same bytes. The last line is the wheel's path.
#
#   scripts/build_wheel.sh [BUILD_DIR]       default: build/release, configured and built if it is not there
#
# Fails if library or tool need more than the tag says: another library than those of the C and C++ runtimes,
# or a symbol of a later glibc than 2.36.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

build=${1:-build/release}
if [ ! -e "$build/tessera/libtessera.so.0" ] || [ ! -e "$build/tessera/tessera" ]; then
  [ "$build" = build/release ] || fail "$build/tessera has no libtessera.so.0 or no tessera"
  say "Building libtessera.so and the tool" >&2
  configure release
  cmake --build --preset release --target tessera_shared --target tessera --parallel "$JOBS" >&2
fi
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")
packaged=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' tessera/python/tessera/_version.py)
[ "$version" = "$packaged" ] ||
  fail "tessera/python/tessera/_version.py says $packaged, expected $version, the version of $build"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# As installed: found beside itself are plugins, of which the wheel has none, not those of the build.
library=$work/libtessera.so.0
tool=$work/tessera
for component in runtime tools; do
  DESTDIR=$work/root cmake --install "$build" --prefix /usr --component $component --strip >/dev/null
done
find "$work/root" -type f -name 'libtessera.so.*' -exec cp {} "$library" \;
find "$work/root" -type f -path '*/bin/tessera' -exec cp {} "$tool" \;
for file in "$library" "$tool"; do
  [ -f "$file" ] || fail "cmake --install $build gave no $(basename "$file")"
done

# newest PREFIX FILE: the latest version of symbols called PREFIX_1.2.3 that are needed.
newest() { readelf --dyn-syms --wide "$2" | grep ' UND ' | grep -oE "$1_[0-9.]+" | sort -uV | tail -n 1; }
for file in "$library" "$tool"; do
  name=$(basename "$file")
  needed=$(readelf -d "$file" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')
  others=$(grep -vxE 'libc\.so\.6|libm\.so\.6|libstdc\+\+\.so\.6|libgcc_s\.so\.1|ld-linux-x86-64\.so\.2' <<<"$needed" || true)
  [ -z "$others" ] || fail "$name needs $(xargs <<<"$others"), expected libc, libm, libstdc++, libgcc alone"
  glibc=$(newest GLIBC "$file")
  [ "$(printf '%s\n' "$glibc" GLIBC_2.36 | sort -V | tail -n 1)" = GLIBC_2.36 ] ||
    fail "$name needs $glibc, expected at most GLIBC_2.36, which the wheel's tag promises"
  say "$name $version: $(stat -c %s "$file") bytes; needs $(xargs <<<"$needed"); $glibc, $(newest GLIBCXX "$file"), $(newest CXXABI "$file")"
done

python=/usr/bin/python3
[ -x "$python" ] || python=python3
"$python" scripts/write_wheel.py --library "$library" --tool "$tool" --version "$version" --out "$build/wheel"
