#!/usr/bin/env bash
# The Debian packages: packs the tree (scripts/build_tarball.sh), puts packaging/debian beside it, runs
# dpkg-buildpackage and lintian. Prints lintian's summary, and the paths of the .deb files last.
#
#   scripts/build_debian.sh [OUT]                 default: build/debian
#   DEB_BUILD_OPTIONS= scripts/build_debian.sh    also builds and runs the tests (default: nocheck)
#
# Errors of lintian end it with status 1. Needs the groups build and debian of install_dependencies.sh.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

out=$(realpath -m "${1:-build/debian}")
version=$(project_version)
revision=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)
[ "${revision%-*}" = "$version" ] ||
  fail "packaging/debian/changelog: got version $revision, expected $version-1 or the like, as CMakeLists.txt says"
options=${DEB_BUILD_OPTIONS-nocheck}
profiles=''
[[ " $options " != *" nocheck "* ]] || profiles=nocheck

mkdir -p "$out"
tree=$out/tessera-$version
rm -rf "$tree" "$out"/*.deb "$out/tessera_$version"*
tarball=$(scripts/build_tarball.sh "$out" | tail -n 1)
mv "$tarball" "$out/tessera_$version.orig.tar.xz"
tar -C "$out" -xf "$out/tessera_$version.orig.tar.xz"
cp -r packaging/debian "$tree/debian"

# debhelper gives the build a home of its own, where the compiler cache would start empty.
if command -v ccache >/dev/null 2>&1; then
  CCACHE_DIR=${CCACHE_DIR:-$(ccache --get-config cache_dir)}
  CCACHE_BASEDIR=${CCACHE_BASEDIR:-$out}
  export CCACHE_DIR CCACHE_BASEDIR CCACHE_NOHASHDIR=1
fi
log=$out/build.log
say "Building in $tree, log: $log"
(cd "$tree" && DEB_BUILD_OPTIONS="$options terse" DEB_BUILD_PROFILES="$profiles" \
  dpkg-buildpackage -us -uc -j"$JOBS") >"$log" 2>&1 || { tail -n 60 "$log" >&2; fail "dpkg-buildpackage failed"; }

status=0
lintian --allow-root --fail-on error --display-info --color never "$out/tessera_${revision}_"*.changes >"$out/lintian.log" 2>&1 || status=$?
cat "$out/lintian.log"
say "lintian: $(grep -c '^E:' "$out/lintian.log" || true) errors, $(grep -c '^W:' "$out/lintian.log" || true) warnings, $(grep -c '^I:' "$out/lintian.log" || true) remarks ($out/lintian.log)"
[ "$status" -eq 0 ] || fail "lintian ended with status $status"
ls "$out"/*.deb
