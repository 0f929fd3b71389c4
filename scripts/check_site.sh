#!/usr/bin/env bash
# Builds the documentation site and uses it as a reader would: every link inside leads somewhere, no
# page loads anything from elsewhere; then, in a headless Chromium: no page is wider than its window at
# 1280 and 390 pixels, none has a message on the console, and the search finds functions of the C
# interface, from a server and from the file system.
#
#   scripts/check_site.sh [--screenshots DIR] [--built OUT]     default: builds build/site
#
# Screenshots: the front page, guides and references, at both widths and in dark colours.
#
# Needs a release build and the Debian packages of groups "docs" and "report".
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
shots=
out=
while [ $# -gt 0 ]; do
  case $1 in
    --screenshots) shots=$2 && mkdir -p "$shots" ;;
    --built) out=$(realpath "$2") ;;
    *) fail "got \"$1\", expected --screenshots DIR or --built OUT" ;;
  esac
  shift 2
done
command -v chromium >/dev/null 2>&1 || fail "chromium is not installed: scripts/install_dependencies.sh report"
if [ -z "$out" ]; then
  out=$ROOT/build/site
  scripts/build_site.sh "$out"
fi
/usr/bin/python3 scripts/site/check_links.py "$out" || fail "links of the site"

# Every function that the library shows has an entry.
functions=$(sed -n 's/^T \(tessera_[a-z_0-9]*\)@@.*/\1/p' tests/abi/abi.txt)
[ -n "$functions" ] || fail "tests/abi/abi.txt names no function"
for function in $functions; do
  grep -qs "id=\"std-api-$function\"" "$out"/reference/c/*.html || fail "$function has no entry in the C reference"
done
say "$(wc -w <<<"$functions") functions have an entry in the C reference."

# So has every name of the Python package.
names=$(PYTHONPATH=tessera/python PYTHONDONTWRITEBYTECODE=1 \
  TESSERA_LIBRARY=${TESSERA_LIBRARY:-$ROOT/build/release/tessera/libtessera.so.0} \
  /usr/bin/python3 -c 'import tessera; print(*(n for n in tessera.__all__ if n[0] != "_"))')
for name in $names; do
  grep -qs "id=\"tessera.$name\"" "$out"/reference/python/*.html || fail "$name has no entry in the Python reference"
done
say "$(wc -w <<<"$names") names have an entry in the Python reference."

# A server of the site and of the page that looks at it.
mkdir "$work/root"
ln -s "$out" "$work/root/site"
cp scripts/site/look.html "$work/root"
/usr/bin/python3 -u -m http.server 0 --bind 127.0.0.1 --directory "$work/root" >"$work/server" 2>/dev/null &
server=$!
for _ in $(seq 50); do
  port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' "$work/server")
  [ -z "$port" ] || break
  sleep 0.1
done
[ -n "$port" ] || fail "the server did not start"

# browse ADDRESS WIDTH HEIGHT OPTION...: what is on the console goes to $work/log.
browse() {
  local address=$1 width=$2 height=$3
  shift 3
  timeout 300 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
    --user-data-dir="$work/profile" --enable-logging=stderr \
    --host-resolver-rules='MAP * ~NOTFOUND, EXCLUDE 127.0.0.1' --window-size="$width,$height" "$@" "$address" 2>>"$work/log"
}
: >"$work/log"

# Every page, in both widths.
(cd "$out" && find . -name '*.html' ! -path './tree/docs/reports/*' ! -path './_*' | sed 's/^..//' | LC_ALL=C sort) >"$work/pages"
{
  printf 'const WIDTHS = [1280, 390];\nconst PAGES = [\n'
  sed 's/.*/"&",/' "$work/pages"
  printf '];\n'
} >"$work/root/pages.js"
browse "http://127.0.0.1:$port/look.html" 1400 1000 --timeout=240000 --virtual-time-budget=240000 --dump-dom >"$work/dom"
grep -q "looked at $(wc -l <"$work/pages") pages" "$work/dom" || fail "not every page could be opened"
if grep '^problem: \|>problem: ' "$work/dom"; then fail "pages with problems, above"; fi
say "$(wc -l <"$work/pages") pages fit windows of 1280 and 390 pixels."

# finds FROM WORD PAGE: the search of the site that is at FROM has a link to PAGE. A busy machine may need
# longer than a page is given.
finds() {
  local budget
  for budget in 3000 10000 30000; do
    browse "$1/search.html?q=$2" 1280 1000 --virtual-time-budget=$budget --dump-dom >"$work/dom"
    if sed -n '/<ul class="search"/,$p' "$work/dom" | grep -q "href=\"$3\""; then return 0; fi
  done
  fail "the search at $1 finds no $3 for \"$2\""
}
finds "http://127.0.0.1:$port/site" tessera_encode_texts reference/c/encoding.html#tessera-encode-texts
finds "file://$out" tessera_encode_texts reference/c/encoding.html#tessera-encode-texts
finds "http://127.0.0.1:$port/site" precision guides/precision.html
say "The search finds tessera_encode_texts, from a server and from the file system."

# has_background light|dark PICTURE: its commonest colour is such a one.
has_background() {
  /usr/bin/python3 - "$@" <<'CODE' || fail "$2: expected a $1 background"
import sys
from PIL import Image
image = Image.open(sys.argv[2]).convert("RGB")
count, colour = max(image.getcolors(image.width * image.height))
sys.exit((sum(colour) > 3 * 128) != (sys.argv[1] == "light"))
CODE
}

if [ -n "$shots" ]; then
  while read -r name page height; do
    browse "file://$out/$page" 1280 "$height" --virtual-time-budget=2000 --screenshot="$shots/$name.wide.png" >/dev/null
    browse "file://$out/$page" 390 "$height" --virtual-time-budget=2000 --screenshot="$shots/$name.narrow.png" >/dev/null
    browse "file://$out/$page" 1280 "$height" --virtual-time-budget=2000 --blink-settings=preferredColorScheme=0 \
      --screenshot="$shots/$name.dark.png" >/dev/null
    has_background light "$shots/$name.wide.png"
    has_background dark "$shots/$name.dark.png"
  done <<'PAGES'
front index.html 1100
first guides/first.html 1600
migrating guides/migrating.html 1600
c reference/c/encoding.html 1600
cpp reference/cpp/index.html 1600
python reference/python/encoders.html 1800
examples tree/examples/README.html 1600
notebook tree/examples/python/tour.ipynb.file.html 1600
cli reference/cli/embed.html 1600
promises tree/docs/PROMISES.html 1600
PAGES
  say "Screenshots: $shots"
fi
if grep -oE '(CONSOLE|Uncaught|Refused to).*' "$work/log" | LC_ALL=C sort | uniq -c | head -10 | grep .; then
  fail "messages on the browser's console, expected none"
fi
say "No messages on the console."
