#!/usr/bin/env bash
# The release tarball: what git tracks, or in a tree without git everything but builds, as
# tessera-VERSION.tar.xz. The same tree gives the same bytes: names sorted, owner 0, one time for all.
# Its path is the last line.
#
#   scripts/build_tarball.sh [OUT]                default: build/tarball
#   scripts/build_tarball.sh --verify [OUT]       also: unpacks it, configures with no network, builds
#                                                 tessera_shared and embeds with what was built
#
# SOURCE_DATE_EPOCH: the time of the files (default: that of the version's entry in packaging/debian/changelog).
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

verify=no
[ "${1:-}" != --verify ] || { verify=yes; shift; }
out=$(realpath -m "${1:-build/tarball}")
version=$(project_version)
name=tessera-$version
time=${SOURCE_DATE_EPOCH:-$(date -d "$(sed -n 's/^ -- .*>  //p' packaging/debian/changelog | head -n 1)" +%s)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  # What is tracked, as it is now; a file that was removed is left out.
  git ls-files -z | while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || printf '%s\0' "$file"
  done >"$work/files"
else
  find . \( -path ./build -o -path './build-*' -o -path ./.git -o -path ./.cache -o -name __pycache__ \) -prune \
    -o \( -type f -o -type l \) -printf '%P\0' >"$work/files"
fi
[ -s "$work/files" ] || fail "$ROOT has no files to pack"
LC_ALL=C sort -z "$work/files" >"$work/sorted"

tarball=$out/$name.tar.xz
tar --null --verbatim-files-from --files-from="$work/sorted" --transform="s,^,$name/,S" \
  --format=gnu --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX --mtime="@$time" -cf "$work/$name.tar"
# One thread: with several, xz makes blocks by their number.
xz -6 --threads=1 <"$work/$name.tar" >"$work/$name.tar.xz"
mv "$work/$name.tar.xz" "$tarball"

if [ "$verify" = yes ]; then
  tar -C "$work" -xf "$tarball"
  # A namespace without a network, where the kernel lets us have one.
  offline=()
  if unshare --net true 2>/dev/null; then offline=(unshare --net); fi
  [ ${#offline[@]} -gt 0 ] || say "No network namespace here: the build may reach the network."
  # The place in the tree that a release build has, for the compiler cache: it sees the same relative paths.
  tree=$work/$name
  build=$tree/build/release
  export CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1
  "${offline[@]}" cmake -S "$tree" -B "$build" -G Ninja -DTESSERA_BUILD_TESTS=OFF -DTESSERA_BUILD_BENCH=OFF \
    >"$work/log" 2>&1 || { cat "$work/log"; fail "$tarball does not configure"; }
  "${offline[@]}" cmake --build "$build" --target tessera_shared --parallel "$JOBS" \
    >"$work/log" 2>&1 || { tail -n 40 "$work/log"; fail "$tarball does not build"; }
  cc -std=c11 -I "$build/include" -o "$work/plain" "$tree/tests/embedding/plain.c" \
    -L "$build/tessera" -ltessera -Wl,-rpath,"$build/tessera"
  "$work/plain" "$tree/models/demo/text"
  say "$name was unpacked, configured and built, and embeds (${offline[*]:-network present})."
fi
sha256sum "$tarball"
say "$tarball"
