#!/usr/bin/env bash
# The programs of examples/, as a stranger would build them: Tessera is installed, the installation is
# moved, and each program is built against it, by find_package and by pkg-config, with warnings as
# errors. Then every command of examples/README.md is run, and what it prints is compared with what
# is shown there. The Python examples run in a virtual environment with the wheel alone.
#
#   scripts/check_examples.sh [PREFIX]     default: build/release, installed into a temporary folder
#   WHEEL=FILE scripts/check_examples.sh   this wheel in place of what scripts/build_wheel.sh makes
#
# A line for each command, "right" or "wrong"; the exit status is 1 if any is wrong.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ $# -gt 0 ]; then
  [ -d "$1/include/tessera" ] || fail "$1: no include/tessera, expected the prefix of an installation"
  cp -rP "$1" "$work/prefix"
else
  cmake --install build/release --prefix "$work/first" >"$work/log" || { cat "$work/log"; exit 1; }
  mv "$work/first" "$work/prefix"  # whatever remembers the first place fails from here on
fi
pc=$(find "$work/prefix" -name tessera.pc | head -1)
[ -n "$pc" ] || fail "no tessera.pc below $work/prefix"
warnings="-O1 -Wall -Wextra -Wpedantic -Wshadow -Werror"
total=0
good=0

# verdict NAME STATUS OUTPUT-FILE
verdict() {
  total=$((total + 1))
  if [ "$2" -eq 0 ]; then
    good=$((good + 1))
    say "right  $1"
  else
    say "wrong  $1"
    head -n 30 "$3" | sed 's/^/       /'
  fi
}

by_cmake() {
  cmake -S examples -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_C_FLAGS="$warnings" -DCMAKE_CXX_FLAGS="$warnings" &&
    cmake --build "$work/cmake" --parallel "$JOBS"
}
by_pkg_config() {
  PKG_CONFIG_PATH=${pc%/*} make -C examples OUT="$work/pkg-config" CFLAGS="$warnings" CXXFLAGS="$warnings"
}

# In the place where the commands run, paths are those of the README.
mkdir -p "$work/place/build"
for folder in examples models scripts; do ln -s "$ROOT/$folder" "$work/place/$folder"; done

# run_section TITLE PREFIX: the commands of that section of the README, each counted.
run_section() {
  (cd "$work/place" && /usr/bin/python3 "$ROOT/scripts/examples/run_blocks.py" "$ROOT/examples/README.md" \
    --section "$1" --prefix "$2: ") >"$work/log" 2>&1 || true
  cat "$work/log"
  total=$((total + $(grep -cE '^(right|wrong)  ' "$work/log" || true)))
  good=$((good + $(grep -c '^right  ' "$work/log" || true)))
  grep -qE '^(right|wrong)  ' "$work/log" || verdict "$2: runs" 1 "$work/log"
}

# ---- C and C++ ----
for way in cmake pkg-config; do
  status=0
  if [ $way = cmake ]; then by_cmake >"$work/log" 2>&1 || status=$?; else by_pkg_config >"$work/log" 2>&1 || status=$?; fi
  verdict "$way: builds" "$status" "$work/log"
  [ "$status" -eq 0 ] || continue
  ln -sfn "$work/$way" "$work/place/build/examples"
  run_section "C and C++" "$way"
done

# ---- Python: the wheel in a virtual environment, with Debian's NumPy and Pillow ----
by_wheel() {
  local wheel=${WHEEL:-}
  [ -n "$wheel" ] || wheel=$(scripts/build_wheel.sh | tail -n 1)
  /usr/bin/python3 -m venv --system-site-packages "$work/venv" &&
    "$work/venv/bin/pip" install --quiet --no-index "$wheel"
}
status=0
unset PYTHONPATH TESSERA_LIBRARY  # the wheel brings its library
by_wheel >"$work/log" 2>&1 || status=$?
verdict "wheel: installs" "$status" "$work/log"
if [ "$status" -eq 0 ]; then
  PATH=$work/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 run_section "Python" "wheel"
fi

say "$good of $total right."
[ "$good" -eq "$total" ]
