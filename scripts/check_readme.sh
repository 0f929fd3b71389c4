#!/usr/bin/env bash
# Runs the commands that README.md promises, and compares what they print with what it shows.
#
#   ```sh check          this block is run, from the repository's root, and must succeed
#   ```text check        each line must occur in the output of the block above; ... stands for anything
#
#   scripts/check_readme.sh [--in-place] [--skip LINE]... [FILE]
#
# Runs in a fresh copy of the tree unless --in-place is given. --skip leaves out lines that a caller runs
# by itself anyway.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

in_place=no
readme=README.md
skips=()
while [ $# -gt 0 ]; do
  case $1 in
    --in-place) in_place=yes ;;
    --skip)
      skips+=("$2")
      shift
      ;;
    *) readme=$1 ;;
  esac
  shift
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$ROOT
if [ "$in_place" = no ]; then
  tree=$work/tree
  mkdir "$tree"
  tar -C "$ROOT" --exclude=./build --exclude='./build-*' --exclude=./.git -cf - . | tar -C "$tree" -xf -
fi
cd "$tree"
[ -f "$readme" ] || fail "$readme does not exist"

# Blocks become the files 1.sh, 1.text, 2.sh, … in the order of the document.
awk -v dir="$work" '
  /^```sh check[[:space:]]*$/   { ++n; out = dir "/" n ".sh"; printf "" > out; next }
  /^```text check[[:space:]]*$/ { out = dir "/" n ".text"; printf "" > out; next }
  /^```/                        { if (out != "") close(out); out = ""; next }
  out != ""                     { print > out }
  END                           { print n + 0 > (dir "/count") }
' "$readme"
count=$(cat "$work/count")
[ "$count" -gt 0 ] || fail "$readme has no block marked \"sh check\""

for i in $(seq 1 "$count"); do
  for line in ${skips[@]+"${skips[@]}"}; do
    if grep -qxF -- "$line" "$work/$i.sh"; then
      say "   skipped, as the caller runs it: $line"
      grep -vxF -- "$line" "$work/$i.sh" >"$work/rest" || true
      mv "$work/rest" "$work/$i.sh"
    fi
  done
  [ -s "$work/$i.sh" ] || continue
  sed 's/^/   $ /' "$work/$i.sh"
  if ! bash -euo pipefail "$work/$i.sh" >"$work/$i.out" 2>"$work/$i.err" </dev/null; then
    tail -n 20 "$work/$i.out" "$work/$i.err"
    fail "$readme: the commands above failed"
  fi
  [ -f "$work/$i.text" ] || continue
  while IFS= read -r line; do
    [ -n "$line" ] || continue
    pattern=$(printf '%s' "$line" | sed -e 's/[][\.*^$+?(){}|]/\\&/g' -e 's/\\\.\\\.\\\./.*/g')
    if ! grep -qE -- "$pattern" "$work/$i.out"; then
      tail -n 40 "$work/$i.out"
      fail "$readme: the output above has no line like: $line"
    fi
  done <"$work/$i.text"
done
say "$count blocks of $readme do what it says."
