#!/usr/bin/env bash
# Builds the Python wheel: the package of tessera/python and libtessera.so.0, stripped, without plugins.
# Needs no network; the same sources and library give the same bytes. The last line is the wheel's path.
#
#   scripts/build_wheel.sh [BUILD_DIR]       default: build/release, configured and built if it is not there
#
# Fails if the library needs more than the tag says: another library than those of the C and C++ runtimes,
# or a symbol of a later glibc than 2.36.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

build=${1:-build/release}
if [ ! -e "$build/tessera/libtessera.so.0" ]; then
  [ "$build" = build/release ] || fail "$build/tessera/libtessera.so.0 does not exist"
  say "Building libtessera.so" >&2
  configure release
  cmake --build --preset release --target tessera_shared --parallel "$JOBS" >&2
fi
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")
packaged=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' tessera/python/tessera/_version.py)
[ "$version" = "$packaged" ] ||
  fail "tessera/python/tessera/_version.py says $packaged, expected $version, the version of $build"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# As installed: found beside itself are plugins, of which the wheel has none, not those of the build.
library=$work/libtessera.so.0
DESTDIR=$work/root cmake --install "$build" --prefix /usr --component runtime --strip >/dev/null
find "$work/root" -type f -name 'libtessera.so.*' -exec cp {} "$library" \;
[ -f "$library" ] || fail "cmake --install $build gave no libtessera.so"

needed=$(readelf -d "$library" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')
others=$(grep -vxE 'libc\.so\.6|libm\.so\.6|libstdc\+\+\.so\.6|libgcc_s\.so\.1|ld-linux-x86-64\.so\.2' <<<"$needed" || true)
[ -z "$others" ] || fail "libtessera.so needs $(xargs <<<"$others"), expected libc, libm, libstdc++, libgcc alone"
# newest PREFIX: the latest version of symbols called PREFIX_1.2.3 that are needed.
newest() { readelf --dyn-syms --wide "$library" | grep ' UND ' | grep -oE "$1_[0-9.]+" | sort -uV | tail -n 1; }
glibc=$(newest GLIBC)
[ "$(printf '%s\n' "$glibc" GLIBC_2.36 | sort -V | tail -n 1)" = GLIBC_2.36 ] ||
  fail "libtessera.so needs $glibc, expected at most GLIBC_2.36, which the wheel's tag promises"
say "libtessera.so $version: $(stat -c %s "$library") bytes; needs $(xargs <<<"$needed"); $glibc, $(newest GLIBCXX), $(newest CXXABI)"

python=/usr/bin/python3
[ -x "$python" ] || python=python3
"$python" scripts/write_wheel.py --library "$library" --version "$version" --out "$build/wheel"
