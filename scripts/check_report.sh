#!/usr/bin/env bash
# Opens reports in a headless Chromium, as a reader would: each must render with no message on the
# console, run its script, be neither empty nor cut off, and reach for nothing outside itself.
#
#   scripts/check_report.sh [--screenshots DIR] FILE.html...
#
# Needs the Debian packages of group "report" (scripts/install_dependencies.sh report).
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
shots=$work
if [ "${1:-}" = --screenshots ]; then
  shots=$2
  mkdir -p "$shots"
  shift 2
fi
[ $# -gt 0 ] || fail "expected the names of reports"
command -v chromium >/dev/null 2>&1 || fail "chromium is not installed: scripts/install_dependencies.sh report"

# browse FILE WIDTH HEIGHT OPTION...
browse() {
  local page=$1 width=$2 height=$3
  shift 3
  timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
    --hide-scrollbars --user-data-dir="$work/profile" --enable-logging=stderr \
    --host-resolver-rules='MAP * ~NOTFOUND' --virtual-time-budget=2000 --run-all-compositor-stages-before-draw \
    --window-size="$width,$height" "$@" "file://$page" 2>>"$work/log"
}

for page in "$@"; do
  page=$(realpath -- "$page")
  [ -f "$page" ] || fail "$page does not exist"
  name=$(basename "$page" .html)
  if grep -oE '(src|href)="(https?:)?//[^"]*"|@import|url\(' "$page" | head -3 | grep .; then
    fail "$name: reaches for the network, expected one self-contained file"
  fi
  : >"$work/log"
  browse "$page" 1000 1400 --dump-dom >"$work/dom"
  grep -q 'data-tip=' "$work/dom" || fail "$name: its script did not run"
  browse "$page" 1000 1400 --screenshot="$shots/$name.png" >/dev/null
  browse "$page" 390 2400 --screenshot="$shots/$name.phone.png" >/dev/null
  browse "$page" 1000 1400 --blink-settings=preferredColorScheme=0 \
    --screenshot="$shots/$name.dark.png" >/dev/null
  browse "$page" 1000 1400 --print-to-pdf="$shots/$name.pdf" --no-pdf-header-footer >/dev/null
  if grep -E 'CONSOLE|Uncaught|Refused to' "$work/log"; then
    fail "$name: messages on the browser's console, expected none"
  fi
  /usr/bin/python3 "$ROOT/scripts/look_at_screenshot.py" light "$shots/$name.png"
  /usr/bin/python3 "$ROOT/scripts/look_at_screenshot.py" light "$shots/$name.phone.png"
  /usr/bin/python3 "$ROOT/scripts/look_at_screenshot.py" dark "$shots/$name.dark.png"
  head -c 5 "$shots/$name.pdf" | grep -q '%PDF-' || fail "$name: could not be printed"
done
say "$# reports render: no console messages, light, dark, phone and print."
